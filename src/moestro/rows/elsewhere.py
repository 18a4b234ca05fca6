"""Rows that are never all in memory: a source, what it takes to read numbers from it, and a sample of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

import numpy as np

from ..design import Scaling, Units
from ..errors import DataError
from .block import Block
from .groups import Groups
from .kept import Kept
from .read import check_units, refuse_large
from .reader import BLOCK, Reader
from .rows import Rows
from .sources import Batch
from .totals import Counts, Totals


@dataclass(frozen=True)
class RowsElsewhere:
    """Rows that are read anew for each pass, scaled.

    What a fit asks of all rows at once it asks of `at_hand`, a random sample; what needs more than that is
    refused.

    Attributes
    ----------
    reader : Reader
    at_hand : Rows
    counts : Counts
        Of all rows, and of their groups.
    """

    reader: Reader | Kept
    at_hand: Rows
    counts: Counts

    labels = None

    @property
    def groups(self) -> Groups | None:
        """Those of the sample: that there are any is what is asked."""
        return self.at_hand.groups

    @property
    def n(self) -> int:
        return self.counts.rows

    @property
    def n_present(self) -> int:
        return self.counts.rows_present

    @property
    def row_weight_sum(self) -> float:
        return self.counts.row_weight

    @property
    def n_units(self) -> int:
        return self.counts.units

    @property
    def units_present(self) -> int:
        return self.counts.units_present

    @property
    def weight_sum(self) -> float:
        return self.counts.weight

    @property
    def group_sizes(self) -> tuple[int, int, int] | None:
        """As those of `Rows`."""
        c = self.counts
        return None if self.groups is None else (c.units_present, c.smallest, c.largest)

    @property
    def digest(self) -> str:
        """Of the responses and weights in their order."""
        return self.counts.digest

    @property
    def x_scaling(self) -> Scaling:
        return self.at_hand.x_scaling

    @property
    def z_scaling(self) -> Scaling:
        return self.at_hand.z_scaling

    @property
    def y_center(self) -> float:
        return self.at_hand.y_center

    @property
    def y_scale(self) -> float:
        return self.at_hand.y_scale

    @property
    def response_scaling(self) -> tuple[float, float]:
        return self.at_hand.response_scaling

    @property
    def spacing(self) -> float:
        """Of the sample."""
        return self.at_hand.spacing

    @property
    def shared(self) -> bool:
        return self.at_hand.shared

    @property
    def p(self) -> int:
        return self.at_hand.p

    @property
    def q(self) -> int:
        return self.at_hand.q

    def checked(self, check: Callable[[np.ndarray], None]) -> None:
        """`check` the responses: of these rows it was done while they were read."""

    def parts(self, size: int = BLOCK) -> Iterator[Rows]:
        """Consecutive rows, `Reader.block` at a time, or `size` where that is less."""
        n = 0
        for rows, where in self.reader:
            part = rows.on(self.x_scaling, self.z_scaling, self.y_center, self.y_scale)
            n += part.n
            if n > self.n:
                raise DataError(f"{where}: there are more rows than at the beginning of the fit")
            yield from [part] if part.n <= size else part.parts(size)
        if n != self.n:
            raise DataError(
                f"{self.reader.source.name} has {n} rows now, and had {self.n} when the fit began"
            )

    def summed(self, function: Callable[[Rows], Any], add: Callable[[Any, Any], Any]) -> Any:
        """`function` of each part, added up in their order: where the parts are, if their source can."""
        there = getattr(self.reader.source, "mapped", None)
        results = map(function, self.parts()) if there is None else there(self, function, add)
        return reduce(add, results)

    def blocks(self, size: int = 4096) -> Iterator[Block]:
        """`Rows.blocks` of one part after the other."""
        start = 0
        for part in self.parts():
            for block in part.blocks(size):
                yield replace(block, at=slice(start + block.at.start, start + block.at.stop))
            start += part.n_units

    def __getattr__(self, name: str) -> Any:
        if name in HELD:
            source = self.__dict__["reader"].source.name
            raise DataError(
                f"this needs all rows in memory at once, and they are read from {source} block by block: "
                "give the frame itself, or one of a sample"
            )
        raise AttributeError(name)


HELD = {f.name for f in fields(Rows)} | {"take", "merged", "inputs", "row_weights", "scaled_known", "on"}


def read_elsewhere(
    reader: Reader | Kept, sample: Batch, response: str = "y", classes: tuple = ()
) -> tuple[RowsElsewhere | Rows, Units]:
    """`read` of rows that are elsewhere, in one pass over them: centre and scale by merged moments.

    Where the `sample` has every row, these are `Rows` in memory.
    """
    design, family = reader.design, reader.family
    totals = Totals(classes)
    for rows, where in reader:
        totals.add(rows, family, where)
    if totals.row_weight <= 0:
        raise DataError("sample_weight is zero for every row: give at least one row a positive weight")
    family.check_variety(totals.differing)
    x_scaling = totals.of_x.scaling(design.expert_names)
    z_scaling = x_scaling
    if totals.of_z is not None:
        z_scaling = totals.of_z.scaling(design.gate_names, reader.gate_scaling)
        if reader.gate_scaling == "none":
            refuse_large(totals.of_z.reach, design.gate_names)
    center, scale = 0.0, 1.0
    if family.scales_response:
        y_scaling = totals.of_y.scaling((response,))
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
        check_units(response, scale, design.expert_names, x_scaling)
    names = design.expert_names, design.gate_names
    units = Units(x_scaling, z_scaling, *names, center, scale, response, classes)
    drawn = reader.rows(sample).on(x_scaling, z_scaling, center, scale)
    return drawn if drawn.n == totals.rows else RowsElsewhere(reader, drawn, totals.counts()), units

"""Rows that are never all in memory: a source, what it takes to read numbers from it, and a sample of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

import numpy as np

from ..design import Design, Scaling, Units, split_known, split_trials, with_second
from ..design.known import ends_of
from ..errors import DataError
from .moments import Moments
from .read import Scalable, check_units, refuse_large
from .rows import Block, Rows
from .sources import Batch, Source, even, told

BLOCK = 65_536  # rows that are read together: sums over them are added up in this order


@dataclass(frozen=True)
class Reader:
    """What makes numbers of the columns of a source.

    Attributes
    ----------
    source : Source
    wanted : tuple of str
        The columns that are read.
    numbers : callable (columns) -> (x, z, y, w)
        Columns of the experts with the offset last, of the gate (None: the same), response, (b,) or (b, 2)
        with trials, and weights (None: one each).
    design : Design
    family : Family
    gate_scaling : {"affine", "scale", "none"}
    block : int
        Rows that are read together.
    """

    source: Source
    wanted: tuple[str, ...]
    numbers: Callable[[dict[str, np.ndarray]], tuple[Any, Any, Any, Any]]
    design: Design
    family: Any
    gate_scaling: str = "affine"
    block: int = BLOCK

    def __iter__(self) -> Iterator[tuple[Rows, str]]:
        """Consecutive rows in the user's units, and where they stand."""
        for batch in even(self.source.batches(self.wanted, self.block), self.block):
            yield self.rows(batch), batch.where

    def rows(self, batch: Batch) -> Rows:
        """Rows of one batch, in the user's units."""
        with told(batch.where):
            x, z, y, w = self.numbers(batch.columns)
            x, known = split_known(x, self.design.known)
            family: Scalable = self.family
            if family.takes_bounds and y.ndim == 2:
                y = ends_of(y, family.lowest)
            y, trials = split_trials(y)
            if known is not None and not family.takes_offset:
                raise DataError(f"{family.name} experts take no offset: leave it out")
            if trials is not None and not (family.takes_trials or family.takes_bounds):
                raise DataError(f"{family.name} experts take no trials: use family='binomial'")
            known = with_second(known, y, trials, family)
            if self.gate_scaling != "affine" and z is None:
                z = x
            x, z = (None if a is None else np.asarray(a, dtype=float) for a in (x, z))
            assert x is not None
            return Rows.plain(x, z, np.ascontiguousarray(y, dtype=float), w, known=known)


@dataclass(frozen=True)
class RowsElsewhere:
    """Rows that are read anew for each pass, scaled.

    What a fit asks of all rows at once it asks of `at_hand`, a random sample; what needs more than that is
    refused.

    Attributes
    ----------
    reader : Reader
    at_hand : Rows
    n : int
    row_weight_sum : float
    n_present : int
        Rows with a weight above zero.
    digest : str
        Of the responses and weights in their order.
    """

    reader: Reader
    at_hand: Rows
    n: int
    row_weight_sum: float
    n_present: int
    digest: str

    groups = None
    labels = None

    @property
    def n_units(self) -> int:
        return self.n

    @property
    def units_present(self) -> int:
        return self.n_present

    @property
    def weight_sum(self) -> float:
        return self.row_weight_sum

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
                at = slice(start + block.at.start, start + block.at.stop)
                yield Block(block.x, block.z, block.y, block.w, at, None, block.known)
            start += part.n

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
    reader: Reader, sample: Batch, response: str = "y", classes: tuple = ()
) -> tuple[RowsElsewhere | Rows, Units]:
    """`read` of rows that are elsewhere, in one pass over them: centre and scale by merged moments.

    Where the `sample` has every row, these are `Rows` in memory.
    """
    design, family = reader.design, reader.family
    of_x: Moments | None = None
    of_z: Moments | None = None
    of_y: Moments | None = None
    n, weight, present, differing = 0, 0.0, 0, np.zeros(0)
    text, of_w = hashlib.sha256(repr(classes).encode("utf-8", "surrogatepass")), hashlib.sha256()
    for rows, where in reader:
        w = rows.w
        seen = rows.y if w is None else rows.y[w > 0]
        with told(where):
            family.check_response(seen)
        differing = np.append(differing, family.telling(seen))
        differing = differing[[differing.argmin(), differing.argmax()]] if len(differing) else differing
        of_x = _more(of_x, rows.x, w)
        of_z = None if rows.z is None else _more(of_z, rows.z, w)
        own = rows.y if rows.known is None else rows.y - rows.known[:, 0]
        of_y = _more(of_y, own[:, None], w)
        n, weight = n + rows.n, weight + rows.row_weight_sum
        present += rows.n if w is None else int(np.count_nonzero(w))
        text.update(rows.y.tobytes())
        if w is not None:
            of_w.update(w.tobytes())
    assert of_x is not None and of_y is not None
    if weight <= 0:
        raise DataError("sample_weight is zero for every row: give at least one row a positive weight")
    family.check_variety(differing)
    x_scaling = of_x.scaling(design.expert_names)
    z_scaling = x_scaling if of_z is None else of_z.scaling(design.gate_names, reader.gate_scaling)
    if of_z is not None and reader.gate_scaling == "none":
        refuse_large(of_z.reach, design.gate_names)
    center, scale = 0.0, 1.0
    if family.scales_response:
        y_scaling = of_y.scaling((response,))
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
        check_units(response, scale, design.expert_names, x_scaling)
    names = design.expert_names, design.gate_names
    units = Units(x_scaling, z_scaling, *names, center, scale, response, classes)
    drawn = reader.rows(sample).on(x_scaling, z_scaling, center, scale)
    if drawn.n == n:
        return drawn, units
    if drawn.w is not None:
        text.update(of_w.digest())
    return RowsElsewhere(reader, drawn, n, weight, present, text.hexdigest()[:16]), units


def _more(before: Moments | None, x: np.ndarray, w: np.ndarray | None) -> Moments:
    """Moments with those of one more block."""
    own = Moments.of(x, w)
    return own if before is None else before.merged(own)

"""What makes rows of the columns of a source, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design import Design, split_known, split_trials, with_second
from ..design.known import ends_of
from ..errors import DataError
from .read import Given, Scalable, grouped
from .rows import Rows
from .sources import Batch, Source, even, told, whole

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
    groups : str or None
        The column with the ids of groups that share their expert, each in one piece: none is cut in two.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group.
    """

    source: Source
    wanted: tuple[str, ...]
    numbers: Callable[[dict[str, np.ndarray]], tuple[Any, Any, Any, Any]]
    design: Design
    family: Any
    gate_scaling: str = "affine"
    block: int = BLOCK
    groups: str | None = None
    gate_at: str = "constant"

    def __iter__(self) -> Iterator[tuple[Rows, str]]:
        """Consecutive rows in the user's units, and where they stand."""
        given = self.source.batches(self.wanted, self.block)
        cut = even(given, self.block) if self.groups is None else whole(given, self.block, self.groups)
        for batch in cut:
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
            read = Given(x, z, np.ascontiguousarray(y, dtype=float), w, known, None)
            if self.groups is None:
                return read.rows()
            return grouped(self.design, read, batch.columns[self.groups], self.gate_at)

"""Batches that cut no group of rows in two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...design.frames import missing, which_rows
from ...errors import DataError
from .base import Batch, joined, part, told


def whole(batches: Iterator[Batch], size: int, name: str) -> Iterator[Batch]:
    """The same rows in batches of as many groups as have `size` rows together, one larger group alone; the
    column `name` holds their ids and is sorted, upwards or downwards.

    Raises
    ------
    DataError
        Where an id is missing, or comes before one that is smaller and one that is larger.
    """
    order, held, count, ends = _Order(name), [], 0, np.zeros(0, dtype=np.int64)
    for batch in batches:
        if not batch.n:
            continue
        with told(batch.where):
            begins = order.begins(batch.columns[name]) + count
        held, count = [*held, batch], count + batch.n
        ends = np.concatenate([ends, begins[begins > 0]])
        while count > size and len(ends):
            within = int(np.searchsorted(ends, size, side="right"))
            cut = int(ends[max(within - 1, 0)])
            one = joined(held)
            yield part(one, 0, cut)
            held, count, ends = [part(one, cut, count)], count - cut, ends[ends > cut] - cut
            if not count:
                held = []
    if held:
        yield joined(held)


class _Order:
    """The ids so far: the last one, and which way they go."""

    def __init__(self, name: str) -> None:
        self.name, self.up = name, None
        self.last: Any = None

    def begins(self, ids: np.ndarray) -> np.ndarray:
        """Where in `ids` (b,) another group begins than that of the row before."""
        absent = missing(ids)
        if absent.any():
            raise DataError(
                f"the groups '{self.name}' are missing in {which_rows(absent)}: give every row an id"
            )
        inside = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        new = self.last is None or bool(ids[0] != self.last)
        begins = np.concatenate([[0] if new else [], inside]).astype(np.int64)
        values = ids[begins].tolist()
        for before, value in zip([self.last, *values][:-1], values, strict=True):
            if before is not None:
                self._compare(before, value)
        self.last = ids[-1:].tolist()[0]
        return begins

    def _compare(self, before: Any, value: Any) -> None:
        try:
            up = bool(value > before)
        except TypeError as error:
            raise DataError(
                f"the groups '{self.name}' have ids that are not ordered, {before!r} and {value!r}"
            ) from error
        if self.up is None:
            self.up = up
        if up != self.up:
            raise DataError(
                f"the rows are not sorted by the groups '{self.name}': {value!r} comes after {before!r}. "
                "Sort them, so that a group is read in one piece, or give a frame"
            )

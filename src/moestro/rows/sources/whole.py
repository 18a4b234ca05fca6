"""Batches that cut no group of rows in two."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...design.frames import missing, which_rows
from ...errors import DataError
from .base import Batch, joined, part, told

ASKED = 2**16  # pieces after which it is asked first whether ids come again


def whole(batches: Iterator[Batch], size: int, name: str) -> Iterator[Batch]:
    """The same rows in batches of as many groups as have `size` rows together, one larger group alone; the
    column `name` holds their ids, equal ones in one piece.

    Raises
    ------
    DataError
        Where an id is missing, or has come before, with others in between.
    """
    pieces, held, count, ends = _Pieces(name), [], 0, np.zeros(0, dtype=np.int64)
    where = ""
    for batch in batches:
        if not batch.n:
            continue
        where = batch.where
        with told(batch.where):
            begins = pieces.begins(batch.columns[name]) + count
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
    with told(where):
        pieces.check()
    if held:
        yield joined(held)


class _Pieces:
    """The pieces of equal ids so far: a hash of each one's id, of 8 bytes."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, None
        self.hashes: list[np.ndarray] = []
        self.count, self.asked = 0, ASKED

    def begins(self, ids: np.ndarray) -> np.ndarray:
        """Where in `ids` (b,) another group begins than that of the row before."""
        absent = missing(ids)
        if absent.any():
            raise DataError(
                f"the groups '{self.name}' are missing in {which_rows(absent)}: give every row an id"
            )
        inside = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        new = self.count == 0 or bool(ids[0] != self.last)
        begins = np.concatenate([[0] if new else [], inside]).astype(np.int64)
        self.hashes.append(_hashes(ids[begins]))
        self.last, self.count = ids[-1], self.count + len(begins)
        if self.count > self.asked:
            self.check()
            self.asked = 2 * self.count
        return begins

    def check(self) -> None:
        """Refuse ids of which there are several pieces."""
        found = np.concatenate(self.hashes) if self.hashes else np.zeros(0)
        self.hashes = [found]
        if len(np.unique(found)) < len(found):
            raise DataError(
                f"by there a group of '{self.name}' has come in two pieces. Sort the rows by "
                "it, so that a group is read in one, or give a frame"
            )


def _hashes(ids: np.ndarray) -> np.ndarray:
    if ids.dtype.kind in "biu":
        return ids.astype(np.int64)
    if ids.dtype.kind == "f":
        return (ids.astype(float) + 0.0).view(np.int64)  # no negative zeros
    return np.fromiter((hash((type(v).__name__, str(v))) for v in ids.tolist()), np.int64, len(ids))

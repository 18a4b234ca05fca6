"""Orders of rows by what is in them: equal ones merged, and all of them at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .groups import Groups

HASHED_ROWS = 8192  # at once
MERGE_LIMIT = 5000  # rows up to which equal rows are merged and sorted before a fit


def merge_rows(
    x: np.ndarray, z: np.ndarray | None, y: np.ndarray, w: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """First occurrences of the distinct rows, sorted, and their summed weights (None where all are one)."""
    columns = np.column_stack([y, x] if z is None else [y, x, z])
    weights = np.ones(len(y)) if w is None else w
    kept = np.flatnonzero(weights > 0)
    order, new = _lexical(columns[kept])
    order, first = kept[order], np.flatnonzero(new)
    index = order[first]
    if len(index) == len(y) and w is None:
        return index, None
    return index, np.add.reduceat(weights[order], first)


def _lexical(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of rows (n, c) by their first column, ties by the next ones, and which of them, in that
    order, differ from the one before. Each column sorts those alone that the columns before left tied."""
    order = np.arange(len(columns))
    new = np.zeros(len(columns), dtype=bool)
    new[:1] = True
    for column in columns.T:
        tied = ~new
        tied[:-1] |= tied[1:].copy()
        at = np.flatnonzero(tied)  # whole runs of equal rows, one after the other
        if not len(at):
            break
        rows, run = order[at], np.cumsum(new[at])
        again = np.lexsort((column[rows], run))
        rows = order[at] = rows[again]
        differs = column[rows[1:]] != column[rows[:-1]]
        new[at[1:]] |= differs
    return order, new


def row_keys(columns: Sequence[np.ndarray], groups: Groups | None = None) -> np.ndarray:
    """A hash of each unit, uint64 (u,): of its numbers in the columns (n,), a group's the sum of its rows',
    and of how often the same unit came before."""
    n = len(columns[0])
    key = np.zeros(n, dtype=np.uint64)
    for start in range(0, n, HASHED_ROWS):  # columns of a few rows are near in memory
        at = slice(start, start + HASHED_ROWS)
        for j, column in enumerate(columns):
            key[at] = mixed(key[at] + _bits(column[at]), np.uint64(2 * j + 1))
    if groups is not None:
        key = groups.sum(key)
    ordered = np.sort(key)
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(key, kind="stable")
        first = np.r_[True, np.diff(key[order]) != 0]
        start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        key[order] += mixed((np.arange(len(order)) - start).astype(np.uint64), np.uint64(0))
    return key


def shuffled(keys: np.ndarray, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
    """A random order (u,) of units that depends on what is in them, not on where they stand: by a seeded hash
    of their `row_keys`. Where `most` is given, only so many of the first are in their place."""
    place = mixed(keys, seed.generate_state(1, np.uint64)[0])
    if most is None or 2 * most >= len(keys):
        return np.argsort(place, kind="stable")
    order = np.argpartition(place, most)
    order[:most] = order[:most][np.argsort(place[order[:most]], kind="stable")]
    return order


def _bits(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column, dtype=float).view(np.uint64)


def mixed(key: np.ndarray, salt: np.uint64) -> np.ndarray:
    """A finaliser of splitmix64, of each key."""
    key = (key ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))

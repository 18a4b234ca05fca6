"""Orders of rows by what is in them: equal ones merged, and all of them at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .groups import Groups

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


def shuffled(
    columns: Sequence[np.ndarray], seed: np.random.SeedSequence, groups: Groups | None = None
) -> np.ndarray:
    """A random order of units (u,), from their columns: they are sorted by a seeded hash of their numbers (a
    group's is the sum of its rows'), and by a second one of how often the same unit came before."""
    a, b = seed.generate_state(2, np.uint64)
    with np.errstate(over="ignore"):
        key = mixed(_bits(columns[0]), a)
        for j, column in enumerate(columns[1:]):
            key = mixed(key + _bits(column), a + np.uint64(2 * j + 1))
        if groups is not None:
            key = groups.sum(key)
        ordered = np.sort(key)
        if (ordered[1:] != ordered[:-1]).all():  # no unit came before: the second hash of each is its own
            return np.argsort(mixed(key, b))
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        first = np.r_[True, ordered[1:] != ordered[:-1]]
        start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        again = (np.arange(len(order)) - start).astype(np.uint64)
        return order[np.argsort(mixed(ordered + again, b), kind="stable")]


def _bits(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column, dtype=float).view(np.uint64)


def mixed(key: np.ndarray, salt: np.uint64) -> np.ndarray:
    """A finaliser of splitmix64, of each key."""
    key = (key ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))

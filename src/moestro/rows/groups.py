"""Rows that share their expert: the choices of one person, the visits of one patient.

Ids are of any type and stand in any order. Inside, the rows of a group are neighbours, groups stand in the
order in which they first appear, and rows keep their order within a group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..design.frames import missing, which_rows
from ..errors import DataError, quiet


@dataclass(frozen=True)
class Groups:
    """Group g has the rows from ``offsets[g]`` to ``offsets[g + 1]``.

    Attributes
    ----------
    offsets : ndarray of int64, shape (G + 1,)
    given : Groups or None
        Where equal groups were merged: those of positive weight that there were before.
    code : ndarray of shape (n,) or None
        The group of each row in the order in which the rows came, before they were neighbours.
    """

    offsets: np.ndarray
    given: Groups | None = None
    code: np.ndarray | None = None

    @classmethod
    def of_sizes(cls, sizes: np.ndarray) -> Groups:
        """Groups of so many rows each, one after the other."""
        return cls(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.offsets) - 1

    @property
    def first(self) -> np.ndarray:
        """First row of each group, (G,)."""
        return self.offsets[:-1]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Rows of each group, (G,)."""
        return np.diff(self.offsets)

    @property
    def of_rows(self) -> np.ndarray:
        """The number of each row's group, (n,), as the rows stand here."""
        return self.expand(np.arange(self.count))

    def described(self, w: np.ndarray | None) -> tuple[int, int, int]:
        """Number, least and most rows of the groups of positive weight w (G,), as they were given."""
        known = self.given
        sizes = known.sizes if known is not None else self.sizes if w is None else self.sizes[w > 0]
        return len(sizes), int(sizes.min()), int(sizes.max())

    def sum(self, a: np.ndarray) -> np.ndarray:
        """Sums over the rows of each group: (n, ...) to (G, ...)."""
        return np.add.reduceat(a, self.first, axis=0)

    def expand(self, a: np.ndarray) -> np.ndarray:
        """What a group has, at each of its rows: (G, ...) to (n, ...)."""
        return np.repeat(a, self.sizes, axis=0)

    def take(self, index: np.ndarray) -> tuple[np.ndarray, Groups]:
        """Rows of the groups `index`, one group after the other, and these groups."""
        taken = Groups.of_sizes(self.sizes[index])
        rows = np.arange(taken.offsets[-1]) + taken.expand(self.first[index] - taken.first)
        return rows, taken

    def part(self, at: slice) -> Groups:
        """Consecutive groups, as rows of their own."""
        return Groups(self.offsets[at.start : at.stop + 1] - self.offsets[at.start])

    def cuts(self, size: int) -> Iterator[slice]:
        """Consecutive groups with at most `size` rows together; one group alone may have more."""
        start = 0
        while start < self.count:
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + size, side="right")) - 1
            stop = max(stop, start + 1)
            yield slice(start, stop)
            start = stop


def encode_groups(ids: Any, n: int, name: str = "groups") -> tuple[np.ndarray, list]:
    """The number of each row's group, (n,), in the order of first appearance, and the groups' ids."""
    values = ids if hasattr(ids, "dtype") or hasattr(ids, "to_numpy") else _objects(ids, name)
    values = np.asarray(values)
    if values.shape != (n,):
        raise DataError(f"{name} has shape {values.shape}, expected ({n},): one id a row")
    absent = missing(values)
    if absent.any():
        raise DataError(f"{name} is missing in {which_rows(absent)}: give every row an id")
    if values.dtype != object:
        _, first, code = np.unique(values, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return rank[code], values[np.sort(first)].tolist()
    known: dict[Any, int] = {}
    try:
        code = np.fromiter((known.setdefault(v, len(known)) for v in values), np.int64, n)
    except TypeError as error:
        raise DataError(f"{name} holds values that cannot be compared as ids: {error}") from error
    return code, list(known)


def _objects(ids: Any, name: str) -> np.ndarray:
    """A list as it is: numbers in it do not become text because of one that is."""
    try:
        values = list(ids)
    except TypeError as error:
        raise DataError(f"{name} must hold one id a row, got {ids!r}") from error
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def sort_groups(code: np.ndarray) -> tuple[np.ndarray | None, Groups | None]:
    """An order of the rows in which groups are neighbours (None: they are), and the groups there.

    Groups of one row each are no groups: (None, None).
    """
    sizes = np.bincount(code)
    if (sizes == 1).all():
        return None, None
    in_order = bool((np.diff(code) >= 0).all())
    groups = replace(Groups.of_sizes(sizes), code=code)
    return (None if in_order else np.argsort(code, kind="stable")), groups


def check_constant(z: np.ndarray, groups: Groups, names: Sequence[str], labels: Sequence) -> None:
    """Refuse columns z (n, e) of a gate that differ between rows of a group: they share one expert, so the
    gate has one say."""
    for j, name in enumerate(names):
        column = np.asarray(z[:, j])
        varies = groups.sum((column != groups.expand(column[groups.first])).astype(np.int64)) > 0
        if varies.any():
            raise DataError(
                f"the gate's column '{name}' varies within the group {labels[int(np.argmax(varies))]!r}, "
                "whose rows share their expert: give the gate columns of the groups alone, "
                "after '|' in a formula ('| 1' for none), by gate_features ([] for none) otherwise, or say "
                "where it reads a group, gate_at='first' or 'mean' (--gate-at)"
            )


def gate_of_groups(
    z: np.ndarray, groups: Groups, gate_at: str, names: Sequence[str], labels: Sequence
) -> np.ndarray:
    """Columns (G, e) of the gate of groups from those of their rows z (n, e).

    Of "first" those of the first row, and of "mean" the average z_1 + sum_i (z_i - z_1) / n_g, which is z_1
    to the last bit where a column is constant; of "constant" columns that vary are refused. A weight is that
    of a whole group, so the average needs none.
    """
    if gate_at == "constant":
        check_constant(z, groups, names, labels)
    first = z[groups.first]
    if gate_at != "mean":
        return first
    with quiet():
        mean = first + groups.sum(z - groups.expand(first)) / groups.sizes[:, None]
    large = np.flatnonzero(~np.isfinite(mean).all(axis=0))
    if len(large):
        raise DataError(f"column '{names[large[0]]}' is too large for double precision: rescale it")
    return mean


def group_weights(w: np.ndarray, groups: Groups, labels: Sequence) -> np.ndarray:
    """Weights of groups, (G,), from those of their rows (n,): weight 2 is a group twice, 0 one that is left
    out."""
    own = w[groups.first]
    varies = groups.sum((w != groups.expand(own)).astype(np.int64)) > 0
    if varies.any():
        raise DataError(
            f"sample_weight varies within the group {labels[int(np.argmax(varies))]!r}: "
            "a weight is that of a whole group, so give all its rows the same"
        )
    return own


def group_labels(labels: np.ndarray, groups: Groups, names: Sequence) -> np.ndarray:
    """The expert (G,) that each group is known to have, -1 where none of its rows (n,) says: rows of a group
    share their expert, so one that knows it speaks for all."""
    most = np.maximum.reduceat(labels, groups.first)
    other = (labels >= 0) & (labels != groups.expand(most))
    if other.any():
        g = int(np.searchsorted(groups.offsets, np.argmax(other), side="right")) - 1
        raise DataError(
            f"partial names experts {labels[other][0] + 1} and {most[g] + 1} in the group {names[g]!r}, "
            "whose rows share their expert"
        )
    return most


def merge_groups(
    columns: np.ndarray, groups: Groups, w: np.ndarray | None
) -> tuple[np.ndarray, Groups, np.ndarray | None]:
    """Rows of the distinct groups, in an order of their content, the groups, and their summed weights (None
    where all are one).

    Two groups are equal that have the same rows (n, c), whatever their order.
    """
    sorted_within = _within(columns, groups)
    content = (np.ascontiguousarray(columns[sorted_within]) + 0.0).tobytes()  # no negative zeros
    ends = (groups.offsets * (len(content) // len(columns))).tolist()
    weights = np.ones(groups.count) if w is None else w
    found: dict[bytes, list[int]] = {}
    for g in np.flatnonzero(weights > 0).tolist():
        found.setdefault(content[ends[g] : ends[g + 1]], []).append(g)
    equal = [found[key] for key in sorted(found, key=lambda key: (len(key), key))]
    rows, kept = groups.take(np.array([same[0] for same in equal], dtype=np.int64))
    kept = replace(kept, given=Groups.of_sizes(groups.sizes[weights > 0]))
    if len(equal) == groups.count and w is None:
        return sorted_within[rows], kept, None
    return sorted_within[rows], kept, np.array([math.fsum(weights[same]) for same in equal])


def _within(columns: np.ndarray, groups: Groups) -> np.ndarray:
    """An order (n,) of the rows (n, c) by their columns within each group.

    The first columns that tell all rows of a group apart order them: one, where it is a measured response,
    and otherwise twice as many as were not enough.
    """
    group, read = groups.of_rows, 1
    while True:
        order = np.lexsort((*columns.T[:read][::-1], group))
        near = columns[order, :read]
        tied = (near[1:] == near[:-1]).all(axis=1)
        tied[groups.offsets[1:-1] - 1] = False  # neighbours of two groups
        if read >= columns.shape[1] or not tied.any():
            return order
        read *= 2

"""Rows held in memory, read in blocks, never copied whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..design.scaling import Scaling


@dataclass(frozen=True)
class Block:
    """Scaled rows: ``x`` (b, p) and ``z`` (b, q) with a leading one, ``y`` (b,), ``w`` (b,), ``at`` the
    slice."""

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    w: np.ndarray
    at: slice


@dataclass(frozen=True)
class Rows:
    """Expert columns x, gate columns z, response y and weights w, with their scaling.

    Attributes
    ----------
    x : ndarray of shape (n, d)
        Columns of the experts, in the user's units and layout.
    z : ndarray of shape (n, e) or None
        Columns of the gate; None where gate and experts share ``x``.
    y : ndarray of shape (n,)
        Response: a number, or the index of a class as a float.
    w : ndarray of shape (n,) or None
        Sample weights; None means one each.
    x_scaling, z_scaling : Scaling
    y_center, y_scale : float
        The response that experts see is ``(y - y_center) / y_scale``.
    """

    x: np.ndarray
    z: np.ndarray | None
    y: np.ndarray
    w: np.ndarray | None
    x_scaling: Scaling
    z_scaling: Scaling
    y_center: float = 0.0
    y_scale: float = 1.0

    @property
    def n(self) -> int:
        return self.x.shape[0]

    @property
    def shared(self) -> bool:
        """Whether the gate reads the experts' columns."""
        return self.z is None

    @property
    def p(self) -> int:
        return self.x.shape[1] + 1

    @property
    def q(self) -> int:
        return (self.x if self.z is None else self.z).shape[1] + 1

    @property
    def weight_sum(self) -> float:
        return float(self.n if self.w is None else self.w.sum())

    def blocks(self, size: int = 4096) -> Iterator[Block]:
        """Cut the rows into scaled blocks. Rows that share an expert (groups) would be kept together here."""
        for start in range(0, self.n, size):
            at = slice(start, min(start + size, self.n))
            x = self.x_scaling.apply(self.x[at])
            z = x if self.z is None else self.z_scaling.apply(self.z[at])
            y = (self.y[at] - self.y_center) / self.y_scale
            w = np.ones(len(y)) if self.w is None else self.w[at]
            yield Block(x, z, y, w, at)

    def parts(self, size: int) -> Iterator[Rows]:
        """Consecutive pieces as views, without copies."""
        for start in range(0, self.n, size):
            at = slice(start, start + size)
            yield replace(
                self,
                x=self.x[at],
                z=None if self.z is None else self.z[at],
                y=self.y[at],
                w=None if self.w is None else self.w[at],
            )

    def take(self, index: np.ndarray) -> Rows:
        """Rows `index` as a copy, with the same scaling."""
        return replace(
            self,
            x=np.ascontiguousarray(self.x[index]),
            z=None if self.z is None else np.ascontiguousarray(self.z[index]),
            y=self.y[index],
            w=None if self.w is None else self.w[index],
        )

    def merged(self) -> Rows:
        """Distinct rows in sorted order, equal ones merged by adding their weights, weight 0 dropped.

        The likelihood is the same function; its value no longer depends on the order of rows or on whether a
        row is weighted twice or written twice.
        """
        return self._merged

    @cached_property
    def _merged(self) -> Rows:
        index, w = merge_rows(self.x, self.z, self.y, self.w)
        return replace(self.take(index), w=w)

    @classmethod
    def plain(cls, x: np.ndarray, z: np.ndarray | None, y: np.ndarray, w: np.ndarray | None) -> Rows:
        """Rows in the user's units."""
        x_unit, z_unit = (
            Scaling(np.zeros(a.shape[1]), np.ones(a.shape[1])) for a in (x, x if z is None else z)
        )
        return cls(x, z, y, w, x_unit, z_unit)

    def on(self, x_scaling: Scaling, z_scaling: Scaling, y_center: float, y_scale: float) -> Rows:
        """The same rows with another scaling; those that are distinct are not looked for again."""
        out = replace(self, x_scaling=x_scaling, z_scaling=z_scaling, y_center=y_center, y_scale=y_scale)
        if "_merged" in self.__dict__:
            out.__dict__["_merged"] = self._merged.on(x_scaling, z_scaling, y_center, y_scale)
        return out


MERGE_LIMIT = 5000  # rows up to which equal rows are merged and sorted before a fit


def merge_rows(
    x: np.ndarray, z: np.ndarray | None, y: np.ndarray, w: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """First occurrences of the distinct rows, sorted, and their summed weights (None where all are one)."""
    columns = np.column_stack([y, x] if z is None else [y, x, z])
    weights = np.ones(len(y)) if w is None else w
    kept = np.flatnonzero(weights > 0)
    order = kept[np.lexsort(columns[kept].T[::-1])]
    columns = columns[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (columns[1:] != columns[:-1]).any(axis=1)
    first = np.flatnonzero(new)
    index = order[first]
    if len(index) == len(y) and w is None:
        return index, None
    return index, np.add.reduceat(weights[order], first)


def sample_rows(rows: Rows, seed: np.random.SeedSequence) -> np.ndarray:
    """A random order of the rows that depends on what is in them, not on where they stand: indices (n,)."""
    return shuffled([rows.y, *rows.x.T, *(() if rows.z is None else rows.z.T)], seed)


def shuffled(columns: Sequence[np.ndarray], seed: np.random.SeedSequence) -> np.ndarray:
    """A random order of rows (n,), from their columns: they are sorted by a seeded hash of their numbers, and
    by a second one of how often the same row came before."""
    a, b = seed.generate_state(2, np.uint64)
    with np.errstate(over="ignore"):
        key = _mixed(_bits(columns[0]), a)
        for j, column in enumerate(columns[1:]):
            key = _mixed(key + _bits(column), a + np.uint64(2 * j + 1))
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        first = np.r_[True, ordered[1:] != ordered[:-1]]
        start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        again = (np.arange(len(order)) - start).astype(np.uint64)
        return order[np.argsort(_mixed(ordered + again, b), kind="stable")]


def _bits(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column, dtype=float).view(np.uint64)


def _mixed(key: np.ndarray, salt: np.uint64) -> np.ndarray:
    """A finaliser of splitmix64."""
    key = (key ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))

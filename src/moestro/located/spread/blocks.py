"""Block-diagonal covariances, up to a permutation of the columns (arXiv 2104.08959)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ...errors import DataError
from .base import SPREAD_FLOOR, Spread, Structure, Tangent, floored, whitened

Partition = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Block:
    """One block of columns, of all components that have it.

    Attributes
    ----------
    components : ndarray of int, shape (m,)
    columns : ndarray of int, shape (d,)
    covariances : ndarray of shape (m, d, d)
    """

    components: np.ndarray
    columns: np.ndarray
    covariances: np.ndarray

    @property
    def here(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the columns of the components are in (k, D)."""
        return self.components[:, None], self.columns

    @cached_property
    def white(self) -> tuple[np.ndarray, np.ndarray]:
        """L^-1 of C = L L', and log |C|."""
        return whitened(self.covariances)

    def part(self, at: slice) -> Block:
        keep = (self.components >= at.start) & (self.components < at.stop)
        return Block(self.components[keep] - at.start, self.columns, self.covariances[keep])


@dataclass(frozen=True)
class BlockSpread(Spread):
    """Variances (k, D) of columns on their own, and the blocks of several columns."""

    variances: np.ndarray
    blocks: tuple[Block, ...]

    @property
    def log_det(self) -> np.ndarray:
        log = np.log(self.variances)
        out = log.sum(axis=1)
        for b in self.blocks:
            out[b.components] += b.white[1] - log[b.here].sum(axis=1)
        return out

    def distances(self, residual: np.ndarray) -> np.ndarray:
        alone = 1.0 / self.variances
        for b in self.blocks:
            alone[b.here] = 0.0
        out = ((residual * residual) @ alone[:, :, None])[:, :, 0]
        for b in self.blocks:
            white = residual[b.components].take(b.columns, axis=2) @ np.swapaxes(b.white[0], 1, 2)
            out[b.components] += np.einsum("knd,knd->kn", white, white)
        return out

    def part(self, at: slice) -> BlockSpread:
        return BlockSpread(self.variances[at], tuple(b.part(at) for b in self.blocks))

    def dense(self) -> np.ndarray:
        out = self.variances[:, :, None] * np.eye(self.variances.shape[1])
        for b in self.blocks:
            out[b.components[:, None, None], b.columns[:, None], b.columns] = b.covariances
        return out

    @property
    def least(self) -> np.ndarray:
        out = self.variances.min(axis=1)
        for b in self.blocks:
            out[b.components] = np.minimum(out[b.components], np.linalg.eigvalsh(b.covariances)[:, 0])
        return out


@dataclass(frozen=True)
class Blocks(Structure):
    """Zero outside the blocks of a partition of the columns.

    Attributes
    ----------
    partitions : tuple of partitions
        One a component, or a single one for all.
    """

    partitions: tuple[Partition, ...] = ()

    name = "blocks"

    def __post_init__(self) -> None:
        if not self.partitions:
            raise DataError("block-diagonal covariances need at least one partition of the columns")
        if self.tied and len(set(self.partitions)) > 1:
            raise DataError("tied covariances have one partition of the columns: give one, or tied=False")

    def of(self, e: int) -> Partition:
        """The partition of component e, counted through all runs."""
        return self.partitions[e % len(self.partitions)]

    def count(self, D: int) -> int:
        raise NotImplementedError("block-diagonal covariances are counted by component, in `size`")

    def size(self, k: int, D: int) -> int:
        counts = [sum(len(b) * (len(b) + 1) // 2 for b in self.of(e)) for e in range(k)]
        return counts[0] if self.tied else sum(counts)

    def tangent(self, e: int, covariance: np.ndarray) -> Tangent:
        pairs = np.array([(i, j) for b in self.of(e) for i in b for j in b if i <= j], dtype=int)
        return Tangent.of_entries(*pairs.reshape(-1, 2).T)

    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        variances = np.maximum(np.diagonal(second, axis1=1, axis2=2), 2 * SPREAD_FLOOR).copy()
        return BlockSpread(
            variances,
            tuple(
                Block(which, at, floored(second[which[:, None, None], at[:, None], at]))
                for which, at in _wide(self.partitions, len(second))
            ),
        )


@lru_cache(maxsize=64)
def _wide(partitions: tuple[Partition, ...], k: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(components, columns) of every block of several columns, of k components."""
    found: dict[tuple[int, ...], list[int]] = {}
    for e in range(k):
        for block in partitions[e % len(partitions)]:
            if len(block) > 1:
                found.setdefault(block, []).append(e)
    return tuple((np.array(which), np.array(block)) for block, which in found.items())


def partition(blocks: Sequence[Sequence[int]], D: int) -> Partition:
    """A checked partition of range(D); columns that no block names stand alone."""
    named = [int(j) for b in blocks for j in b]
    if len(set(named)) < len(named):
        raise DataError("a column is in two blocks")
    wrong = [j for j in named if not 0 <= j < D]
    if wrong:
        raise DataError(f"a block names column {wrong[0]}, but there are {D} columns (0 to {D - 1})")
    alone = [(j,) for j in sorted(set(range(D)) - set(named))]
    return tuple(sorted([tuple(sorted(int(j) for j in b)) for b in blocks if len(b)] + alone))

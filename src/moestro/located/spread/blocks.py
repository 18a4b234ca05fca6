"""Block-diagonal covariances, up to a permutation of the columns (arXiv 2104.08959)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import DataError
from .base import SPREAD_FLOOR, Spread, Structure, Tangent, floored

Partition = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class BlockSpread(Spread):
    """Variances (k, D) of columns on their own; for each component its larger blocks, with covariances."""

    variances: np.ndarray
    blocks: tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]  # component -> (columns, covariance)

    @property
    def log_det(self) -> np.ndarray:
        out = np.log(self.variances).sum(axis=1)
        for e, parts in enumerate(self.blocks):
            for at, covariance in parts:
                out[e] += np.linalg.slogdet(covariance)[1] - np.log(self.variances[e, at]).sum()
        return out

    def distances(self, residual: np.ndarray) -> np.ndarray:
        alone = 1.0 / self.variances
        for e, parts in enumerate(self.blocks):
            for at, _ in parts:
                alone[e, at] = 0.0
        out = ((residual * residual) @ alone[:, :, None])[:, :, 0]
        for e, parts in enumerate(self._white):
            for at, inverse_root in parts:
                white = residual[e][:, at] @ inverse_root
                out[e] += np.einsum("nd,nd->n", white, white)
        return out

    def part(self, at: slice) -> BlockSpread:
        return BlockSpread(self.variances[at], self.blocks[at])

    @cached_property
    def _white(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], ...]:
        """(columns, L^-1') of each block's C = L L'."""
        return tuple(
            [(at, np.linalg.inv(np.linalg.cholesky(C)).T) for at, C in parts] for parts in self.blocks
        )

    def dense(self) -> np.ndarray:
        out = self.variances[:, :, None] * np.eye(self.variances.shape[1])
        for e, parts in enumerate(self.blocks):
            for at, covariance in parts:
                out[e][np.ix_(at, at)] = covariance
        return out

    @property
    def least(self) -> np.ndarray:
        out = self.variances.min(axis=1)
        for e, parts in enumerate(self.blocks):
            for _, covariance in parts:
                out[e] = min(out[e], np.linalg.eigvalsh(covariance)[0])
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
        parts = []
        for e in range(len(second)):
            wide = [np.array(b) for b in self.of(e) if len(b) > 1]
            parts.append(tuple((at, floored(second[e][np.ix_(at, at)])) for at in wide))
        return BlockSpread(variances, tuple(parts))


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

"""Full covariances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .base import Spread, Structure, floored, whitened


@dataclass(frozen=True)
class FullSpread(Spread):
    """Covariances (k, D, D)."""

    covariances: np.ndarray

    @cached_property
    def _white(self) -> tuple[np.ndarray, np.ndarray]:
        """L^-1 of C = L L', and log |C|."""
        return whitened(self.covariances)

    @property
    def log_det(self) -> np.ndarray:
        return self._white[1]

    def distances(self, residual: np.ndarray) -> np.ndarray:
        white = residual @ np.swapaxes(self._white[0], 1, 2)
        return np.einsum("knd,knd->kn", white, white)

    def part(self, at: slice) -> FullSpread:
        return FullSpread(self.covariances[at])

    def dense(self) -> np.ndarray:
        return self.covariances

    @property
    def least(self) -> np.ndarray:
        if not self.covariances.shape[1]:
            return np.full(len(self.covariances), np.inf)
        return np.linalg.eigvalsh(self.covariances)[:, 0]


@dataclass(frozen=True)
class Full(Structure):
    """Any positive definite matrix."""

    name = "full"

    def count(self, D: int) -> int:
        return D * (D + 1) // 2

    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        return FullSpread(floored(second))

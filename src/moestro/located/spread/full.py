"""Full covariances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .base import Spread, Structure, floored


@dataclass(frozen=True)
class FullSpread(Spread):
    """Covariances (k, D, D)."""

    covariances: np.ndarray

    @cached_property
    def _white(self) -> tuple[np.ndarray, np.ndarray]:
        """L^-1 of C = L L', and log |C|."""
        root = np.linalg.cholesky(self.covariances)
        log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.inv(root), log_det

    @property
    def log_det(self) -> np.ndarray:
        return self._white[1]

    def distance(self, e: int, residual: np.ndarray) -> np.ndarray:
        white = residual @ self._white[0][e].T
        return np.einsum("nd,nd->n", white, white)

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

    def maximum(self, second: np.ndarray, previous: Spread | None) -> Spread:
        return FullSpread(floored(second))

"""Low rank plus diagonal: covariances of latent factors, L L' + diag(s)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .base import SPREAD_FLOOR, Spread, Structure

INNER = 5  # EM steps of the factor model within one M-step


@dataclass(frozen=True)
class FactorSpread(Spread):
    """Loadings L (k, D, f) and variances s (k, D)."""

    loadings: np.ndarray
    variances: np.ndarray

    @cached_property
    def _capacity(self) -> tuple[np.ndarray, np.ndarray]:
        """Chol(I + L' S^-1 L) (k, f, f) and S^-1 L (k, D, f)."""
        scaled = self.loadings / self.variances[:, :, None]
        inner = np.eye(self.loadings.shape[2]) + np.swapaxes(self.loadings, 1, 2) @ scaled
        return np.linalg.cholesky(inner), scaled

    @property
    def log_det(self) -> np.ndarray:
        root = self._capacity[0]
        return np.log(self.variances).sum(axis=1) + 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(
            axis=1
        )

    def distance(self, e: int, residual: np.ndarray) -> np.ndarray:
        # Woodbury: r' C^-1 r = r' S^-1 r - |chol^-1 L' S^-1 r|^2
        root, scaled = self._capacity
        inner = np.linalg.solve(root[e], (residual @ scaled[e]).T)
        return (residual * residual) @ (1.0 / self.variances[e]) - np.einsum("fn,fn->n", inner, inner)

    def dense(self) -> np.ndarray:
        D = self.variances.shape[1]
        return self.loadings @ np.swapaxes(self.loadings, 1, 2) + self.variances[:, :, None] * np.eye(D)

    @property
    def least(self) -> np.ndarray:
        return self.variances.min(axis=1)


@dataclass(frozen=True)
class Factors(Structure):
    """L L' + diag(s), L of `rank` columns.

    Attributes
    ----------
    rank : int
    """

    rank: int = 1

    name = "factors"

    def count(self, D: int) -> int:
        f = min(self.rank, D)
        return D + D * f - f * (f - 1) // 2  # L is known up to a rotation

    def maximum(self, second: np.ndarray, previous: Spread | None) -> Spread:
        second = 0.5 * (second + np.swapaxes(second, 1, 2))
        spread = previous if isinstance(previous, FactorSpread) else self._first(second)
        for _ in range(INNER):
            spread = _em_step(spread, second)
        return spread

    def _first(self, second: np.ndarray) -> FactorSpread:
        """Principal components of the correlations."""
        sd = np.sqrt(np.maximum(np.diagonal(second, axis1=1, axis2=2), 2 * SPREAD_FLOOR))
        values, vectors = np.linalg.eigh(second / sd[:, :, None] / sd[:, None, :])
        D = second.shape[1]
        f = min(self.rank, D)
        rest = np.maximum(values[:, : max(D - f, 1)].mean(axis=1), 1e-3)
        size = np.sqrt(np.maximum(values[:, D - f :] - rest[:, None], 1e-3))
        loadings = sd[:, :, None] * vectors[:, :, D - f :] * size[:, None, :]
        variances = np.maximum(
            np.diagonal(second, axis1=1, axis2=2) - (loadings**2).sum(axis=2), 0.01 * sd**2
        )
        return FactorSpread(loadings, np.maximum(variances, 2 * SPREAD_FLOOR))


def _em_step(spread: FactorSpread, second: np.ndarray) -> FactorSpread:
    """EM of factor analysis on second moments (Rubin and Thayer, 1982): never lowers the likelihood."""
    root, scaled = spread._capacity
    inverse = np.linalg.inv(root @ np.swapaxes(root, 1, 2))  # Var(z | r)
    regress = scaled @ inverse  # r -> E[z | r], transposed: (k, D, f)
    moment = second @ regress
    inner = inverse + np.swapaxes(regress, 1, 2) @ moment
    loadings = np.swapaxes(np.linalg.solve(inner, np.swapaxes(moment, 1, 2)), 1, 2)
    variances = np.diagonal(second, axis1=1, axis2=2) - np.einsum("kdf,kdf->kd", loadings, moment)
    return FactorSpread(loadings, np.maximum(variances, 2 * SPREAD_FLOOR))

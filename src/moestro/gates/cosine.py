"""Cosine gates (arXiv 2405.14131): v = beta_0 + cos(beta_1, x) / tau.

The cosine does not feel the length of beta_1, so that direction is never identified and every fit says so.
The perturbed cosine beta_1' x / ((|beta_1| + tau_1) (|x| + tau_2)) does feel it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import DataError
from .base import Feature, Gate


@dataclass(frozen=True)
class CosineGate(Gate):
    """Softmax of cosines between x and k directions over a temperature, plus a bias; the shared parameter is
    log(tau)."""

    name: ClassVar[str] = "cosine"
    shared: ClassVar[tuple[str, ...]] = ("log(temperature)",)
    tau_1: ClassVar[float] = 0.0
    tau_2: ClassVar[float] = 0.0

    def initial(self, k: int, q: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.zeros((k, q))
        for t in range(k if q > 1 else 0):  # zero has no direction: the axes in turn, forth and back
            rows[t, 1 + t % (q - 1)] = 1.0 if (t // (q - 1)) % 2 == 0 else -1.0
        return rows, np.zeros(1)

    def _parts(
        self, row: np.ndarray, shared: np.ndarray, z: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Unit direction of beta_1, scaled inputs c (n, q - 1), |beta_1| and |beta_1| + tau_1."""
        length = max(float(np.linalg.norm(row[1:])), 1e-12)
        size = np.linalg.norm(z[:, 1:], axis=1) + self.tau_2
        c = z[:, 1:] * (np.exp(-shared[0]) / np.maximum(size, 1e-12))[:, None]
        return row[1:] / length, c, length, length + self.tau_1

    def _angles(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        out = np.empty((len(z), len(rows)))
        for t, row in enumerate(rows):
            _, c, _, r = self._parts(row, shared, z)
            out[:, t] = c @ row[1:] / r
        return out

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return rows[:, 0] + self._angles(rows, shared, z)

    def _slope(self, row: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        unit, c, _, r = self._parts(row, shared, z)
        return c / r - np.outer(c @ row[1:] / r**2, unit)

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        q, angle, out = z.shape[1], self._angles(rows, shared, z), []
        for t, row in enumerate(rows):
            columns = np.column_stack([np.ones(len(z)), self._slope(row, shared, z), -angle[:, t]])
            out.append((columns, np.append(np.arange(t * q, (t + 1) * q), rows.size)))
        return out

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        q, angle = z.shape[1], self._angles(rows, shared, z)
        out = np.zeros((rows.size + 1, rows.size + 1))
        for t, row in enumerate(rows):
            unit, c, length, r = self._parts(row, shared, z)
            pull, inner = c.T @ d[:, t], float(d[:, t] @ (c @ row[1:]))
            at = slice(t * q + 1, (t + 1) * q)
            uu = np.outer(unit, unit)
            out[at, at] = (
                -(np.outer(pull, unit) + np.outer(unit, pull)) / r**2
                + 2 * inner / r**3 * uu
                - inner / r**2 * (np.eye(q - 1) - uu) / length
            )
            cross = -(self._slope(row, shared, z).T @ d[:, t])
            out[at, -1] += cross
            out[-1, at] += cross
            out[-1, -1] += float(angle[:, t] @ d[:, t])
        return out


@dataclass(frozen=True)
class PerturbedCosineGate(CosineGate):
    """Softmax of beta_1' x / ((|beta_1| + tau_1) (|x| + tau_2)) over a temperature, plus a bias.

    Parameters
    ----------
    tau_1, tau_2 : float
        Positive, held fixed.
    """

    tau_1: float = 0.1  # type: ignore[misc]
    tau_2: float = 0.1  # type: ignore[misc]
    name: ClassVar[str] = "perturbed-cosine"

    def __post_init__(self) -> None:
        if not (self.tau_1 > 0 and self.tau_2 > 0):
            raise DataError(f"tau_1 and tau_2 must be positive, got {self.tau_1!r} and {self.tau_2!r}")

    def options(self) -> dict[str, Any]:
        return {"tau_1": float(self.tau_1), "tau_2": float(self.tau_2)}

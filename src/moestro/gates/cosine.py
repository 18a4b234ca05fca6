"""Cosine gates (arXiv 2405.14131): v = beta_0 + cos(beta_1, x) / tau.

The cosine does not feel the length of beta_1, so that direction is never identified and every fit says so.
The perturbed cosine beta_1' x / ((|beta_1| + tau_1) (|x| + tau_2)) does feel it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
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

    def _inputs(self, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Scaled inputs c (n, q - 1), those of all experts."""
        size = np.linalg.norm(z[:, 1:], axis=1) + self.tau_2
        return z[:, 1:] * (np.exp(-shared[0]) / np.maximum(size, 1e-12))[:, None]

    def _lengths(self, row: np.ndarray) -> tuple[float, float]:
        """|beta_1| and |beta_1| + tau_1."""
        slopes = row[1:]
        length = max(sqrt(slopes.dot(slopes)), 1e-12)
        return length, length + self.tau_1

    def _angles(self, rows: np.ndarray, c: np.ndarray) -> np.ndarray:
        out = np.empty((len(c), len(rows)))
        for t, row in enumerate(rows):
            out[:, t] = c @ row[1:] / self._lengths(row)[1]
        return out

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return rows[:, 0] + self._angles(rows, self._inputs(shared, z))

    def _slope(self, row: np.ndarray, c: np.ndarray) -> np.ndarray:
        length, r = self._lengths(row)
        return c / r - np.outer(c @ row[1:] / r**2, row[1:] / length)

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        q, c, out = z.shape[1], self._inputs(shared, z), []
        angle = self._angles(rows, c)
        for t, row in enumerate(rows):
            columns = np.empty((len(z), q + 1))
            columns[:, 0], columns[:, 1:-1], columns[:, -1] = 1.0, self._slope(row, c), -angle[:, t]
            out.append((columns, np.append(np.arange(t * q, (t + 1) * q), rows.size)))
        return out

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        q, c = z.shape[1], self._inputs(shared, z)
        angle = self._angles(rows, c)
        out = np.zeros((rows.size + 1, rows.size + 1))
        for t, row in enumerate(rows):
            length, r = self._lengths(row)
            unit = row[1:] / length
            pull, inner = c.T @ d[:, t], float(d[:, t] @ (c @ row[1:]))
            at = slice(t * q + 1, (t + 1) * q)
            uu = np.outer(unit, unit)
            out[at, at] = (
                -(np.outer(pull, unit) + np.outer(unit, pull)) / r**2
                + 2 * inner / r**3 * uu
                - inner / r**2 * (np.eye(q - 1) - uu) / length
            )
            cross = -(self._slope(row, c).T @ d[:, t])
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

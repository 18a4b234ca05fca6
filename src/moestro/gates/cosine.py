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

    def _inputs(self, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Scaled inputs c (n, q - 1), those of all experts."""
        size = np.linalg.norm(z[:, 1:], axis=1) + self.tau_2
        return z[:, 1:] * (np.exp(-shared[0]) / np.maximum(size, 1e-12))[:, None]

    def _lengths(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|beta_1| and |beta_1| + tau_1 of all experts, (k,)."""
        slopes = rows[:, 1:]
        length = np.maximum(np.sqrt((slopes * slopes).sum(axis=1)), 1e-12)
        return length, length + self.tau_1

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return rows[:, 0] + self._inputs(shared, z) @ rows[:, 1:].T / self._lengths(rows)[1]

    def _slopes(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scaled inputs c (n, q - 1), angles (n, k), and their derivatives in beta_1, (n, k, q - 1)."""
        c = self._inputs(shared, z)
        length, r = self._lengths(rows)
        angle = c @ rows[:, 1:].T / r
        along = angle[:, :, None] * (rows[:, 1:] / (length * r)[:, None])
        return c, angle, c[:, None, :] / r[:, None] - along

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        (k, q), (_, angle, slopes) = rows.shape, self._slopes(rows, shared, z)
        columns = np.empty((k, len(z), q + 1))
        columns[:, :, 0], columns[:, :, 1:-1], columns[:, :, -1] = 1.0, slopes.swapaxes(0, 1), -angle.T
        return [(columns[t], np.append(np.arange(t * q, (t + 1) * q), rows.size)) for t in range(k)]

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        (k, q), (c, angle, slopes) = rows.shape, self._slopes(rows, shared, z)
        length, r = self._lengths(rows)
        unit, pull = rows[:, 1:] / length[:, None], d.T @ c / (r**2)[:, None]
        turn = (angle * d).sum(axis=0)
        cross = -np.einsum("nk,nkj->kj", d, slopes)
        out = np.zeros((rows.size + 1, rows.size + 1))
        for t in range(k):
            at, mixed = slice(t * q + 1, (t + 1) * q), np.outer(pull[t], unit[t])
            uu = np.outer(unit[t], unit[t])
            out[at, at] = (
                2 * turn[t] / r[t] ** 2 * uu
                - mixed
                - mixed.T
                - turn[t] / (r[t] * length[t]) * (np.eye(q - 1) - uu)
            )
            out[at, -1] = out[-1, at] = cross[t]
        out[-1, -1] = turn.sum()
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

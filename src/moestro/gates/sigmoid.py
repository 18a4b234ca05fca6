"""The normalised sigmoid gate: pi_i = sigma(u_i) / sum_j sigma(u_j), u_i = beta_0i + beta_1i' x, every expert
free.

Sigmoid gates have no translation (arXiv 2405.13997; normalised for classification in 2602.01466). As scores
of a softmax they are v = log sigma(u).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Feature, Gate


@dataclass(frozen=True)
class SigmoidGate(Gate):
    """Sigmoids of k free linear scores, divided by their sum."""

    name: ClassVar[str] = "sigmoid"
    translations: ClassVar[tuple[str, ...]] = ()
    scaling: ClassVar[str] = "affine"
    bound: ClassVar[float] = 1e4

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0.0, -(z @ rows.T))

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        q, off = z.shape[1], _off(rows, z)
        return [(z * off[:, t, None], slice(t * q, (t + 1) * q)) for t in range(len(rows))]

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        q, off = z.shape[1], _off(rows, z)
        out = np.zeros((rows.size, rows.size))
        for t in range(len(rows)):
            at = slice(t * q, (t + 1) * q)
            out[at, at] = (z * (-d[:, t] * off[:, t] * (1 - off[:, t]))[:, None]).T @ z
        return out


def _off(rows: np.ndarray, z: np.ndarray) -> np.ndarray:
    """1 - sigma(u), shape (n, k)."""
    return 0.5 * (1.0 - np.tanh(0.5 * (z @ rows.T)))

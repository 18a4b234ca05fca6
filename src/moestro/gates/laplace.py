"""The Laplace gate: v_i = beta_0i - |x - W_i|, in Euclidean norm and in the units of x (arXiv 2402.03226).

The norm has a kink where x meets an atom; it is rounded off within `KINK` of it, so that derivatives exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Feature, Gate

KINK = 1e-6


@dataclass(frozen=True)
class LaplaceGate(Gate):
    """Softmax of minus the distances to k locations, plus a bias. The locations are the gate's slopes."""

    name: ClassVar[str] = "laplace"

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return rows[:, 0] - np.stack([_gap(row, z)[1] for row in rows], axis=1)

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        q, out = z.shape[1], []
        for t, row in enumerate(rows):
            gap, distance = _gap(row, z)
            columns = np.column_stack([np.ones(len(z)), gap / distance[:, None]])
            out.append((columns, slice(t * q, (t + 1) * q)))
        return out

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        q = z.shape[1]
        out = np.zeros((rows.size, rows.size))
        for t, row in enumerate(rows):
            gap, distance = _gap(row, z)
            weight = d[:, t] / distance
            unit = gap / distance[:, None]
            at = slice(t * q + 1, (t + 1) * q)
            out[at, at] = (unit * weight[:, None]).T @ unit - weight.sum() * np.eye(q - 1)
        return out


def _gap(row: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x - W (n, q - 1) and its length (n,)."""
    gap = z[:, 1:] - row[1:]
    return gap, np.sqrt((gap**2).sum(axis=1) + KINK**2)

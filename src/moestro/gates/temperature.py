"""Gates with a temperature that is estimated (arXiv 2401.13875).

The dense-to-sparse gate divides linear scores by tau: v = (beta_0 + beta_1' x) / tau. Then d v / d tau is a
combination of the derivatives in beta, so beta and tau are known only together and every fit says so (status
"flat"). The remedy is an activation: v = (sigma(beta_1' x) + beta_0) / tau.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import DataError
from .base import Feature, Gate, LinearGate

# Activations with their first and second derivatives.
ACTIVATIONS = ("sigmoid", "tanh")


@dataclass(frozen=True)
class TemperatureGate(LinearGate):
    """Softmax of linear scores over a temperature; the shared parameter is log(tau)."""

    name: ClassVar[str] = "temperature"
    shared: ClassVar[tuple[str, ...]] = ("log(temperature)",)

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return super().scores(rows, shared, z) * np.exp(-shared[0])

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        v = self.scores(rows, shared, z)
        return _with_temperature(rows, z, [z * np.exp(-shared[0])] * len(rows), v)

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        v, q = self.scores(rows, shared, z), z.shape[1]
        out = np.zeros((rows.size + 1, rows.size + 1))
        for t in range(len(rows)):
            _add_curvature(out, slice(t * q, (t + 1) * q), z * np.exp(-shared[0]), v[:, t], d[:, t])
        return out


@dataclass(frozen=True)
class ActivatedTemperatureGate(Gate):
    """Softmax of (sigma(beta_1' x) + beta_0) / tau; the shared parameter is log(tau).

    Parameters
    ----------
    activation : {"sigmoid", "tanh"}
    """

    activation: str = "sigmoid"
    name: ClassVar[str] = "activated-temperature"
    scaling: ClassVar[str] = "scale"
    shared: ClassVar[tuple[str, ...]] = ("log(temperature)",)
    bound: ClassVar[float] = 1e4

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise DataError(
                f"activation={self.activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}"
            )

    def options(self) -> dict[str, Any]:
        return {"activation": self.activation}

    def _activate(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """sigma, sigma' and sigma'' at s."""
        if self.activation == "tanh":
            t = np.tanh(s)
            return t, 1 - t**2, -2 * t * (1 - t**2)
        t = 0.5 * (1.0 + np.tanh(0.5 * s))
        return t, t * (1 - t), t * (1 - t) * (1 - 2 * t)

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return (self._activate(z[:, 1:] @ rows[:, 1:].T)[0] + rows[:, 0]) * np.exp(-shared[0])

    def _slopes(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
        first = self._activate(z[:, 1:] @ rows[:, 1:].T)[1]
        out = []
        for t in range(len(rows)):
            columns = z * first[:, t, None]
            columns[:, 0] = 1.0
            out.append(columns * np.exp(-shared[0]))
        return out

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        return _with_temperature(rows, z, self._slopes(rows, shared, z), self.scores(rows, shared, z))

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        v, q = self.scores(rows, shared, z), z.shape[1]
        second = self._activate(z[:, 1:] @ rows[:, 1:].T)[2] * np.exp(-shared[0])
        out = np.zeros((rows.size + 1, rows.size + 1))
        for t, columns in enumerate(self._slopes(rows, shared, z)):
            _add_curvature(out, slice(t * q, (t + 1) * q), columns, v[:, t], d[:, t])
            at = slice(t * q + 1, (t + 1) * q)
            out[at, at] += (z[:, 1:] * (d[:, t] * second[:, t])[:, None]).T @ z[:, 1:]
        return out


def _with_temperature(
    rows: np.ndarray, z: np.ndarray, slopes: list[np.ndarray], v: np.ndarray
) -> list[Feature]:
    """Each row's own columns, then d v / d log(tau) = -v."""
    q = z.shape[1]
    return [
        (np.column_stack([columns, -v[:, t]]), np.append(np.arange(t * q, (t + 1) * q), rows.size))
        for t, columns in enumerate(slopes)
    ]


def _add_curvature(out: np.ndarray, at: slice, columns: np.ndarray, v: np.ndarray, d: np.ndarray) -> None:
    """d2 v / d row d log(tau) = -dv/drow and d2 v / d log(tau)^2 = v."""
    cross = -(columns.T @ d)
    out[at, -1] += cross
    out[-1, at] += cross
    out[-1, -1] += float(v @ d)

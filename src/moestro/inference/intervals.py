"""Bootstrap intervals from the draws themselves."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from ..errors import DataError

INTERVALS = ("normal", "percentile", "basic", "bca")


def drawn_interval(
    how: str, estimate: float, draws: np.ndarray, level: float, acceleration: float = 0.0
) -> tuple[float, float]:
    """Low and high of one parameter from its draws (B,).

    "percentile" takes their quantiles at (1 - level) / 2 and one minus that, "basic" mirrors these at the
    estimate, "bca" moves the probabilities by the bias z0 = Phi^-1(share of draws below the estimate) and the
    acceleration a: Phi(z0 + (z0 + z) / (1 - a (z0 + z))) (Efron, 1987).
    """
    if how not in INTERVALS[1:]:
        raise DataError(f"interval={how!r} is unknown: choose one of {', '.join(INTERVALS)}")
    tail = (1 - level) / 2
    at = np.array([tail, 1 - tail])
    if how == "bca":
        B = len(draws)
        below = np.count_nonzero(draws < estimate) + 0.5 * np.count_nonzero(draws == estimate)
        z0 = ndtri(np.clip(below / B, 0.5 / B, 1 - 0.5 / B))
        z = z0 + ndtri(at)
        at = ndtr(z0 + z / (1 - acceleration * z))
    low, high = np.quantile(draws, at)
    return (2 * estimate - high, 2 * estimate - low) if how == "basic" else (float(low), float(high))

"""What families of positive numbers with a log-linear mean share."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .base import Facts

ETA_CAP = 300.0  # exp(300)^2 is still a double
LOG_MEAN_BOUND = 100.0
# Of a squared coefficient of variation; the lower one keeps the likelihood bounded.
DISPERSION_BOUNDS = (1e-8, 1e4)


class Positive(Facts):
    """What holds of laws of positive numbers, of which most have the log of a squared scale as a nuisance."""

    what: str  # "a gamma"
    nuisances = 1
    nuisance_units = (0.0,)

    def supports(self, y: np.ndarray) -> np.ndarray:
        return y > 0

    def check_response(self, y: np.ndarray) -> None:
        if (y <= 0).any():
            raise DataError(f"{self.what} response holds positive numbers, and this one has {y.min():g}")

    def check_variety(self, y: np.ndarray) -> None:
        if np.ptp(y) <= 1e-13 * y.max():
            raise DataError(
                f"the response is constant: its dispersion is zero and {self.what} expert cannot be fitted"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray:
        return -np.log(y)

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        return np.log(y)

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return -0.5 * nuisances[..., 0]


def mean_of(eta: np.ndarray) -> np.ndarray:
    """exp(eta_0), within doubles."""
    return np.exp(np.clip(eta[..., 0], -ETA_CAP, ETA_CAP))


def log_mean(y: np.ndarray, w: np.ndarray, offset: np.ndarray | float) -> np.ndarray:
    """The intercept at which the mean is that of y exp(-offset), and the log of its squared coefficient of
    variation, (2,)."""
    free = y * np.exp(-np.clip(offset, -ETA_CAP, ETA_CAP))
    mean = np.average(free, weights=w)
    squared = np.average((free / mean - 1) ** 2, weights=w)
    return np.array([np.log(mean), np.log(np.clip(squared, 0.01, 10.0))])

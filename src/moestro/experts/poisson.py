"""Poisson experts: y | eta ~ Poisson(exp(eta))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts

ETA_CAP = 300.0  # exp(300)^2 is still a double; twin: core/families.hpp
LOG_RATE_BOUND = 100.0
LARGEST = 2.0**53  # whole numbers above it are not all doubles


@dataclass(frozen=True)
class Poisson(Facts):
    """Counts with a log-linear rate."""

    name: str = "poisson"

    discrete = True

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Poisson:
        """From the options that a user gives."""
        return cls()

    def check_response(self, y: np.ndarray) -> None:
        if (y < 0).any():
            raise DataError("a Poisson response cannot be negative: counts are 0, 1, 2, ...")
        if (y > LARGEST).any():
            raise DataError(
                "a Poisson response above 2^53 is no exact count in double precision: use family='gaussian'"
            )
        if (y != np.floor(y)).any():
            raise DataError(
                "a Poisson response must hold whole numbers: use family='gaussian' for other values"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        return -gammaln(y + 1.0)

    def _rate(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(eta[..., 0], ETA_CAP))

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return y * np.minimum(eta[..., 0], ETA_CAP) - self._rate(eta)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (y - self._rate(eta))[..., None]

    def information(self, eta: np.ndarray) -> np.ndarray:
        return self._rate(eta)[..., None, None]

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -np.broadcast_to(self.information(eta), (*np.broadcast(eta[..., 0], y).shape, 1, 1))

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return self._rate(eta)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return self._rate(eta)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.poisson(np.minimum(self._rate(eta), 1e18)).astype(float)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import pdtr

        y = np.floor(y)
        return np.where(y < 0, 0.0, pdtr(np.maximum(y, 0.0), self._rate(eta)))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        exposure = np.average(np.broadcast_to(np.exp(np.minimum(offset, ETA_CAP)), y.shape), weights=w)
        return np.array([np.log(max(float(np.average(y, weights=w)), 1e-3) / exposure)])

    def spread(self, y: np.ndarray) -> np.ndarray:
        return np.log1p(y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        high = np.array([10 * LOG_RATE_BOUND, LOG_RATE_BOUND, np.inf])
        return -high, high

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return np.zeros(nuisances.shape[:-1])

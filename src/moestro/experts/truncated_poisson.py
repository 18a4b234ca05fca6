"""Zero-truncated Poisson experts: y | eta ~ Poisson(exp(eta)) given that it is not zero.

log f = y eta - exp(eta) - log(1 - exp(-exp(eta))) - log y!,   y = 1, 2, ...

Beside 'zero' it makes a hurdle model: the gate alone says whether a count is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts, predictor_bounds
from .poisson import ETA_CAP, LOG_RATE_BOUND, Poisson

PLAIN = Poisson()
SMALL = 1e-4  # rate below which the variance is a series


def _rate(eta: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(eta[..., 0], ETA_CAP))


def _some(rate: np.ndarray) -> np.ndarray:
    """P(Y > 0) of a Poisson count."""
    return -np.expm1(-np.maximum(rate, 1e-300))


@dataclass(frozen=True)
class TruncatedPoisson(Facts):
    """Counts above zero, log-linear in the rate that they have before the truncation."""

    name: str = "truncated-poisson"

    discrete = True

    def supports(self, y: np.ndarray) -> np.ndarray:
        return (y > 0) & (y == np.floor(y))

    def check_response(self, y: np.ndarray) -> None:
        if (y == 0).any():
            raise DataError("a truncated Poisson response has no zeros: name 'zero' as another expert")
        PLAIN.check_response(y)

    def log_base(self, y: np.ndarray) -> np.ndarray:
        return PLAIN.log_base(y)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return PLAIN.log_density(eta, y) - np.log(_some(_rate(eta)))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        rate = np.minimum(_rate(eta), 700.0)
        return PLAIN.score(eta, y) - (rate / np.expm1(np.maximum(rate, 1e-300)))[..., None]

    def information(self, eta: np.ndarray) -> np.ndarray:
        return self.variance(eta)[..., None, None]

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -np.broadcast_to(self.information(eta), (*np.broadcast(eta[..., 0], y).shape, 1, 1))

    def mean(self, eta: np.ndarray) -> np.ndarray:
        rate = _rate(eta)
        return np.maximum(rate, 1e-300) / _some(rate)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """mu (1 + rate - mu)."""
        rate, mean = _rate(eta), self.mean(eta)
        return mean * np.where(rate < SMALL, rate / 2 - rate**2 / 12, 1 + rate - mean)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The first event of a Poisson process comes before its end; the others follow it."""
        rate = np.minimum(_rate(eta), 1e18)
        first = -np.log1p(-rng.random(rate.shape) * _some(rate))
        return 1.0 + rng.poisson(np.maximum(rate - first, 0.0))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import pdtrc

        rate, y = np.maximum(_rate(eta), 1e-300), np.floor(y)
        return np.where(y < 1, 0.0, 1.0 - pdtrc(np.maximum(y, 0.0), rate) / _some(rate))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        exposure = np.average(np.broadcast_to(np.exp(np.minimum(offset, ETA_CAP)), y.shape), weights=w)
        mean = max(float(np.average(y, weights=w)), 1.001)
        rate = mean
        for _ in range(100):  # mean = rate / P(Y > 0)
            rate = mean * -np.expm1(-rate)
        return np.array([np.log(rate / exposure)])

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        return PLAIN.on_link_scale(y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_RATE_BOUND)

"""Gamma experts: positive numbers with mean mu = exp(eta_0) and variance phi mu^2, the dispersion
phi = exp(eta_1) a nuisance.

log f = a ln a - lnG(a) - a eta_0 + (a - 1) ln y - a y / mu,   a = 1 / phi
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import predictor_bounds, trigamma
from .positive import DISPERSION_BOUNDS, LOG_MEAN_BOUND, Positive, log_mean, mean_of


@dataclass(frozen=True)
class Gamma(Positive):
    """Positive numbers with a log-linear mean and a constant coefficient of variation in each expert."""

    name: str = "gamma"

    what = "a gamma"
    nuisance_names = ("log(dispersion)",)
    boundaries = (("", "the dispersion is at its upper bound"),)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        a, log_ratio = np.exp(-eta[..., 1]), np.log(y) - eta[..., 0]
        return a * (log_ratio - eta[..., 1] - y / mean_of(eta)) - gammaln(a)

    @staticmethod
    def _d_a(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """d log f / d a."""
        from scipy.special import digamma

        a = np.exp(-eta[..., 1])
        return 1 - eta[..., 1] + np.log(y) - eta[..., 0] - y / mean_of(eta) - digamma(a)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        a = np.exp(-eta[..., 1])
        return np.stack([a * (y / mean_of(eta) - 1), -a * self._d_a(eta, y)], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        a, ratio = np.exp(-eta[..., 1]), y / mean_of(eta)
        out = np.empty((*ratio.shape, 2, 2))
        out[..., 0, 0] = -a * ratio
        out[..., 0, 1] = out[..., 1, 0] = -a * (ratio - 1)
        out[..., 1, 1] = a * self._d_a(eta, y) - self._information(a)
        return out

    @staticmethod
    def _information(a: np.ndarray) -> np.ndarray:
        """a^2 trigamma(a) - a, without cancellation."""
        large = np.maximum(a, 1e4)
        return np.where(a > 1e4, 0.5 + 1 / (6 * large), a**2 * trigamma(a) - a)

    def information(self, eta: np.ndarray) -> np.ndarray:
        a = np.exp(-eta[..., 1])
        out = np.zeros((*a.shape, 2, 2))
        out[..., 0, 0] = a
        out[..., 1, 1] = self._information(a)
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return mean_of(eta)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return mean_of(eta) ** 2 * np.exp(eta[..., 1])

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        a = np.exp(-eta[..., 1])
        return np.maximum(rng.gamma(a, mean_of(eta) / a), np.finfo(float).tiny)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammainc

        a = np.exp(-eta[..., 1])
        return gammainc(a, a * np.maximum(y, 0.0) / mean_of(eta))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return log_mean(y, w, offset)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_MEAN_BOUND, *np.log(DISPERSION_BOUNDS))

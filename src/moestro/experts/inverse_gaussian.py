"""Inverse Gaussian experts: positive numbers with mean mu = exp(eta_0) and variance phi mu^3, the dispersion
phi = exp(eta_1) a nuisance.

log f = -[ln 2 pi + eta_1 + 3 ln y + (y - mu)^2 / (phi mu^2 y)] / 2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import predictor_bounds
from .gaussian import LOG_2PI
from .positive import LOG_MEAN_BOUND, Positive, log_mean, mean_of

LOG_LARGEST = 709.0  # logarithm of a number that is still one

PHI_BOUNDS = (1e-12, 1e12)  # per unit of the response


@dataclass(frozen=True)
class InverseGaussian(Positive):
    """Positive numbers with a log-linear mean and a heavy right tail."""

    name: str = "inverse-gaussian"

    what = "an inverse Gaussian"
    nuisance_names = ("log(dispersion)",)
    boundaries = (("", "the dispersion is at its upper bound"),)

    def log_base(self, y: np.ndarray) -> np.ndarray:
        return -0.5 * (LOG_2PI + 3 * np.log(y))

    @staticmethod
    def _square(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(y - mu)^2 / (phi mu^2 y)."""
        return (y / mean_of(eta) - 1) ** 2 / y * np.exp(-eta[..., 1])

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -0.5 * (eta[..., 1] + self._square(eta, y))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        mu = mean_of(eta)
        own = (y / mu - 1) / mu * np.exp(-eta[..., 1])
        return np.stack([own, 0.5 * (self._square(eta, y) - 1)], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        mu, precision = mean_of(eta), np.exp(-eta[..., 1])
        ratio = y / mu
        out = np.empty((*ratio.shape, 2, 2))
        out[..., 0, 0] = (1 - 2 * ratio) / mu * precision
        out[..., 0, 1] = out[..., 1, 0] = -(ratio - 1) / mu * precision
        out[..., 1, 1] = -0.5 * self._square(eta, y)
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        out = np.zeros((*eta.shape[:-1], 2, 2))
        out[..., 0, 0] = np.exp(-eta[..., 1]) / mean_of(eta)
        out[..., 1, 1] = 0.5
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return mean_of(eta)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(eta[..., 1] + 3.0 * eta[..., 0], LOG_LARGEST))

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.wald(mean_of(eta), np.exp(-eta[..., 1]))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import log_ndtr, ndtr

        mu, y = mean_of(eta), np.asarray(y, dtype=float)
        inside = np.maximum(y, np.finfo(float).tiny)
        root = np.exp(-0.5 * eta[..., 1]) / np.sqrt(inside)
        second = np.exp(2 * np.exp(-eta[..., 1]) / mu + log_ndtr(-root * (inside / mu + 1)))
        return np.where(y > 0, np.minimum(ndtr(root * (inside / mu - 1)) + second, 1.0), 0.0)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        level, squared = log_mean(y, w, offset)
        return np.array([level, squared - level])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_MEAN_BOUND, *np.log(PHI_BOUNDS))

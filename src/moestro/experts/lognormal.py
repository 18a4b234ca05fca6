"""Lognormal experts: ln y ~ N(eta_0, exp(eta_1)), the log-variance eta_1 a nuisance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import predictor_bounds
from .gaussian import VARIANCE_BOUNDS, Gaussian
from .positive import ETA_CAP, LOG_MEAN_BOUND, Positive

NORMAL = Gaussian()  # of the logarithm


@dataclass(frozen=True)
class Lognormal(Positive):
    """Positive numbers whose logarithm is Gaussian."""

    name: str = "lognormal"

    what = "a lognormal"
    nuisance_names = ("log(variance of log)",)
    boundaries = (("", ""),)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return NORMAL.log_density(eta, np.log(y))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return NORMAL.score(eta, np.log(y))

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return NORMAL.curvature(eta, np.log(y))

    def information(self, eta: np.ndarray) -> np.ndarray:
        return NORMAL.information(eta)

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(eta[..., 0] + 0.5 * np.exp(eta[..., 1]), ETA_CAP))

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return self.mean(eta) ** 2 * np.expm1(np.minimum(np.exp(eta[..., 1]), ETA_CAP / 3))

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.exp(np.minimum(NORMAL.sample(eta, rng), ETA_CAP))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        y = np.asarray(y, dtype=float)
        return np.where(y > 0, NORMAL.cdf(eta, np.log(np.where(y > 0, y, 1.0))), 0.0)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        free = np.log(y) - offset
        mean = np.average(free, weights=w)
        return np.array([mean, np.log(np.clip(np.average((free - mean) ** 2, weights=w), 1e-3, 1e3))])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_MEAN_BOUND, *np.log(VARIANCE_BOUNDS))

    def nuisance_step(
        self, nuisance: np.ndarray, mass: np.ndarray, gradient: np.ndarray, gain: np.ndarray
    ) -> np.ndarray:
        return NORMAL.nuisance_step(nuisance, mass, gradient, gain)

"""Weibull experts: positive numbers with ln y = eta_0 + sigma ln E, E exponential and sigma = exp(eta_1), the
inverse of the shape, a nuisance.

    log f = z - exp(z) - eta_1 - ln y,   z = (ln y - eta_0) / sigma
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Facts, predictor_bounds
from .positive import ETA_CAP, LOG_MEAN_BOUND, check_positive, mean_of

SIGMA_BOUNDS = (1e-4, 1e2)
EULER = 0.5772156649015329
INFORMATION = np.pi**2 / 6 + (1 - EULER) ** 2  # of eta_1


@dataclass(frozen=True)
class Weibull(Facts):
    """Positive numbers, waiting times above all, with a log-linear scale and a shape of each expert's own."""

    name: str = "weibull"

    nuisances = 1
    nuisance_names = ("log(1 / shape)",)
    nuisance_units = (0.0,)
    boundaries = (("", "the shape is at its lower bound"),)

    def supports(self, y: np.ndarray) -> np.ndarray:
        return y > 0

    def check_response(self, y: np.ndarray) -> None:
        check_positive(y, "a Weibull")

    def log_base(self, y: np.ndarray) -> np.ndarray:
        return -np.log(y)

    @staticmethod
    def _parts(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, exp(z) and 1 / sigma."""
        shape = np.exp(-eta[..., 1])
        z = (np.log(y) - eta[..., 0]) * shape
        return z, np.exp(np.minimum(z, ETA_CAP)), shape

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, _ = self._parts(eta, y)
        return z - e - eta[..., 1]

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, shape = self._parts(eta, y)
        return np.stack([(e - 1) * shape, z * (e - 1) - 1], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, shape = self._parts(eta, y)
        out = np.empty((*z.shape, 2, 2))
        out[..., 0, 0] = -e * shape**2
        out[..., 0, 1] = out[..., 1, 0] = -(e - 1 + z * e) * shape
        out[..., 1, 1] = -z * (e - 1 + z * e)
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        out = np.zeros((*eta.shape[:-1], 2, 2))
        out[..., 0, 0] = np.exp(-2 * eta[..., 1])
        out[..., 1, 1] = INFORMATION
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        from scipy.special import gamma

        return mean_of(eta) * gamma(1 + np.exp(eta[..., 1]))

    def variance(self, eta: np.ndarray) -> np.ndarray:
        from scipy.special import gamma

        sigma = np.exp(eta[..., 1])
        return mean_of(eta) ** 2 * np.maximum(gamma(1 + 2 * sigma) - gamma(1 + sigma) ** 2, 0.0)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        draw = mean_of(eta) * rng.standard_exponential(eta.shape[:-1]) ** np.exp(eta[..., 1])
        return np.maximum(draw, np.finfo(float).tiny)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        y = np.asarray(y, dtype=float)
        return np.where(y > 0, -np.expm1(-self._parts(eta, np.where(y > 0, y, 1.0))[1]), 0.0)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        free = np.log(y) - offset
        mean = np.average(free, weights=w)
        sigma = np.sqrt(6 * np.average((free - mean) ** 2, weights=w)) / np.pi
        sigma = np.clip(sigma, 0.05, 10.0)
        return np.array([mean + EULER * sigma, np.log(sigma)])

    def spread(self, y: np.ndarray) -> np.ndarray:
        return np.log(y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_MEAN_BOUND, *np.log(SIGMA_BOUNDS))

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return -nuisances[..., 0]

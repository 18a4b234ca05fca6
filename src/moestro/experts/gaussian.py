"""Gaussian experts: y | eta ~ N(eta_0, exp(eta_1)), the log-variance eta_1 a nuisance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts

LOG_2PI = 1.8378770664093454836
# Bounds of a variance, relative to the variance of the response. The lower one is what keeps the likelihood
# bounded: without it an expert could collapse on a few rows.
VARIANCE_BOUNDS = (1e-8, 1e4)
SLOPE_BOUND = 1e6


class OnTheLine(Facts):
    """What holds of laws of any number whose first nuisance is the logarithm of a squared scale."""

    scales_response = True

    def check_variety(self, y: np.ndarray) -> None:
        if np.ptp(y) <= 1e-13 * np.abs(y).max(initial=0.0):
            raise DataError(
                "the response is constant: its variance is zero and no Gaussian expert can be fitted"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray | float:
        return 0.0

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return -0.5 * nuisances[..., 0]


@dataclass(frozen=True)
class Gaussian(OnTheLine):
    """Linear mean and own variance each; with ``shared_variance`` one variance for all experts."""

    shared_variance: bool = False
    name: str = "gaussian"

    nuisances = 1
    nuisance_names = ("log(variance)",)
    nuisance_units = (2.0,)
    boundaries = (("", ""),)
    has_variance = True

    @property
    def tied_nuisances(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shared_variance

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Gaussian:
        """From the options that a user gives."""
        return cls(shared_variance)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -0.5 * (LOG_2PI + eta[..., 1] + (y - eta[..., 0]) ** 2 * np.exp(-eta[..., 1]))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        residual, precision = y - eta[..., 0], np.exp(-eta[..., 1])
        return np.stack([residual * precision, 0.5 * (residual**2 * precision - 1)], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        residual, precision = y - eta[..., 0], np.exp(-eta[..., 1])
        out = np.empty((*residual.shape, 2, 2))
        out[..., 0, 0] = -precision
        out[..., 0, 1] = out[..., 1, 0] = -residual * precision
        out[..., 1, 1] = -0.5 * residual**2 * precision
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        out = np.zeros((*eta.shape[:-1], 2, 2))
        out[..., 0, 0] = np.exp(-eta[..., 1])
        out[..., 1, 1] = 0.5
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return eta[..., 0]

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(eta[..., 1])

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return eta[..., 0] + np.exp(0.5 * eta[..., 1]) * rng.standard_normal(eta.shape[:-1])

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return ndtr((y - eta[..., 0]) * np.exp(-0.5 * eta[..., 1]))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return np.array([np.average(y - offset, weights=w)])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.log(VARIANCE_BOUNDS)
        return np.array([-SLOPE_BOUND, -SLOPE_BOUND, low]), np.array([SLOPE_BOUND, SLOPE_BOUND, high])

    def nuisance_step(
        self, nuisance: np.ndarray, mass: np.ndarray, gradient: np.ndarray, gain: np.ndarray
    ) -> np.ndarray:
        # gradient = (RSS / v - mass) / 2, and the means' step of quadratic gain d'Gd / v lowers RSS by d'Gd.
        v = np.exp(nuisance)
        rss = np.maximum(v * (2 * gradient + mass - gain), 0.0)
        ratio = rss / np.maximum(mass, 1e-300)
        low, high = VARIANCE_BOUNDS
        return np.log(np.clip(np.where(mass > 0, ratio, v), low, high))

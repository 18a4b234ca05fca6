"""Poisson experts: y | eta ~ Poisson(exp(eta)).

log f = y eta - exp(eta) - log y!. Of large counts these terms are many digits longer than their sum, so f is
then split at its largest value over all rates, which is at d = eta - log y = 0 (Loader, 2000):

    log f = [y log y - y - log y!] - y (exp(d) - 1 - d),    the first bracket by Stirling's series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts, predictor_bounds

ETA_CAP = 300.0  # exp(300)^2 is still a double; twin: core/families.hpp
LOG_RATE_BOUND = 100.0
LARGE = 65536.0  # counts above it are split so: y eta - exp(eta) has lost 1e-10; twin: core/families.hpp
LARGEST = 2.0**53  # whole numbers above it are not all doubles


@dataclass(frozen=True)
class Poisson(Facts):
    """Counts with a log-linear rate."""

    name: str = "poisson"

    discrete = True

    def supports(self, y: np.ndarray) -> np.ndarray:
        return (y >= 0) & (y == np.floor(y))

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

        y = np.asarray(y, dtype=float)
        n = np.maximum(y, LARGE)
        stirling = 0.5 * np.log(2 * np.pi * n) + 1 / (12 * n) - 1 / (360 * n**3)
        return np.where(y > LARGE, -stirling, -gammaln(np.minimum(y, LARGE) + 1.0))

    def _rate(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(eta[..., 0], ETA_CAP))

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        split, plain = self._split(eta, y), y * np.minimum(eta[..., 0], ETA_CAP) - self._rate(eta)
        return plain if split is None else np.where(y > LARGE, y * (split - np.expm1(split)), plain)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        split, plain = self._split(eta, y), y - self._rate(eta)
        return (plain if split is None else np.where(y > LARGE, -y * np.expm1(split), plain))[..., None]

    def _split(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray | None:
        """eta - log y where a count is large; None where none is."""
        if not (np.asarray(y) > LARGE).any():
            return None
        return np.minimum(eta[..., 0], ETA_CAP) - np.log(np.maximum(y, LARGE))

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

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        return np.log1p(y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_RATE_BOUND)

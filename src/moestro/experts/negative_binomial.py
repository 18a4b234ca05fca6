"""Negative binomial experts: counts with mean mu = exp(eta_0) and variance mu + alpha mu^2, the dispersion
alpha = exp(eta_1) a nuisance (NB2; Lawless, 1987).

    log f = lnG(y + t) - lnG(t) - ln y! + y ln mu + t ln t - (y + t) ln(mu + t),   t = 1 / alpha

At alpha = 0 it is a Poisson law, which is where an expert ends whose counts are not overdispersed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts, predictor_bounds, trigamma
from .poisson import ETA_CAP, LARGE, LARGEST, LOG_RATE_BOUND, Poisson

ALPHA_BOUNDS = (
    1e-6,
    1e4,
)  # below the first a count in the thousands is Poisson to three digits of its variance


def _ratio(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """lnG(y + t) - lnG(y + 1) of large y, by Stirling's series of both."""
    a, b = y + t, y + 1.0
    series = (1 / a - 1 / b) / 12 - (1 / a**3 - 1 / b**3) / 360
    return (y + 0.5) * np.log1p((t - 1.0) / b) + (t - 1.0) * (np.log(a) - 1.0) + series


@dataclass(frozen=True)
class NegativeBinomial(Facts):
    """Counts with a log-linear mean and a dispersion of each expert's own."""

    name: str = "negative-binomial"

    nuisances = 1
    nuisance_names = ("log(dispersion)",)
    nuisance_units = (0.0,)
    boundaries = (("no overdispersion: a Poisson law", "the dispersion is at its upper bound"),)
    discrete = True

    def supports(self, y: np.ndarray) -> np.ndarray:
        return (y >= 0) & (y == np.floor(y))

    def check_response(self, y: np.ndarray) -> None:
        if (y < 0).any() or (y != np.floor(y)).any():
            raise DataError("a negative binomial response holds counts: whole numbers 0, 1, 2, ...")
        if (y > LARGEST).any():
            raise DataError(
                "a negative binomial response above 2^53 is no exact count in double precision: use "
                "family='gaussian'"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray:
        """-ln y!; of large counts it stands in the density, which it nearly takes away."""
        from scipy.special import gammaln

        return np.where(np.asarray(y) > LARGE, 0.0, -gammaln(np.minimum(y, LARGE) + 1.0))

    @staticmethod
    def _parts(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """mu and t."""
        return np.exp(np.minimum(eta[..., 0], ETA_CAP)), np.exp(-eta[..., 1])

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        mu, t = self._parts(eta)
        rising = gammaln(np.minimum(y, LARGE) + t)
        if (np.asarray(y) > LARGE).any():
            rising = np.where(y > LARGE, _ratio(np.maximum(y, LARGE), t), rising)
        return rising - gammaln(t) - y * np.log1p(t / mu) - t * np.log1p(mu / t)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        mu, t = self._parts(eta)
        return np.stack([t * (y - mu) / (mu + t), -t * self._d_t(mu, t, y)], axis=-1)

    @staticmethod
    def _d_t(mu: np.ndarray, t: np.ndarray, y: np.ndarray) -> np.ndarray:
        """d log f / d t."""
        from scipy.special import digamma

        return digamma(y + t) - digamma(t) - np.log1p(mu / t) + (mu - y) / (mu + t)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        mu, t = self._parts(eta)
        both = mu + t
        out = np.empty((*np.broadcast(mu, y).shape, 2, 2))
        out[..., 0, 0] = -(y + t) * t * mu / both**2
        out[..., 0, 1] = out[..., 1, 0] = -t * mu * (y - mu) / both**2
        second = trigamma(y + t) - trigamma(t) + mu / (t * both) - (mu - y) / both**2
        out[..., 1, 1] = t**2 * second + t * self._d_t(mu, t, y)
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        """That of alpha has no closed form: mu^2 L / (mu^2 + 2 t (t + 1) L) with L = t^2 trigamma(t) - t is
        right for small and for large mu, and an upper bound between."""
        mu, t = self._parts(eta)
        limit = np.maximum(t**2 * trigamma(t) - t, 0.25)
        out = np.zeros((*mu.shape, 2, 2))
        out[..., 0, 0] = mu * t / (mu + t)
        out[..., 1, 1] = limit / (1 + 2 * t * (t + 1) * limit / np.maximum(mu, 1e-100) ** 2)
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return self._parts(eta)[0]

    def variance(self, eta: np.ndarray) -> np.ndarray:
        mu, t = self._parts(eta)
        return mu + mu**2 / t

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mu, t = self._parts(eta)
        return rng.poisson(np.minimum(rng.gamma(t, mu / t), 1e18)).astype(float)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import betainc

        mu, t = self._parts(eta)
        y = np.floor(y)
        return np.where(y < 0, 0.0, betainc(t, np.maximum(y, 0.0) + 1.0, t / (mu + t)))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return Poisson().marginal(y, w, offset)

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        return np.log1p(y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_RATE_BOUND, *np.log(ALPHA_BOUNDS))

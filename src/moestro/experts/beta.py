"""Beta experts: proportions in (0, 1) with logit(mu) = eta_0 and variance mu (1 - mu) / (1 + phi), the
precision phi = exp(-eta_1) a nuisance (Ferrari and Cribari-Neto, 2004).

    log f = lnG(phi) - lnG(mu phi) - lnG((1 - mu) phi) + mu phi ln y + (1 - mu) phi ln(1 - y) - ln(y (1 - y))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts, Terms, predictor_bounds, trigamma
from .multinomial import LOGIT_BOUND
from .positive import DISPERSION_BOUNDS

LOGIT_CAP = 30.0  # 1 - mu is still a number

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # mu, 1 - mu, phi


@dataclass(frozen=True)
class Beta(Facts):
    """Proportions with a logit mean and a precision of each expert's own."""

    name: str = "beta"

    nuisances = 1
    nuisance_names = ("log(dispersion)",)
    nuisance_units = (0.0,)
    boundaries = (("", "the dispersion is at its upper bound"),)

    def supports(self, y: np.ndarray) -> np.ndarray:
        return (y > 0) & (y < 1)

    def check_response(self, y: np.ndarray) -> None:
        if (y <= 0).any() or (y >= 1).any():
            wrong = y[(y <= 0) | (y >= 1)][0]
            raise DataError(
                f"a beta response lies strictly between 0 and 1, and this one has {wrong:g}: "
                "for a share of counts use family='binomial'"
            )

    def check_variety(self, y: np.ndarray) -> None:
        if np.ptp(y) <= 1e-13:
            raise DataError(
                "the response is constant: its dispersion is zero and no beta expert can be fitted"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray:
        return -np.log(y) - np.log1p(-y)

    @staticmethod
    def _parts(eta: np.ndarray) -> Parts:
        """mu, 1 - mu and phi."""
        u = np.clip(eta[..., 0], -LOGIT_CAP, LOGIT_CAP)
        return 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u)), np.exp(-eta[..., 1])

    def terms(self, eta: np.ndarray, y: np.ndarray, order: int) -> Terms:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of the same means and precisions, and of the same polygamma functions there."""
        parts = self._parts(eta)
        first = self._first(parts, y) if order > 0 else None
        second = self._second(parts) if order > 1 else None
        return (
            self._log_density(parts, y),
            None if first is None else self._score(parts, first),
            None if second is None else self._information(parts, second),
            None if first is None or second is None or order < 3 else self._curvature(parts, first, second),
        )

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._log_density(self._parts(eta), y)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        parts = self._parts(eta)
        return self._score(parts, self._first(parts, y))

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        parts = self._parts(eta)
        return self._curvature(parts, self._first(parts, y), self._second(parts))

    def information(self, eta: np.ndarray) -> np.ndarray:
        parts = self._parts(eta)
        return self._information(parts, self._second(parts))

    @staticmethod
    def _log_density(parts: Parts, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        mu, rest, phi = parts
        out = gammaln(phi) - gammaln(mu * phi) - gammaln(rest * phi)
        return out + phi * (mu * np.log(y) + rest * np.log1p(-y))

    @staticmethod
    def _first(parts: Parts, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d log f / d (mu phi), less that in ((1 - mu) phi); and d log f / d phi."""
        from scipy.special import digamma

        mu, rest, phi = parts
        a, b = np.log(y) - digamma(mu * phi), np.log1p(-y) - digamma(rest * phi)
        return a - b, digamma(phi) + mu * a + rest * b

    @staticmethod
    def _second(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
        """Trigamma functions at mu phi and (1 - mu) phi."""
        mu, rest, phi = parts
        return trigamma(mu * phi), trigamma(rest * phi)

    @staticmethod
    def _score(parts: Parts, first: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        (mu, rest, phi), (apart, of_phi) = parts, first
        return np.stack([phi * apart * mu * rest, -phi * of_phi], axis=-1)

    def _curvature(
        self, parts: Parts, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        (mu, rest, phi), (apart, of_phi), (a, b) = parts, first, second
        slope, information = mu * rest, self._information(parts, second)
        out = np.empty((*apart.shape, 2, 2))
        out[..., 0, 0] = phi * apart * slope * (rest - mu) - information[..., 0, 0]
        out[..., 0, 1] = out[..., 1, 0] = -phi * slope * (apart - phi * (mu * a - rest * b))
        out[..., 1, 1] = phi * of_phi - information[..., 1, 1]
        return out

    @staticmethod
    def _information(parts: Parts, second: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        (mu, rest, phi), (a, b) = parts, second
        out = np.zeros((*mu.shape, 2, 2))
        out[..., 0, 0] = (phi * mu * rest) ** 2 * (a + b)
        out[..., 1, 1] = phi**2 * (mu**2 * a + rest**2 * b - trigamma(phi))
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return self._parts(eta)[0]

    def variance(self, eta: np.ndarray) -> np.ndarray:
        mu, rest, phi = self._parts(eta)
        return mu * rest / (1 + phi)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mu, rest, phi = self._parts(eta)
        return np.clip(rng.beta(mu * phi, rest * phi), np.finfo(float).tiny, 1 - 2.0**-53)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import betainc

        mu, rest, phi = self._parts(eta)
        return betainc(mu * phi, rest * phi, np.clip(y, 0.0, 1.0))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        mean = np.average(y, weights=w)
        squared = np.average((y - mean) ** 2, weights=w)
        phi = np.clip(mean * (1 - mean) / squared - 1, 0.1, 100.0)
        return np.array([np.log(mean / (1 - mean)) - np.mean(offset), -np.log(phi)])

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        return np.log(y) - np.log1p(-y)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOGIT_BOUND, *np.log(DISPERSION_BOUNDS))

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return -0.5 * nuisances[..., 0]

"""Binomial experts: y successes in n trials of probability p, link(p) = eta_0, by a logit, probit or cloglog
link.

    log f = y ln p + (n - y) ln(1 - p) + ln (n choose y)

The trials n of a row are known: they stand in eta_1, and are one where it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .base import Facts, predictor_bounds
from .poisson import LARGE

PREDICTOR_BOUND = {"binomial": 1e4, "binomial-probit": 100.0, "binomial-cloglog": 100.0}
CLOGLOG_CAP = 30.0  # exp(-exp(30)) is zero


def _rest(z: np.ndarray) -> np.ndarray:
    """ln z! - z ln z + z, by Stirling's series of large z."""
    from scipy.special import gammaln

    few, many = np.minimum(z, LARGE), np.maximum(z, LARGE)
    series = 0.5 * np.log(2 * np.pi * many) + 1 / (12 * many) - 1 / (360 * many**3)
    return np.where(z > LARGE, series, gammaln(few + 1.0) - few * np.log(few) + few)


def _many(y: np.ndarray, n: np.ndarray, log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """The log-density of many trials (Loader, 2000): with a = ln p - ln y/n and b = ln q - ln (n - y)/n,
    y (a - e^a + 1) + (n - y) (b - e^b + 1) and what factorials differ from z ln z - z by."""
    rest = n - y
    a = log_p - np.where(y > rest, np.log1p(-rest / n), np.log(y / n))
    b = log_q - np.where(y > rest, np.log(rest / n), np.log1p(-y / n))
    at = y * (a - np.expm1(a)) + rest * (b - np.expm1(b))
    return at + _rest(n) - _rest(y) - _rest(rest)


@dataclass(frozen=True)
class Binomial(Facts):
    """Successes; "binomial" has the logit link, "binomial-probit" and "binomial-cloglog" those."""

    name: str = "binomial"

    discrete = True
    takes_trials = True

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Binomial:
        """From the options that a user gives."""
        return cls(name)

    def supports(self, y: np.ndarray) -> np.ndarray:
        return (y >= 0) & (y == np.floor(y))  # above the trials the density itself is zero

    def check_response(self, y: np.ndarray) -> None:
        if (y < 0).any() or (y != np.floor(y)).any():
            wrong = y[(y < 0) | (y != np.floor(y))][0]
            raise DataError(
                f"a binomial response counts successes, and this one has {wrong:g}: for a proportion give "
                "two columns, successes and trials"
            )

    @staticmethod
    def _split(eta: np.ndarray) -> tuple[np.ndarray, Any]:
        """The predictor and the trials."""
        return eta[..., 0], eta[..., 1] if eta.shape[-1] > 1 else 1.0

    def log_base(self, y: np.ndarray) -> float:
        return 0.0

    def _logs(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ln p and ln(1 - p)."""
        if self.name == "binomial":
            return -np.logaddexp(0.0, -u), -np.logaddexp(0.0, u)
        if self.name == "binomial-probit":
            from scipy.special import log_ndtr

            return log_ndtr(u), log_ndtr(-u)
        rate = np.exp(np.minimum(u, CLOGLOG_CAP))
        return np.where(u < -CLOGLOG_CAP, u, np.log(-np.expm1(-np.maximum(rate, 1e-300)))), -rate

    def _slopes(self, u: np.ndarray) -> tuple[np.ndarray, ...]:
        """Derivatives of ln p and of ln(1 - p), first ones and second ones."""
        if self.name == "binomial":
            p = np.exp(-np.logaddexp(0.0, -u))
            q = np.exp(-np.logaddexp(0.0, u))
            return q, -p, -p * q, -p * q
        if self.name == "binomial-probit":
            from scipy.special import log_ndtr

            log_phi = -0.5 * (u**2 + np.log(2 * np.pi))
            a, b = np.exp(log_phi - log_ndtr(u)), np.exp(log_phi - log_ndtr(-u))
            return a, -b, -a * (u + a), b * (u - b)
        rate = np.exp(np.minimum(u, CLOGLOG_CAP))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            a = np.where(rate > 1e-300, rate / np.expm1(rate), 1.0)
            second = np.where(a > 0, a * (1 - rate / -np.expm1(-rate)), 0.0)
        return a, -rate, second, -rate

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        u, n = self._split(eta)
        log_p, log_q = self._logs(u)
        out = y * log_p + (n - y) * log_q
        if eta.shape[-1] > 1:
            few = np.minimum(n, LARGE)
            ways = gammaln(few + 1) - gammaln(np.minimum(y, few) + 1) - gammaln(few - np.minimum(y, few) + 1)
            out = out + np.where(n > LARGE, 0.0, ways)
            if (np.asarray(n) > LARGE).any():  # the three are a difference of 1e-6; none and all are one way
                inner = (n > LARGE) & (y > 0) & (y < n)
                many = _many(np.where(inner, y, 1.0), np.where(inner, n, 2.0), log_p, log_q)
                out = np.where(inner, many, out)
        return np.where(y <= n, out, -np.inf)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, n = self._split(eta)
        of_p, of_q, *_ = self._slopes(u)
        return (y * of_p + (n - y) * of_q)[..., None]

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, n = self._split(eta)
        *_, of_p, of_q = self._slopes(u)
        return (y * of_p + (n - y) * of_q)[..., None, None]

    def information(self, eta: np.ndarray) -> np.ndarray:
        u, n = self._split(eta)
        of_p, of_q, *_ = self._slopes(u)
        return (-n * of_p * of_q)[..., None, None]

    def mean(self, eta: np.ndarray) -> np.ndarray:
        u, n = self._split(eta)
        return n * np.exp(self._logs(u)[0])

    def variance(self, eta: np.ndarray) -> np.ndarray:
        u, n = self._split(eta)
        log_p, log_q = self._logs(u)
        return n * np.exp(log_p + log_q)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        u, n = self._split(eta)
        p = np.exp(self._logs(u)[0])
        return rng.binomial(np.broadcast_to(n, p.shape).astype(np.int64), p).astype(float)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import betaincc

        u, n = self._split(eta)
        y, p = np.floor(y), np.exp(self._logs(u)[0])
        inside = np.clip(y, 0.0, np.maximum(n - 1.0, 0.0))
        return np.where(y < 0, 0.0, np.where(y >= n, 1.0, betaincc(inside + 1, n - inside, p)))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        from scipy.special import logit, ndtri

        share = float(np.clip(np.average(y, weights=w), 1e-3, 1 - 1e-3))
        link = {"binomial": logit, "binomial-probit": ndtri}.get(self.name, lambda p: np.log(-np.log1p(-p)))
        return np.array([float(link(share)) - float(np.mean(offset))])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(PREDICTOR_BOUND[self.name])

"""Weibull experts: positive numbers with ln y = eta_0 + sigma ln E, E exponential and sigma = exp(eta_1), the
inverse of the shape, a nuisance.

    log f = z - exp(z) - eta_1 - ln y,   z = (ln y - eta_0) / sigma

Of a row may be known only that it lies between y and another number c, which stands in eta_2: from c = `OPEN`
it is right-censored, with c < 0 left-censored. With e = exp(z), e_1 < e_2 of its two ends,

    log f = -e_1 + ln(1 - exp(e_1 - e_2)),

e_1 = 0 without a lower end, and the second term zero without an upper one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..design.known import OPEN
from .base import predictor_bounds
from .positive import ETA_CAP, LOG_MEAN_BOUND, Positive, mean_of

SIGMA_BOUNDS = (1e-4, 1e2)
EULER = 0.5772156649015329
INFORMATION = np.pi**2 / 6 + (1 - EULER) ** 2  # of eta_1


@dataclass(frozen=True)
class Weibull(Positive):
    """Positive numbers, waiting times above all, with a log-linear scale and a shape of each expert's own."""

    name: str = "weibull"

    what = "a Weibull"
    nuisance_names = ("log(1 / shape)",)
    boundaries = (("", "the shape is at its lower bound"),)
    takes_bounds = True
    lowest = 0.0

    @staticmethod
    def _parts(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, exp(z) and 1 / sigma."""
        shape = np.exp(-eta[..., 1])
        z = (np.log(y) - eta[..., 0]) * shape
        return z, np.exp(np.minimum(z, ETA_CAP)), shape

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, _ = self._parts(eta, y)
        exact, ends = z - e - eta[..., 1], _ends(eta, y)
        if ends is None:
            return exact
        known, low, high = ends  # `log_base` is of a density: a probability takes it back
        first, gap = _hazards(eta, low, high)
        with np.errstate(divide="ignore"):
            between = np.where(np.isinf(high), 0.0, np.log(-np.expm1(-gap)))
        return np.where(known, between - first + np.log(y), exact)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, shape = self._parts(eta, y)
        out, ends = np.stack([(e - 1) * shape, z * (e - 1) - 1], axis=-1), _ends(eta, y)
        if ends is None:
            return out
        return np.where(ends[0][..., None], _slopes(eta, *ends[1:])[0], out)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        z, e, shape = self._parts(eta, y)
        out = np.empty((*z.shape, 2, 2))
        out[..., 0, 0] = -e * shape**2
        out[..., 0, 1] = out[..., 1, 0] = -(e - 1 + z * e) * shape
        out[..., 1, 1] = -z * (e - 1 + z * e)
        ends = _ends(eta, y)
        return out if ends is None else np.where(ends[0][..., None, None], _slopes(eta, *ends[1:])[1], out)

    def information(self, eta: np.ndarray) -> np.ndarray:
        """Of a number that is seen, an upper bound where it is censored."""
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

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOG_MEAN_BOUND, *np.log(SIGMA_BOUNDS))

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return -nuisances[..., 0]


def _ends(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Whether an interval is known, and its ends, zero and infinite where they are open; None where every
    number is seen."""
    if eta.shape[-1] < 3:
        return None
    y = np.broadcast_to(y, np.broadcast_shapes(eta.shape[:-1], np.shape(y)))
    other = np.where(eta[..., 2] >= OPEN, np.inf, np.maximum(eta[..., 2], 0.0))
    known = other != y
    high = np.where(known, np.maximum(y, other), np.inf)  # no matter what, where the number is seen
    return (known, np.minimum(y, other), high) if known.any() else None


def _logs(eta: np.ndarray, t: np.ndarray) -> np.ndarray:
    """z of an end, 0 where it is open."""
    inside = (t > 0) & np.isfinite(t)
    return np.where(inside, (np.log(np.where(inside, t, 1.0)) - eta[..., 0]) * np.exp(-eta[..., 1]), 0.0)


def _hazards(eta: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """e_1, and e_2 - e_1 with the digits of a narrow interval; zero where an end is open."""
    a, b = _logs(eta, low), _logs(eta, high)
    first = np.where(low > 0, np.exp(np.minimum(a, ETA_CAP)), 0.0)
    last = np.exp(np.minimum(b, ETA_CAP))
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.where(low > 0, first * np.expm1(np.clip(b - a, 0.0, ETA_CAP)), last)
    return first, np.where(np.isinf(high), 0.0, np.minimum(near, last))


def _slopes(eta: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (..., 2) and (..., 2, 2) of -e_1 + ln(1 - exp(e_1 - e_2)) in eta."""
    first, gap = _hazards(eta, low, high)
    shape = np.exp(-eta[..., 1])
    parts = []
    for t, e in ((low, first), (high, first + gap)):
        z = _logs(eta, t)
        there = (t > 0) & np.isfinite(t)
        e = np.where(there, e, 0.0)
        d = np.stack([-shape * np.ones_like(z), -z], axis=-1)
        d2 = d[..., :, None] * d[..., None, :]
        d2[..., 0, 1] += shape
        d2[..., 1, 0] += shape
        d2[..., 1, 1] += z
        parts.append((e[..., None] * d, e[..., None, None] * d2))
    (d1, h1), (d2, h2) = parts
    with np.errstate(over="ignore"):
        r = np.where(np.isinf(high), 0.0, 1 / np.maximum(np.expm1(np.minimum(gap, 700.0)), 1e-300))
    dD, hD = d2 - d1, h2 - h1
    H = -h1 + r[..., None, None] * hD
    H = H - (r * (1 + r))[..., None, None] * dD[..., :, None] * dD[..., None, :]
    return -d1 + r[..., None] * dD, H

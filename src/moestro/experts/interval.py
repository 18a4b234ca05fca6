"""Gaussian experts of which an interval is known (tobit models with limits of each row's own): Y ~ N(eta_0,
exp(eta_1)), and a row says Y = y, or that Y lies between y and another number c, infinite on one side:

    log f = ln N(y; eta_0, exp(eta_1))      c = y, or nothing stands after the nuisance
          = ln(Phi(b) - Phi(a))             between, (a, b) = (y - eta_0, c - eta_0) exp(-eta_1 / 2) in order

c stands in eta_2, in the user's units; beyond `OPEN` it is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..design.known import OPEN
from .base import Terms
from .censored import mills, tail_curvature, tail_score
from .latent import NORMAL, Latent

Ends = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Interval(Latent):
    """Numbers of which an interval is known; `center` and `scale` are those of the response that eta is
    of."""

    name: str = "interval"
    center: float = 0.0
    scale: float = 1.0

    takes_bounds = True

    def on(self, center: float, scale: float) -> Interval:
        """The family of a response (y - center) / scale."""
        return replace(self, center=center, scale=scale)

    def terms(self, eta: np.ndarray, y: np.ndarray, order: int) -> Terms:
        """All of the same ends, and both derivatives of the same densities there."""
        ends = self._ends(eta, y)
        score, curvature = self._derivatives(eta, y, ends) if order > 0 else (None, None)
        return (
            self._log_density(eta, y, ends),
            score,
            self.information(eta) if order > 1 else None,
            curvature if order > 2 else None,
        )

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._log_density(eta, y, self._ends(eta, y))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._derivatives(eta, y, self._ends(eta, y))[0]

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._derivatives(eta, y, self._ends(eta, y))[1]

    def _ends(self, eta: np.ndarray, y: np.ndarray) -> Ends | None:
        """Whether an interval is known, a and b, and ln(Phi(b) - Phi(a)); None where every response is."""
        if eta.shape[-1] < 3:
            return None
        given = eta[..., 2]
        y = np.broadcast_to(y, np.broadcast_shapes(given.shape, np.shape(y)))
        other = np.where(np.abs(given) >= OPEN, np.sign(given) * np.inf, (given - self.center) / self.scale)
        known = np.abs(other - y) > 1e-12 * (1 + np.abs(y))
        if not known.any():
            return None
        root = np.exp(-0.5 * eta[..., 1])
        low, high = np.minimum(y, other), np.where(known, np.maximum(y, other), np.inf)
        a, b = (low - eta[..., 0]) * root, (high - eta[..., 0]) * root
        return known, a, b, _log_between(a, b)

    def _log_density(self, eta: np.ndarray, y: np.ndarray, ends: Ends | None) -> np.ndarray:
        exact = NORMAL.log_density(eta[..., :2], y)
        if ends is None:
            return exact
        known, _, _, log_mass = ends  # a probability has no unit: the Jacobian of the scaling is taken back
        return np.where(known, log_mass + np.log(self.scale), exact)

    def _derivatives(
        self, eta: np.ndarray, y: np.ndarray, ends: Ends | None
    ) -> tuple[np.ndarray, np.ndarray]:
        g, H = NORMAL.score(eta[..., :2], y), NORMAL.curvature(eta[..., :2], y)
        if ends is None:
            return g, H
        known, a, b, log_mass = ends
        own_g, own_H = _slopes(a, b, log_mass, np.exp(-0.5 * eta[..., 1]))
        return np.where(known[..., None], own_g, g), np.where(known[..., None, None], own_H, H)

    def information(self, eta: np.ndarray) -> np.ndarray:
        """Of a response that is seen: an upper bound, so EM's steps are short where much is censored."""
        return NORMAL.information(eta[..., :2])

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """Of Y itself, as all that follows."""
        return NORMAL.mean(eta[..., :2])

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return NORMAL.variance(eta[..., :2])

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return NORMAL.sample(eta[..., :2], rng)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return NORMAL.cdf(eta[..., :2], y)


def _log_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ln(Phi(b) - Phi(a)), with the digits of the nearer tail."""
    from scipy.special import log_ndtr

    flip = a > 0
    low, high = log_ndtr(np.where(flip, -b, a)), log_ndtr(np.where(flip, -a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return high + np.log(-np.expm1(low - high))


def _slopes(
    a: np.ndarray, b: np.ndarray, log_mass: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of ln(Phi(b) - Phi(a)) in eta, (..., 2) and (..., 2, 2); of one end by Mills' ratio."""
    g, H = np.zeros((*a.shape, 2)), np.empty((*a.shape, 2, 2))
    pull, turn, bend = (np.zeros(a.shape) for _ in range(3))  # sums of p t, p - p t^2, p t (1 - t^2)
    for t, sign in ((b, 1.0), (a, -1.0)):
        finite = np.isfinite(t)
        t = np.where(finite, t, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            p = np.where(finite, sign * np.exp(-0.5 * t**2 - 0.5 * np.log(2 * np.pi) - log_mass), 0.0)
        pt = p * t
        g[..., 0] -= p
        pull += pt
        turn += p - pt * t
        bend += pt - pt * t**2
    g[..., 0] *= root
    g[..., 1] = -0.5 * pull
    H[..., 0, 0] = -pull * root**2 - g[..., 0] ** 2
    H[..., 0, 1] = H[..., 1, 0] = 0.5 * root * turn - g[..., 0] * g[..., 1]
    H[..., 1, 1] = 0.25 * bend - g[..., 1] ** 2
    for t, there, sign in ((b, np.isinf(a), -1.0), (-a, np.isinf(b), 1.0)):
        if there.any():
            ratio = mills(t)
            g = np.where(there[..., None], tail_score(ratio, root, sign), g)
            H = np.where(there[..., None, None], tail_curvature(ratio, root, sign), H)
    return g, H

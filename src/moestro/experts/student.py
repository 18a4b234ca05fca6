"""Student experts: y = eta_0 + exp(eta_1 / 2) T, T a t law with nu = exp(eta_2) degrees of freedom (Lange,
Little and Taylor, 1989).

    log f = lnG((nu + 1) / 2) - lnG(nu / 2) - [ln(pi nu) + eta_1 + (nu + 1) ln(1 + u^2 / nu)] / 2

with u = (y - eta_0) exp(-eta_1 / 2).

Rows far from the line have little weight, (nu + 1) / (nu + u^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import trigamma
from .gaussian import SLOPE_BOUND, VARIANCE_BOUNDS, OnTheLine

NU_BOUNDS = (1.0, 200.0)  # a Cauchy law has no mean, and tails of more degrees of freedom are Gaussian


@dataclass(frozen=True)
class Student(OnTheLine):
    """Linear location, and scale and degrees of freedom of each expert's own."""

    name: str = "student"

    nuisances = 2
    nuisance_names = ("log(scale^2)", "log(degrees of freedom)")
    nuisance_units = (2.0, 0.0)
    boundaries = (("", ""), ("tails of a Cauchy law", "tails of a Gaussian law"))

    @staticmethod
    def _parts(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """u, exp(-eta_1 / 2) and nu."""
        root = np.exp(-0.5 * eta[..., 1])
        return (y - eta[..., 0]) * root, root, np.exp(eta[..., 2])

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        u, _, nu = self._parts(eta, y)
        level = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * (np.log(np.pi * nu) + eta[..., 1])
        return level - 0.5 * (nu + 1) * np.log1p(u**2 / nu)

    @staticmethod
    def _d_nu(u: np.ndarray, nu: np.ndarray) -> np.ndarray:
        """d log f / d nu."""
        from scipy.special import digamma

        tail = (nu + 1) * u**2 / (nu * (nu + u**2)) - np.log1p(u**2 / nu)
        return 0.5 * (digamma(0.5 * (nu + 1)) - digamma(0.5 * nu) - 1 / nu + tail)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, root, nu = self._parts(eta, y)
        weight = (nu + 1) / (nu + u**2)
        return np.stack([weight * u * root, 0.5 * (weight * u**2 - 1), nu * self._d_nu(u, nu)], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, root, nu = self._parts(eta, y)
        square, total = u**2, nu + u**2
        out = np.empty((*u.shape, 3, 3))
        out[..., 0, 0] = (nu + 1) * (square - nu) / total**2 * root**2
        out[..., 0, 1] = out[..., 1, 0] = -(nu + 1) * nu * u * root / total**2
        out[..., 0, 2] = out[..., 2, 0] = nu * u * root * (square - 1) / total**2
        out[..., 1, 1] = -0.5 * (nu + 1) * nu * square / total**2
        out[..., 1, 2] = out[..., 2, 1] = 0.5 * nu * square * (square - 1) / total**2
        gammas = 0.5 * (trigamma(0.5 * (nu + 1)) - trigamma(0.5 * nu)) + 1 / nu**2
        tail = square / (nu * total) - square * (nu**2 + 2 * nu + square) / (nu * total) ** 2
        out[..., 2, 2] = 0.5 * nu**2 * (gammas + tail) + nu * self._d_nu(u, nu)
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        nu = np.exp(eta[..., 2])
        out = np.zeros((*nu.shape, 3, 3))
        out[..., 0, 0] = (nu + 1) / (nu + 3) * np.exp(-eta[..., 1])
        out[..., 1, 1] = nu / (2 * (nu + 3))
        out[..., 1, 2] = out[..., 2, 1] = -nu / ((nu + 1) * (nu + 3))
        gammas = 0.25 * (trigamma(0.5 * nu) - trigamma(0.5 * (nu + 1)))
        out[..., 2, 2] = nu**2 * (gammas - (nu + 5) / (2 * nu * (nu + 1) * (nu + 3)))
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return eta[..., 0]

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """Infinite up to two degrees of freedom."""
        nu = np.exp(eta[..., 2])
        return np.where(nu > 2, np.exp(eta[..., 1]) * nu / np.maximum(nu - 2, 1e-300), np.inf)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return eta[..., 0] + np.exp(0.5 * eta[..., 1]) * rng.standard_t(np.exp(eta[..., 2]))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.special import stdtr

        u, _, nu = self._parts(eta, y)
        return stdtr(nu, u)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return np.array([np.average(y - offset, weights=w), -0.3, np.log(8.0)])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        (a, b), (c, d) = np.log(VARIANCE_BOUNDS), np.log(NU_BOUNDS)
        return np.array([-SLOPE_BOUND, -SLOPE_BOUND, a, c]), np.array([SLOPE_BOUND, SLOPE_BOUND, b, d])

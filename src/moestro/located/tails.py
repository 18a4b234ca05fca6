"""Degrees of freedom of Student components, from the log-likelihood itself.

EM reads nu off E[log W] - E[W] of the hidden scales W, which hardly moves where tails are nearly Gaussian:
it crawls for thousands of steps. Given responsibilities r and squared distances delta in D columns, all else
held,

    Q(nu) = sum r log t_D(delta; nu)

is a function of each component's nu alone, and what raises it raises the log-likelihood: the last step of an
ECME algorithm (Liu and Rubin, 1994, 1995). With b = delta / (nu (nu + delta)),

    2 dQ/dnu    = sum r (psi((nu + D) / 2) - psi(nu / 2) - D / nu - ln(1 + delta / nu) + (nu + D) b)
    2 d2Q/dnu2  = sum r (psi'((nu + D) / 2) / 2 - psi'(nu / 2) / 2 + D / nu^2
                         + 2 b - (nu + D) (b / nu + b / (nu + delta)))

and Newton's step is taken in 1 / nu, in which Q is nearly a parabola.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, zeta

from .statistics import NU_BOX

FARTHEST = 4.0  # times that nu may grow or shrink in a step


def hidden_scales(distance: np.ndarray, D: int, nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[W] and E[log W] of rows at squared distances, given the component."""
    half = 0.5 * (nu + distance)
    return 0.5 * (nu + D) / half, digamma(0.5 * (nu + D)) - np.log(half)


class TailSums:
    """Sums over the rows of K components at degrees of freedom `nu` (K,), block after block."""

    def __init__(self, nu: np.ndarray, D: int):
        self.nu, self.D = nu, D
        self._sums = np.zeros((4, len(nu)))

    def add(self, r: np.ndarray, distance: np.ndarray) -> None:
        """Rows with weighted responsibilities and squared distances (K, rows)."""
        nu = self.nu[:, None]
        beyond = 1.0 / (nu + distance)
        with np.errstate(invalid="ignore"):  # of an infinite distance
            b = distance * beyond / nu
            for i, value in enumerate((np.ones_like(b), np.log1p(distance / nu), b, b * beyond)):
                self._sums[i] += np.einsum("kn,kn->k", r, value)

    def raised(self) -> np.ndarray:
        """Newton's nu (K,), within `NU_BOX`; uphill by the longest step where Q is convex, and the same where
        a sum is not finite."""
        nu, D, (mass, log, b, bent) = self.nu, self.D, self._sums
        level = digamma((nu + D) / 2) - digamma(nu / 2) - D / nu
        slope = zeta(2.0, (nu + D) / 2) / 2 - zeta(2.0, nu / 2) / 2 + D / nu**2
        first = (mass * level - log + (nu + D) * b) / 2
        second = (mass * slope + 2 * b - (nu + D) * (b / nu + bent)) / 2
        u = 1.0 / nu
        of_u, of_uu = -(nu**2) * first, nu**4 * second + 2 * nu**3 * first
        bowl = of_uu < 0
        step = np.where(bowl, -of_u / np.where(bowl, of_uu, 1.0), np.where(of_u > 0, np.inf, -np.inf))
        u = np.clip(u + step, u / FARTHEST, u * FARTHEST)
        moves = np.isfinite(of_u) & np.isfinite(of_uu) & (of_u != 0)
        return np.where(moves, np.clip(1.0 / u, *NU_BOX), nu)

"""Skew t experts: y = eta_0 + exp(eta_1 / 2) Z, Z Azzalini's skew t law with slant alpha = eta_2 and
nu = exp(eta_3) degrees of freedom (Azzalini and Capitanio, 2003; the direct parameters of R's `sn`).

    f = 2 / omega t_nu(z) T_(nu+1)(w),   w = alpha z sqrt((nu + 1) / (nu + z^2)),   z = (y - eta_0) / omega

with omega = exp(eta_1 / 2). At alpha = 0 it is Student's law, for large nu the skew normal one, and for large
alpha half a t law. eta_0 is where the two halves meet, not the mean.

With s = alpha z / sqrt(nu + z^2) and m = nu + 1, y0^2 = m ln(1 + s^2) / 2, a tail of the t law is

    T_m(-|w|) = 2 c / m int_|y0|^inf exp(-y^2) h(y) dy,   h(y) = y / sqrt(1 - exp(-2 y^2 / m)),
    c = G((m + 1) / 2) / (sqrt(pi) G(m / 2))

and a derivative in m, at the same s, has a factor -y^2 / m under the integral. h has no singularity nearer to
the real line than sqrt(pi m / 2), so a Gauss-Legendre rule is exact to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .base import Terms
from .gaussian import OnTheLine
from .student import Student

SLANT_BOUND = 100.0  # beyond it all but a thousandth of a law is half a t law
NODES = 24
REACH = 38.0  # exp(-REACH) is nothing beside one
PIECE = 512  # numbers whose nodes stay in a cache


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (1 + x), 0.5 * w


@cache
def _doubly_exponential(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(pi / 2) sinh(t) at n points t of [low, high], and its derivative times their distance."""
    t = np.linspace(low, high, n)
    return 0.5 * np.pi * np.sinh(t), 0.5 * np.pi * np.cosh(t) * (t[1] - t[0])


@dataclass(frozen=True)
class Half:
    """Q = ln T_m(s sqrt(m)) and its derivatives in s and m."""

    value: np.ndarray
    s: np.ndarray
    m: np.ndarray
    ss: np.ndarray
    sm: np.ndarray
    mm: np.ndarray

    @classmethod
    def of(cls, s: np.ndarray, m: np.ndarray) -> Half:
        from scipy.special import digamma, gammaln, polygamma

        laws, which = np.unique(m, return_inverse=True)
        a, b = 0.5 * (laws + 1), 0.5 * laws
        which = which.reshape(np.shape(m))
        # ln c and its first and second derivative in m
        level = (gammaln(a) - gammaln(b) - 0.5 * np.log(np.pi))[which]
        slope = (0.5 * (digamma(a) - digamma(b)))[which]
        fall = (0.25 * (polygamma(1, a) - polygamma(1, b)))[which]
        length = np.log1p(s**2)
        integral, mean, variance = _tails(0.5 * m * length, m)
        # ln of the tail T_m(-|s| sqrt(m)), and its first and second derivative in m
        tail = level - 0.5 * m * length + np.log(2 * integral / m)
        tail_m, tail_mm = slope - 0.5 * length - mean / m, fall + variance / m**2
        below = s <= 0
        rest = np.where(below, 0.0, np.exp(np.where(below, -1.0, tail)))  # of one, where s is positive
        odds = rest / (1 - rest)
        value = np.where(below, tail, np.log1p(-rest))
        q_m = np.where(below, tail_m, -odds * tail_m)
        q_mm = np.where(below, tail_mm, -odds * (tail_m**2 + tail_mm) - q_m**2)
        q = np.exp(level - 0.5 * (m + 1) * length - value)
        return cls(
            value,
            q,
            q_m,
            -q * ((m + 1) * s / (1 + s**2) + q),
            q * (slope - 0.5 * length - q_m),
            q_mm,
        )


def _tails(square: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, ...]:
    """I = int_|y0|^inf exp(-t) h(y) dy, t = y^2 - y0^2 and y0^2 = `square`, and the mean and the variance of
    t under its integrand."""
    square, m = np.broadcast_arrays(square, m)
    out = np.empty((3, square.size))
    at, weights = _legendre()
    flat_square, flat_m = square.ravel(), m.ravel()
    for i in range(0, square.size, PIECE):
        piece = slice(i, i + PIECE)
        own, start = flat_m[piece, None], np.sqrt(flat_square[piece, None])
        width = REACH / (np.sqrt(start**2 + REACH) + start)
        step = width * at
        y = start + step
        t = step * (y + start)
        part = weights * y
        part *= np.exp(-t)
        y *= y
        y *= -2 / own
        part /= np.sqrt(-np.expm1(y, out=y), out=y)
        total = part.sum(axis=1)
        out[0, piece] = total * width[:, 0]
        part *= t
        mean = out[1, piece] = part.sum(axis=1) / total
        part *= t
        out[2, piece] = part.sum(axis=1) / total - mean**2
    return tuple(out.reshape(3, *square.shape))


@dataclass(frozen=True)
class SkewT(OnTheLine):
    """Linear location, and scale, slant and degrees of freedom of each expert's own."""

    name: str = "skew-t"

    nuisances = 3
    nuisance_names = ("log(scale^2)", "slant", "log(degrees of freedom)")
    nuisance_units = (2.0, 0.0, 0.0)
    boundaries = (
        ("", ""),
        ("the left half of a t law", "the right half of a t law"),
        ("tails of a Cauchy law", "tails of a skew normal law"),
    )

    @staticmethod
    def _t(eta: np.ndarray) -> np.ndarray:
        """Predictors of the Student law of the same location, scale and degrees of freedom."""
        return eta[..., [0, 1, 3]]

    @staticmethod
    def _parts(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """z, 1 / omega, alpha, nu and sqrt(nu + z^2)."""
        root, nu = np.exp(-0.5 * eta[..., 1]), np.exp(eta[..., 3])
        z = (y - eta[..., 0]) * root
        return z, root, eta[..., 2], nu, np.sqrt(nu + z**2)

    def _half(self, eta: np.ndarray, y: np.ndarray) -> Half:
        z, _, alpha, nu, r = self._parts(eta, y)
        return Half.of(alpha * z / r, nu + 1)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._log_density(eta, y, self._half(eta, y))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._score(eta, y, self._half(eta, y))

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._curvature(eta, y, self._half(eta, y))

    def terms(self, eta: np.ndarray, y: np.ndarray, order: int) -> Terms:
        """All of one evaluation of the integrals."""
        q = self._half(eta, y)
        return (
            self._log_density(eta, y, q),
            self._score(eta, y, q) if order > 0 else None,
            self.information(eta) if order > 1 else None,
            self._curvature(eta, y, q) if order > 2 else None,
        )

    def _log_density(self, eta: np.ndarray, y: np.ndarray, q: Half) -> np.ndarray:
        return Student().log_density(self._t(eta), y) + np.log(2.0) + q.value

    @staticmethod
    def _slopes(z: Any, root: Any, alpha: Any, nu: Any, r: Any) -> list[np.ndarray]:
        """ds / d eta."""
        s_z = alpha * nu / r**3
        return [-s_z * root, -0.5 * s_z * z, z / r, -0.5 * alpha * z * nu / r**3]

    def _score(self, eta: np.ndarray, y: np.ndarray, q: Half) -> np.ndarray:
        parts = self._parts(eta, y)
        out = np.stack([q.s * s for s in self._slopes(*parts)], axis=-1)
        out[..., 3] += np.exp(eta[..., 3]) * q.m
        out[..., [0, 1, 3]] += Student().score(self._t(eta), y)
        return out

    def _curvature(self, eta: np.ndarray, y: np.ndarray, q: Half) -> np.ndarray:
        z, root, alpha, nu, r = parts = self._parts(eta, y)
        slopes = self._slopes(*parts)
        s_z, s_zz = alpha * nu / r**3, -3 * alpha * nu * z / r**5
        s_za, s_zn = nu / r**3, nu * alpha * (z**2 - 0.5 * nu) / r**5
        second = {
            (0, 0): s_zz * root**2,
            (0, 1): 0.5 * root * (s_zz * z + s_z),
            (1, 1): 0.25 * z * (s_zz * z + s_z),
            (0, 2): -root * s_za,
            (1, 2): -0.5 * z * s_za,
            (2, 2): 0.0,
            (0, 3): -root * s_zn,
            (1, 3): -0.5 * z * s_zn,
            (2, 3): -0.5 * nu * z / r**3,
            (3, 3): 0.75 * nu**2 * alpha * z / r**5 - 0.5 * nu * alpha * z / r**3,
        }
        out = np.empty((*z.shape, 4, 4))
        for (i, j), s_ij in second.items():
            own = q.ss * slopes[i] * slopes[j] + q.s * s_ij
            own = own + q.sm * nu * (slopes[i] * (j == 3) + slopes[j] * (i == 3))
            out[..., i, j] = out[..., j, i] = own + (i == j == 3) * (q.mm * nu**2 + q.m * nu)
        of_t = Student().curvature(self._t(eta), y)
        for i, a in enumerate((0, 1, 3)):
            for j, b in enumerate((0, 1, 3)):
                out[..., a, b] += of_t[..., i, j]
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        """The mean outer product of the scores, by a doubly exponential rule that begins within the slant's
        scale; once for each law of z that there is."""
        laws, which = np.unique(eta[..., 2] + 1j * eta[..., 3], return_inverse=True)
        far, step = _doubly_exponential(-3.6, 3.6, 145)
        own = np.zeros((len(laws), 1, 4))
        own[:, 0, 2], own[:, 0, 3] = laws.real, laws.imag
        unit = 1 / (1 + np.abs(own[..., 2]))
        z = unit * np.sinh(far)
        density = np.exp(self.log_density(own, z)) * unit * np.cosh(far) * step
        score = self.score(own, z)
        out = np.einsum("ln,lni,lnj->lij", density, score, score)
        out[:, 0, 1:] = out[:, 1:, 0] = 0.0
        out = out[which.ravel()].reshape(*eta.shape[:-1], 4, 4)
        out[..., 0, 0] *= np.exp(-eta[..., 1])
        return out

    @staticmethod
    def _mean(eta: np.ndarray) -> np.ndarray:
        """E[Z] = delta sqrt(nu / pi) G((nu - 1) / 2) / G(nu / 2), with delta = alpha / sqrt(1 + alpha^2)."""
        from scipy.special import gammaln

        nu, delta = np.exp(eta[..., 3]), eta[..., 2] / np.sqrt(1 + eta[..., 2] ** 2)
        safe = np.maximum(nu, 1 + 1e-12)
        size = np.exp(gammaln(0.5 * (safe - 1)) - gammaln(0.5 * safe)) * np.sqrt(safe / np.pi)
        return np.where(nu > 1, delta * size, np.nan)

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """There is none up to one degree of freedom."""
        return eta[..., 0] + np.exp(0.5 * eta[..., 1]) * self._mean(eta)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """Infinite up to two degrees of freedom."""
        nu = np.exp(eta[..., 3])
        square = nu / np.maximum(nu - 2, 1e-300)
        return np.where(nu > 2, np.exp(eta[..., 1]) * (square - self._mean(eta) ** 2), np.inf)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(|delta X_0| + sqrt(1 - delta^2) X_1) / sqrt(W / nu) of independent normal X_0, X_1, the sign of
        delta put before the first, and W of a chi-squared law."""
        alpha, nu = eta[..., 2], np.exp(eta[..., 3])
        first, second = rng.standard_normal((2, *eta.shape[:-1]))
        skew = (alpha * np.abs(first) + second) / np.sqrt(1 + alpha**2)
        return eta[..., 0] + np.exp(0.5 * eta[..., 1]) * skew * np.sqrt(nu / rng.chisquare(nu))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """For z < 0, (1 / pi) int_0^b (1 + z^2 / (nu sin(a)^2))^(-nu / 2) da with tan(b) = 1 / alpha: two
        jointly t variables and Plackett's derivative in their correlation."""
        z, _, alpha, nu, _ = self._parts(eta, y)
        alpha = np.where(z > 0, -alpha, alpha)
        b = 0.5 * np.pi - np.arctan(alpha)
        far, step = _doubly_exponential(-3.2, 3.2, 161)
        total = np.zeros(np.broadcast(z, b).shape)
        for x, w in zip(far, step, strict=True):
            square = np.sin(b / (1 + np.exp(-2 * x))) ** 2
            total += w / (2 * np.cosh(x) ** 2) * (1 + z**2 / (nu * square)) ** (-0.5 * nu)
        below = total * b / np.pi
        return np.where(z > 0, 1 - below, below)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """Without a slant, which way it goes being an expert's own."""
        return np.insert(Student().marginal(y, w, offset), 2, 0.0)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = Student().bounds()
        return np.insert(low, 3, -SLANT_BOUND), np.insert(high, 3, SLANT_BOUND)

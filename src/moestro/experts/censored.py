"""Censored Gaussian experts (Tobin, 1958): y = min(max(Y, L), U), Y ~ N(eta_0, exp(eta_1)), so that a
response at a limit says no more than that Y is there or beyond.

    log f = ln Phi(a)        at y = L,   a = (L - eta_0) exp(-eta_1 / 2)
          = ln Phi(-b)       at y = U,   b = (U - eta_0) exp(-eta_1 / 2)
          = ln N(y; eta_0, exp(eta_1))   between them

The response is scaled, so the limits are too (`on`), and `log_base` takes the Jacobian back from the
probability of a limit, which has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError, quiet
from .base import Terms
from .latent import NORMAL, Latent

FAR = 100.0  # standard deviations, where a series has more digits than a difference
BEYOND = 1e150  # standard deviations whose square is a double
ROOT_2_PI = np.sqrt(2 / np.pi)

At = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Ratio = tuple[np.ndarray, np.ndarray, np.ndarray]  # what `mills` says


@dataclass(frozen=True)
class Censored(Latent):
    """Gaussian experts seen between `lower` and `upper`, in the user's units; `center` and `scale` are those
    of the response that eta is of."""

    lower: float = 0.0
    upper: float = np.inf
    center: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.lower < self.upper or not np.isfinite([self.lower, self.upper]).any():
            raise DataError(
                f"censored experts need a lower limit below an upper one, and one of them at least, got "
                f"{self.lower} and {self.upper}: write 'censored[0:]', 'censored[:5]' or 'censored[0:5]'"
            )

    @property
    def name(self) -> str:
        low, high = (_text(v) if np.isfinite(v) else "" for v in (self.lower, self.upper))
        return f"censored[{low}:{high}]"

    @property
    def points(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(float(v) for v in (self.lower, self.upper) if np.isfinite(v))

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Censored:
        """From "censored[L:U]", of which one may be left out; "censored" is "censored[0:]"."""
        _, bracket, limits = name.partition("[")
        if not bracket:
            return cls()
        low, colon, high = limits.removesuffix("]").partition(":")
        try:
            lower, upper = float(low or -np.inf), float(high or np.inf)
        except ValueError:
            colon, lower, upper = "", 0.0, 0.0
        if not colon or not limits.endswith("]"):
            raise DataError(
                f"family={name!r} has no limits: write 'censored[0:]', 'censored[:5]' or 'censored[0:5]'"
            )
        return cls(lower, upper)

    def on(self, center: float, scale: float) -> Censored:
        """The family of a response (y - center) / scale."""
        return replace(self, center=center, scale=scale)

    @property
    def _limits(self) -> tuple[float, float]:
        """L and U of the scaled response, with the rounding of the response itself."""
        return (self.lower - self.center) / self.scale, (self.upper - self.center) / self.scale

    def supports(self, y: np.ndarray) -> np.ndarray:
        low, high = self._limits
        return (y >= low) & (y <= high)

    def check_response(self, y: np.ndarray) -> None:
        beyond = (y < self.lower) | (y > self.upper)
        if beyond.any():
            raise DataError(
                f"the response has {y[beyond][0]:g}, beyond the limits of {self.name}: a censored response "
                "is the limit itself, so clip it, or give the limits that it has"
            )

    def telling(self, y: np.ndarray) -> np.ndarray:
        return y[(y > self.lower) & (y < self.upper)]

    def check_variety(self, y: np.ndarray) -> None:
        between = self.telling(y)
        if len(between) == 0 or np.ptp(between) <= 1e-13 * np.abs(between).max():
            raise DataError(
                f"the response has no two different values between the limits of {self.name}: no variance "
                "can be estimated; where only the side is known, family='binomial-probit' is the same model"
            )

    def log_base(self, y: np.ndarray) -> np.ndarray:
        low, high = self._limits
        return np.where((y <= low) | (y >= high), np.log(self.scale), 0.0)

    def _at(self, eta: np.ndarray, y: np.ndarray) -> At:
        """Whether y is below, and above; and a and -b, which are of no use elsewhere."""
        low, high = self._limits
        y = np.broadcast_to(y, np.broadcast_shapes(eta.shape[:-1], np.shape(y)))
        return y <= low, y >= high, *self._ends(eta)

    def _ends(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a and -b."""
        low, high = self._limits
        with quiet():
            root = np.exp(-0.5 * eta[..., 1])
            a, b = (low - eta[..., 0]) * root, (eta[..., 0] - high) * root
        # Out there a probability is zero or one; only a limit that there is not stays infinite.
        a = a if np.isneginf(low) else np.clip(a, -BEYOND, BEYOND)
        return a, b if np.isposinf(high) else np.clip(b, -BEYOND, BEYOND)

    def terms(self, eta: np.ndarray, y: np.ndarray, order: int) -> Terms:
        """All of the same ends, and of the same ratios there."""
        at = self._at(eta, y)
        ratios = [mills(t) for t in at[2:]] if order > 0 else []
        return (
            self._log_density(eta, y, at),
            self._score(eta, y, at, ratios) if order > 0 else None,
            self._information(eta, at[2:], ratios) if order > 1 else None,
            self._curvature(eta, y, at, ratios) if order > 2 else None,
        )

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._log_density(eta, y, self._at(eta, y))

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        at = self._at(eta, y)
        return self._score(eta, y, at, [mills(t) for t in at[2:]])

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        at = self._at(eta, y)
        return self._curvature(eta, y, at, [mills(t) for t in at[2:]])

    def information(self, eta: np.ndarray) -> np.ndarray:
        """The exact one, without its part between mean and variance."""
        ends = self._ends(eta)
        return self._information(eta, ends, [mills(t) for t in ends])

    def _log_density(self, eta: np.ndarray, y: np.ndarray, at: At) -> np.ndarray:
        from scipy.special import log_ndtr

        below, above, a, b = at
        inside = NORMAL.log_density(eta, y)
        seen = np.where(below, log_ndtr(a), np.where(above, log_ndtr(b), inside))
        return np.where(self.supports(y), seen, -np.inf)

    def _score(self, eta: np.ndarray, y: np.ndarray, at: At, ratios: list[Ratio]) -> np.ndarray:
        out, root = NORMAL.score(eta, y), np.exp(-0.5 * eta[..., 1])
        for beyond, ratio, sign in zip(at[:2], ratios, (-1.0, 1.0), strict=True):
            if beyond.any():
                out = np.where(beyond[..., None], tail_score(ratio, root, sign), out)
        return out

    def _curvature(self, eta: np.ndarray, y: np.ndarray, at: At, ratios: list[Ratio]) -> np.ndarray:
        out, root = NORMAL.curvature(eta, y), np.exp(-0.5 * eta[..., 1])
        for beyond, ratio, sign in zip(at[:2], ratios, (-1.0, 1.0), strict=True):
            if beyond.any():
                out = np.where(beyond[..., None, None], tail_curvature(ratio, root, sign), out)
        return out

    @staticmethod
    def _information(eta: np.ndarray, ends: tuple[np.ndarray, ...], ratios: list[Ratio]) -> np.ndarray:
        from scipy.special import ndtr

        mean = spread = 0.0
        inside = _between(*ends)
        for ratio, fall, t in ratios:
            p = ndtr(t)
            mean = mean + p * fall
            spread = spread + 0.25 * p * t * (t * fall - ratio) + 0.5 * t * _phi(t)
        out = np.zeros((*eta.shape[:-1], 2, 2))
        out[..., 0, 0] = (inside + mean) * np.exp(-eta[..., 1])
        out[..., 1, 1] = 0.5 * inside + spread
        return out

    def _moments(self, eta: np.ndarray) -> tuple[np.ndarray, ...]:
        """c, E[Z - c] and E[(Z - c)^2], Z the response that is seen less eta_0, over exp(eta_1 / 2), and c
        the number nearest zero that it can be."""
        from scipy.special import ndtr

        a, b = self._ends(eta)
        b = -b
        c = np.clip(0.0, a, b)
        p, phi_a, phi_b = _between(a, -b), _phi(a), _phi(b)
        to_a, to_b = (np.where(np.isfinite(t), t - c, 0.0) for t in (a, b))
        first = to_a * ndtr(a) + to_b * ndtr(-b) + phi_a - phi_b - c * p
        with quiet():  # of predictors whose square is no double
            second = to_a**2 * ndtr(a) + to_b**2 * ndtr(-b) + (1 + c**2) * p
            second = second + (to_a - c) * phi_a - (to_b - c) * phi_b
        return c, first, second

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """Of the response that is seen, limits among its values."""
        c, first, _ = self._moments(eta)
        return np.clip(eta[..., 0] + np.exp(0.5 * eta[..., 1]) * (c + first), *self._limits)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """Of the response that is seen."""
        _, first, second = self._moments(eta)
        return np.exp(eta[..., 1]) * np.maximum(second - first**2, 0.0)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.clip(NORMAL.sample(eta, rng), *self._limits)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        low, high = self._limits
        return np.where(y < low, 0.0, np.where(y >= high, 1.0, NORMAL.cdf(eta, y)))


def _text(v: float) -> str:
    """A number as short as it is read again."""
    return f"{v:g}" if float(f"{v:g}") == v else repr(float(v))


def _phi(t: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.minimum(np.abs(t), 45.0) ** 2) / np.sqrt(2 * np.pi)


def _between(a: np.ndarray, minus_b: np.ndarray) -> np.ndarray:
    """Phi(b) - Phi(a), with the digits of the nearer tail."""
    from scipy.special import ndtr

    flip = a > 0
    return np.where(flip, ndtr(-a) - ndtr(minus_b), ndtr(-minus_b) - ndtr(a))


def mills(t: np.ndarray) -> Ratio:
    """r = phi(t) / Phi(t), -dr/dt = r (t + r), and t itself; all three zero without a limit, t = -inf."""
    from scipy.special import erfcx

    finite = np.where(np.isfinite(t), t, 0.0)
    with np.errstate(over="ignore"):
        r = ROOT_2_PI / erfcx(-finite / np.sqrt(2.0))
    u = 1 / np.maximum(np.abs(finite), FAR) ** 2
    series = 1 - u * (1 - u * (6 - u * (50 - 518 * u)))
    fall = np.where(finite < -FAR, series, r * (np.maximum(finite, -FAR) + r))
    return tuple(np.where(np.isfinite(t), v, 0.0) for v in (r, fall, finite))  # pyright: ignore[reportReturnType]


def tail_score(ratio: Ratio, root: np.ndarray, sign: float) -> np.ndarray:
    """Derivatives (..., 2) in eta of ln Phi(t), t = sign (eta_0 - limit) root, root = exp(-eta_1 / 2), from
    what `mills` says of t."""
    r, _, t = ratio
    return np.stack([sign * r * root, -0.5 * r * t], axis=-1)


def tail_curvature(ratio: Ratio, root: np.ndarray, sign: float) -> np.ndarray:
    """Its second derivatives, (..., 2, 2)."""
    r, fall, t = ratio
    out = np.empty((*t.shape, 2, 2))
    out[..., 0, 0] = -fall * root**2
    out[..., 0, 1] = out[..., 1, 0] = 0.5 * sign * root * (t * fall - r)
    out[..., 1, 1] = 0.25 * t * (r - t * fall)
    return out

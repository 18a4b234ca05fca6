"""Ordinal experts, by cumulative logits (McCullagh, 1980): classes 0, ..., K - 1 in an order, and

    P(Y <= j) = s(t_j - eta_0),   s(v) = 1 / (1 + exp(-v)),   t_0 = 0,  t_j = t_{j-1} + ln(1 + exp(eta_j)),

so that thresholds are in order whatever the nuisances eta_1, ..., eta_{K-2}, and classes rise with eta_0. A
wide gap is its nuisance, not the exponential of it: where an expert never has a class, intercept and gap go
to infinity together, and that way is a straight line, along which Newton's steps are long.
With a = t_y - eta_0, b = t_{y-1} - eta_0 (none of the last class, and of the first one),

    log f = log s(a) + log s(-b) + log(1 - exp(b - a)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, logit

from .base import predictor_bounds
from .classes import OfClasses

LOGIT_BOUND = 1e4  # per standard deviation of a column: certainty within 1e-4 of it
GAP_BOUNDS = (1e-6, 1e3)  # between thresholds: a class between them that is never seen, or always


@dataclass(frozen=True)
class Ordinal(OfClasses):
    """Cumulative logits of `classes` classes; y holds class indices 0 .. classes - 1."""

    name: str = "ordinal"

    ordered = True

    @property
    def nuisances(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return max(self.classes - 2, 0)

    @property
    def nuisance_names(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(f"log(exp(threshold {j + 2} - threshold {j + 1}) - 1)" for j in range(self.nuisances))

    @property
    def nuisance_units(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (0.0,) * self.nuisances

    @property
    def boundaries(self) -> tuple[tuple[str, str], ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (("a class that it never has", "a class that it has beyond any other"),) * self.nuisances

    def _gaps(self, eta: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, eta[..., 1 : 1 + self.nuisances])

    def _widening(self, eta: np.ndarray) -> np.ndarray:
        """d gap / d nuisance, whose own derivative is h (1 - h)."""
        return expit(eta[..., 1 : 1 + self.nuisances])

    def _ends(self, eta: np.ndarray) -> np.ndarray:
        """t_j - eta_0 of all thresholds, (..., K - 1)."""
        zero = np.zeros((*eta.shape[:-1], 1))
        return np.concatenate([zero, np.cumsum(self._gaps(eta), axis=-1)], axis=-1) - eta[..., :1]

    def _logs(self, eta: np.ndarray) -> np.ndarray:
        """log f of every class, (..., K)."""
        ends = self._ends(eta)
        out = np.zeros((*eta.shape[:-1], self.classes))
        out[..., :-1] += log_expit(ends)
        out[..., 1:] += log_expit(-ends)
        out[..., 1:-1] += np.log(-np.expm1(-self._gaps(eta)))
        return out

    def _at(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of values (..., K) that of class y."""
        shape = np.broadcast_shapes(values.shape[:-1], np.shape(y))
        values = np.broadcast_to(values, (*shape, self.classes))
        index = np.broadcast_to(np.asarray(y, dtype=int), shape)[..., None]
        return np.take_along_axis(values, index, axis=-1)[..., 0]

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._at(self._logs(eta), y)

    def _slopes(self, eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """s(-a), s(b), their derivatives in a and b without signs, and which gaps (..., K - 2) are in a, in b
        and between them."""
        ends, none = self._ends(eta), np.zeros((*eta.shape[:-1], 1))
        A = self._at(np.concatenate([expit(-ends), none], axis=-1), y)
        B = self._at(np.concatenate([none, expit(ends)], axis=-1), y)
        j = 1 + np.arange(self.nuisances)
        y = np.broadcast_to(np.asarray(y), A.shape)[..., None]
        return A, B, A * (1 - A), B * (1 - B), j <= y, j <= y - 1, j == y

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        A, B, _, _, in_a, in_b, own = self._slopes(eta, y)
        of_gaps = A[..., None] * in_a - B[..., None] * in_b + own * _between(self._gaps(eta))
        return np.concatenate([(B - A)[..., None], self._widening(eta) * of_gaps], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        A, B, A2, B2, in_a, in_b, own = self._slopes(eta, y)
        h, m = self._widening(eta), 1 + self.nuisances
        da, db = (np.concatenate([np.full((*A.shape, 1), -1.0), h * on], axis=-1) for on in (in_a, in_b))
        out = -A2[..., None, None] * da[..., :, None] * da[..., None, :]
        out -= B2[..., None, None] * db[..., :, None] * db[..., None, :]
        r = own * _between(self._gaps(eta))
        diagonal = h * (1 - h) * (A[..., None] * in_a - B[..., None] * in_b + r) - h**2 * r * (1 + r)
        at = np.arange(1, m)
        out[..., at, at] += diagonal
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        m = 1 + self.nuisances
        out = np.zeros((*eta.shape[:-1], m, m))
        for c, p in enumerate(np.moveaxis(self.mean(eta), -1, 0)):
            out -= p[..., None, None] * self.curvature(eta, np.array(float(c)))
        out[..., 0, 1:] = out[..., 1:, 0] = 0.0
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        p = np.exp(self._logs(eta))
        return p / p.sum(axis=-1, keepdims=True)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        p = self.mean(eta)
        return p * (1 - p)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        below = expit(self._ends(eta))
        return (below < rng.random((*eta.shape[:-1], 1))).sum(axis=-1).astype(float)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        y = np.floor(y)
        one = np.ones((*eta.shape[:-1], 1))
        below = np.concatenate([expit(self._ends(eta)), one], axis=-1)
        return np.where(y < 0, 0.0, self._at(below, np.clip(y, 0, self.classes - 1)))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        share = np.bincount(y.astype(int), weights=w, minlength=self.classes) + 1e-3 * w.sum()
        ends = logit(np.cumsum(share)[:-1] / share.sum())
        return np.concatenate([[-ends[0]], _nuisance(np.diff(ends))])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOGIT_BOUND, *_nuisance(np.array(GAP_BOUNDS)))


def _nuisance(gaps: np.ndarray) -> np.ndarray:
    """log(exp(gap) - 1), the nuisance of a gap."""
    return gaps + np.log(-np.expm1(-gaps))


def _between(gaps: np.ndarray) -> np.ndarray:
    """d log(1 - exp(-gap)) / d gap."""
    return np.exp(-gaps) / -np.expm1(-np.maximum(gaps, 1e-300))

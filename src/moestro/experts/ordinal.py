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

from .base import Terms, predictor_bounds
from .classes import OfClasses

LOGIT_BOUND = 1e4  # per standard deviation of a column: certainty within 1e-4 of it
GAP_BOUNDS = (1e-6, 1e3)  # between thresholds: a class between them that is never seen, or always

Work = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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
        return self._work(eta)[1]

    def _work(self, eta: np.ndarray) -> Work:
        """Gaps (..., K - 2), `_ends` (..., K - 1), and s(-a), s(b) of every class (..., K)."""
        gaps, none = self._gaps(eta), np.zeros((*eta.shape[:-1], 1))
        ends = np.concatenate([none, np.cumsum(gaps, axis=-1)], axis=-1) - eta[..., :1]
        return (
            gaps, ends, np.concatenate([expit(-ends), none], axis=-1),
            np.concatenate([none, expit(ends)], axis=-1),
        )  # fmt: skip

    def _logs(self, work: Work) -> np.ndarray:
        """log f of every class, (..., K)."""
        gaps, ends, _, _ = work
        out = np.zeros((*ends.shape[:-1], self.classes))
        out[..., :-1] += log_expit(ends)
        out[..., 1:] += log_expit(-ends)
        out[..., 1:-1] += np.log(-np.expm1(-gaps))
        return out

    def _at(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of values (..., K) that of class y."""
        shape = np.broadcast_shapes(values.shape[:-1], np.shape(y))
        flat = np.broadcast_to(values, (*shape, self.classes)).reshape(-1, self.classes)
        index = np.broadcast_to(np.asarray(y, dtype=int), shape).ravel()
        return flat[np.arange(len(flat)), index].reshape(shape)

    def terms(self, eta: np.ndarray, y: np.ndarray, order: int) -> Terms:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of the same thresholds."""
        work = self._work(eta)
        logs = self._logs(work)
        return (
            self._at(logs, y),
            self._score(eta, work, y) if order > 0 else None,
            self._information(eta, work, logs) if order > 1 else None,
            self._curvature(eta, work, y) if order > 2 else None,
        )

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._at(self._logs(self._work(eta)), y)

    def _in(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which gaps (..., K - 2) are in a, in b and between them."""
        j, y = 1 + np.arange(self.nuisances), np.asarray(y)[..., None]
        return j <= y, j <= y - 1, j == y

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._score(eta, self._work(eta), y)

    def _score(self, eta: np.ndarray, work: Work, y: np.ndarray) -> np.ndarray:
        gaps, _, A, B = work
        A, B, (in_a, in_b, own) = self._at(A, y), self._at(B, y), self._in(y)
        of_gaps = A[..., None] * in_a - B[..., None] * in_b + own * _between(gaps)
        return np.concatenate([(B - A)[..., None], self._widening(eta) * of_gaps], axis=-1)

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._curvature(eta, self._work(eta), y)

    def _curvature(self, eta: np.ndarray, work: Work, y: np.ndarray) -> np.ndarray:
        gaps, _, A, B = work
        A, B, (in_a, in_b, own) = self._at(A, y), self._at(B, y), self._in(y)
        h, m = self._widening(eta), 1 + self.nuisances
        da, db = (np.concatenate([np.full((*A.shape, 1), -1.0), h * on], axis=-1) for on in (in_a, in_b))
        out = -(A * (1 - A))[..., None, None] * da[..., :, None] * da[..., None, :]
        out -= (B * (1 - B))[..., None, None] * db[..., :, None] * db[..., None, :]
        r = own * _between(gaps)
        diagonal = h * (1 - h) * (A[..., None] * in_a - B[..., None] * in_b + r) - h**2 * r * (1 + r)
        at = np.arange(1, m)
        out[..., at, at] += diagonal
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        work = self._work(eta)
        return self._information(eta, work, self._logs(work))

    def _information(self, eta: np.ndarray, work: Work, logs: np.ndarray) -> np.ndarray:
        """E[s s'] of the scores s, of the predictor and of the nuisances; none is kept between these."""
        gaps, _, A, B = work
        p, nu = _shares(logs), self.nuisances
        out = np.zeros((*eta.shape[:-1], 1 + nu, 1 + nu))
        out[..., 0, 0] = (p * (B - A) ** 2).sum(axis=-1)
        if nu:
            in_a, in_b, own = self._in(np.arange(self.classes))
            scores = A[..., None] * in_a - B[..., None] * in_b + own * _between(gaps)[..., None, :]
            scores *= self._widening(eta)[..., None, :]
            out[..., 1:, 1:] = np.swapaxes(scores * p[..., None], -1, -2) @ scores
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return _shares(self._logs(self._work(eta)))

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


def _shares(logs: np.ndarray) -> np.ndarray:
    p = np.exp(logs)
    return p / p.sum(axis=-1, keepdims=True)


def _nuisance(gaps: np.ndarray) -> np.ndarray:
    """log(exp(gap) - 1), the nuisance of a gap."""
    return gaps + np.log(-np.expm1(-gaps))


def _between(gaps: np.ndarray) -> np.ndarray:
    """d log(1 - exp(-gap)) / d gap."""
    return np.exp(-gaps) / -np.expm1(-np.maximum(gaps, 1e-300))

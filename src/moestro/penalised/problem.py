"""The penalised likelihood: which parameters are free, and which are slopes.

    F(u, s) = -L(u, s) / n + alpha P(s)

u are intercepts and log-variances, s the slopes in the penalty's symmetric layout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..experts import Family
from ..penalties import Layout, Penalty
from .features import Features

SYMMETRIC_FROM = 3  # labels from which a softmax is penalised with one score each
CERTAIN = (
    15.0  # bound of logits and log-rates of the average input, which no penalty holds: a probability of 3e-7
)
GATE_LIMIT = (
    25.0  # of the gate's: an expert with a weight of 1e-11 has no gradient left by which it could come back
)
VARIANCE_FLOOR = 1e-4  # of an expert, relative to the response: with more columns than rows a smaller one fits a few rows exactly


def contrast(labels: int) -> np.ndarray:
    """Reference scores from the penalised ones, (labels - 1, penalised scores)."""
    if labels < SYMMETRIC_FROM:
        return np.eye(labels - 1)
    return np.hstack([np.eye(labels - 1), -np.ones((labels - 1, 1))])


def symmetric(scores: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Penalised scores (..., C.shape[1]) of reference scores (..., C.shape[0]): of all translations, the one with the smallest l1 norm."""
    if C.shape[0] == C.shape[1]:
        return scores
    whole = np.concatenate([scores, np.zeros((*scores.shape[:-1], 1))], axis=-1)
    middle = np.sort(whole, axis=-1)[..., [(whole.shape[-1] - 1) // 2]]
    return whole - middle


@dataclass(frozen=True)
class Problem:
    """Rows, columns and family of a penalised mixture.

    Attributes
    ----------
    family : Family
    k : int
    gate, experts : Features
        One object where both sides read the same columns.
    gate_names, expert_names : tuple of str
    y : ndarray of shape (n,)
    w : ndarray of shape (n,) or None
    y_center, y_scale : float
    threads : int
    own_scale : bool
        Intercepts and slopes of Gaussian experts are in units of the expert's own standard deviation sigma: beta = sigma s.
    """

    family: Family
    k: int
    gate: Features
    experts: Features
    gate_names: tuple[str, ...]
    expert_names: tuple[str, ...]
    y: np.ndarray
    w: np.ndarray | None
    y_center: float = 0.0
    y_scale: float = 1.0
    threads: int = 1
    own_scale: bool = False

    @property
    def m(self) -> int:
        """Predictors of one expert as the model has them."""
        return self.family.predictors

    @cached_property
    def gate_contrast(self) -> np.ndarray:
        """(k - 1, scores)."""
        return contrast(self.k)

    @cached_property
    def class_contrast(self) -> np.ndarray:
        """(m, predictors of one expert that are penalised)."""
        return contrast(self.family.labels) if self.family.labels else np.eye(self.m)

    @property
    def scores(self) -> int:
        return self.gate_contrast.shape[1]

    @property
    def predictors(self) -> int:
        """Penalised predictors of all experts."""
        return self.k * self.class_contrast.shape[1]

    @cached_property
    def n(self) -> float:
        """Sum of weights."""
        return float(len(self.y) if self.w is None else self.w.sum())

    def layout(self, penalty: Penalty) -> Layout:
        """The slopes as the penalty sees them."""
        gate, experts = (np.ones(f.d) for f in (self.gate, self.experts))
        if not penalty.standardize:
            response = 1.0 if self.own_scale else self.y_scale
            gate, experts = self.gate.scaling.inv_scale, self.experts.scaling.inv_scale * response
        return Layout(self.gate_names, self.expert_names, self.scores, self.predictors, gate, experts, self.n)

    @property
    def n_gate(self) -> int:
        """Slopes of the gate in the layout."""
        return self.gate.d * self.scores

    @property
    def size(self) -> int:
        """Slopes in all."""
        return self.n_gate + self.experts.d * self.predictors

    @cached_property
    def usable(self) -> np.ndarray:
        """Boolean (size,): slopes of columns that vary."""
        gate, experts = self.gate.scaling.used, self.experts.scaling.used
        return np.concatenate([np.repeat(gate, self.scores), np.repeat(experts, self.predictors)])

    @cached_property
    def n_free(self) -> int:
        """Length of u: gate's intercepts, experts' intercepts, log-variances (one where they are shared)."""
        nuisances = self.family.nuisances * (1 if self.family.tied_nuisances else self.k)
        return self.k - 1 + self.k * self.m + nuisances

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Box of u."""
        low, high = self.family.bounds()
        counts = (self.k - 1, self.k * self.m, self.n_free - (self.k - 1) - self.k * self.m)
        least = -CERTAIN if self.family.discrete else low[0]
        most = CERTAIN if self.family.labels else high[0]
        lower = np.repeat([-GATE_LIMIT, least, max(low[2], np.log(VARIANCE_FLOOR))], counts)
        return lower, np.repeat([GATE_LIMIT, most, high[2]], counts)

    def split(self, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gate (q, scores) and experts (p, predictors) of a vector of slopes."""
        return (
            slopes[: self.n_gate].reshape(self.gate.d, self.scores),
            slopes[self.n_gate :].reshape(self.experts.d, self.predictors),
        )

    def gradient(self, scores: np.ndarray) -> np.ndarray:
        """Gradient of L in all slopes, (size,), from the weighted logit scores of the rows (n, logits)."""
        nu, m = self.family.nuisances, self.m
        gate = self.gate.gradient(scores[:, : self.k - 1]) @ self.gate_contrast
        own = scores[:, self.k - 1 :].reshape(len(scores), self.k, m + nu)[:, :, :m]
        experts = self.experts.gradient(own.reshape(len(own), -1)).reshape(self.experts.d, self.k, m)
        return np.concatenate([gate.ravel(), (experts @ self.class_contrast).ravel()]) * self.usable

    def take(self, rows: np.ndarray) -> Problem:
        """Some rows, with the same scaling."""
        experts = self.experts.take(rows)
        gate = experts if self.gate is self.experts else self.gate.take(rows)
        return replace(
            self, experts=experts, gate=gate, y=self.y[rows], w=None if self.w is None else self.w[rows]
        )

"""The likelihood of a mixture whose slopes are penalised: which parameters are free, and which are slopes.

    F(u, s) = -L(u, s) / n + alpha P(s)

u are intercepts and log-variances, s the slopes in the penalty's symmetric layout; a point is both in one
vector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import DataError
from ..experts import Family
from ..penalties import Layout, Penalty
from ..problems.ranking import ROWS
from ..rows import Columns, WideRows

SYMMETRIC_FROM = 3  # labels from which a softmax is penalised with one score each
# Bound of logits and log-rates of the average input, which no penalty holds: a probability of 3e-7.
CERTAIN = 15.0
# Of the gate's: an expert with a weight of 1e-11 has no gradient left by which it could come back.
GATE_LIMIT = 25.0
# Of an expert, relative to the response: with more columns than rows a smaller one fits a few rows exactly.
VARIANCE_FLOOR = 1e-4
EMPTY = 1e-6  # share of the rows below which an expert has none
MOST = 0.5  # slopes a row beyond which a fit follows the noise: searches and paths end there


def contrast(labels: int) -> np.ndarray:
    """Reference scores from the penalised ones, (labels - 1, penalised scores)."""
    if labels < SYMMETRIC_FROM:
        return np.eye(labels - 1)
    return np.hstack([np.eye(labels - 1), -np.ones((labels - 1, 1))])


def symmetric(scores: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Penalised scores (..., C.shape[1]) of reference scores (..., C.shape[0]): of all translations, the one
    with the smallest l1 norm."""
    if C.shape[0] == C.shape[1]:
        return scores
    whole = np.concatenate([scores, np.zeros((*scores.shape[:-1], 1))], axis=-1)
    middle = np.sort(whole, axis=-1)[..., [(whole.shape[-1] - 1) // 2]]
    return whole - middle


@dataclass(frozen=True)
class Likelihood:
    """A mixture of k experts on rows.

    Attributes
    ----------
    family : Family
    k : int
    rows : WideRows
    gate_names, expert_names : tuple of str
    own_scale : bool
        Slopes of experts with a variance are in units of the expert's own standard deviation sigma:
        beta = sigma s. Intercepts are not: no penalty holds them.
    threads : int
    """

    family: Family
    k: int
    rows: WideRows
    gate_names: tuple[str, ...]
    expert_names: tuple[str, ...]
    own_scale: bool = False
    threads: int = 1

    def check(self) -> None:
        """Refuse what cannot be fitted."""
        if self.k < 1:
            raise DataError(f"the number of experts must be at least 1, got {self.k}")
        used = self.rows.y[self.rows.weights > 0]
        self.family.check_response(used)
        self.family.check_variety(used)
        if self.k > 1 and len(np.unique(used)) < 2:
            raise DataError("the response has one value or class only: nothing tells experts apart")
        own_variance = self.k > 1 and self.n_sigma == self.k
        least = int(ROWS) * self.k if own_variance else self.k  # with fewer, one fits its rows exactly
        if len(used) < least:
            raise DataError(
                f"{self.k} experts need at least {least} rows, the data have {len(used)}: use fewer experts"
                + ", or shared_variance=True" * own_variance
            )
        if not len(self.gate_names) + len(self.expert_names):
            raise DataError("there is no column to penalise: fit without a penalty")

    @property
    def gate(self) -> Columns:
        return self.rows.gate

    @property
    def experts(self) -> Columns:
        return self.rows.experts

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
        return float(self.rows.weights.sum())

    def layout(self, penalty: Penalty) -> Layout:
        """The slopes as the penalty sees them."""
        gate, experts = (np.ones(f.d) for f in (self.gate, self.experts))
        if not penalty.standardize:
            response = 1.0 if self.own_scale else self.rows.y_scale
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

    @property
    def most(self) -> int:
        """Slopes up to which fits are looked at."""
        return max(50, int(MOST * self.rows.n))

    @cached_property
    def usable(self) -> np.ndarray:
        """Boolean (size,): slopes of columns that vary."""
        return self.expand(self.gate.scaling.used, self.experts.scaling.used)

    def expand(self, gate: np.ndarray, experts: np.ndarray) -> np.ndarray:
        """One value a slope from one a column: (q,) and (p,) to (size,)."""
        return np.concatenate([np.repeat(gate, self.scores), np.repeat(experts, self.predictors)])

    @cached_property
    def n_sigma(self) -> int:
        """Log-variances: one where they are shared."""
        return self.family.nuisances * (1 if self.family.tied_nuisances else self.k)

    @cached_property
    def n_free(self) -> int:
        """Length of u: gate's intercepts, experts' intercepts, log-variances."""
        return self.k - 1 + self.k * self.m + self.n_sigma

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Box of u."""
        low, high = self.family.bounds()
        counts = (self.k - 1, self.k * self.m, self.n_sigma)
        least = -CERTAIN if self.family.discrete else low[0]
        most = CERTAIN if self.family.labels else high[0]
        lower = np.repeat([-GATE_LIMIT, least, max(low[2], np.log(VARIANCE_FLOOR))], counts)
        return lower, np.repeat([GATE_LIMIT, most, high[2]], counts)

    def collapsed(self, u: np.ndarray) -> np.ndarray:
        """Boolean: which log-variances of u are at their floor, in the order of the experts."""
        at = slice(self.n_free - self.n_sigma, self.n_free)
        return u[at] <= self.bounds[0][at] + 1e-9

    def thin(self, u: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Boolean (k,): experts with rows, but too few for a variance of their own, as `problems.ranking`
        counts them: what a penalty holds needs none."""
        if self.n_sigma < self.k or self.k == 1:
            return np.zeros(self.k, dtype=bool)
        narrow = self.family.narrowness(u[self.n_free - self.n_sigma : self.n_free].reshape(self.k, -1))
        rows = mass * max(1.0, np.count_nonzero(self.rows.weights) / self.n)
        return (rows > EMPTY * rows.sum()) & (rows < ROWS + np.maximum(narrow, 0.0))

    def rank(self, point: np.ndarray, value: float, mass: np.ndarray) -> tuple[int, float]:
        """Larger is better: (2 usable, 1 thin or of too many slopes, 0 collapsed, -1 not finite; value)."""
        if not np.isfinite(value):
            return -1, -np.inf
        many = np.count_nonzero(point[self.n_free :]) > self.most
        doubtful = many or self.thin(point, mass).any()
        return 0 if self.collapsed(point).any() else 1 if doubtful else 2, float(value)

    @cached_property
    def marginal_scores(self) -> np.ndarray:
        """Scores of every row at the marginal law of y, (n, m + nuisances)."""
        y, family = self.rows.scaled_y, self.family
        eta = np.concatenate([family.marginal(y, self.rows.weights), np.zeros(family.nuisances)])
        return family.score(np.broadcast_to(eta, (len(y), len(eta))), y)

    def pooled(self) -> np.ndarray:
        """The point with equal gate weights and every expert at the marginal law of y, without slopes."""
        point = np.zeros(self.n_free + self.size)
        marginal = self.family.marginal(self.rows.scaled_y, self.rows.weights)
        point[self.k - 1 : self.k - 1 + self.k * self.m] = np.tile(marginal, self.k)
        return point

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

    def take(self, rows: np.ndarray) -> Likelihood:
        """On some rows, with the same scaling."""
        return replace(self, rows=self.rows.take(rows))

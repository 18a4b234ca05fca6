"""The likelihood of a few slopes at a time: the engine is given the columns at work only.

Scores of all other slopes come from one product of their columns with the rows' logit scores.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from ..design import Scaling
from ..engine import Engine, Order, make_engine
from ..gates import SoftmaxGate
from ..model import Model
from ..rows import Rows
from .problem import Problem, symmetric


class Restricted:
    """The likelihood as a function of v = (u, some slopes); the others are zero.

    Parameters
    ----------
    working : ndarray of int
        Slopes at work, increasing, in the layout.
    everything : bool
        Keep all columns in the model, those without a slope too; for parameters of the whole model only.
    """

    def __init__(self, problem: Problem, working: np.ndarray, everything: bool = False):
        self.problem, self.working = problem, working
        gate = working[working < problem.n_gate]
        experts = working[working >= problem.n_gate] - problem.n_gate
        gate_at = gate // max(problem.scores, 1)
        expert_at = experts // problem.predictors
        if everything:
            self.gate_columns = np.arange(problem.gate.d)
            self.expert_columns = np.arange(problem.experts.d)
        else:
            self.gate_columns, self.expert_columns = np.unique(gate_at), np.unique(expert_at)
        self.model = Model(
            SoftmaxGate(), problem.family, problem.k, len(self.gate_columns) + 1, len(self.expert_columns) + 1
        )
        self._map = self._build(
            np.searchsorted(self.gate_columns, gate_at),
            gate % max(problem.scores, 1),
            np.searchsorted(self.expert_columns, expert_at),
            experts % problem.predictors,
        )

    def _build(
        self,
        gate_columns: np.ndarray,
        gate_scores: np.ndarray,
        expert_columns: np.ndarray,
        expert_scores: np.ndarray,
    ) -> sp.csr_array:
        """theta = A v: intercepts and variances as they are, slopes by their contrasts."""
        pr, model = self.problem, self.model
        k, m, q, p = pr.k, pr.m, model.q, model.p
        first, last = model.gate_size, model.size - k * pr.family.nuisances
        row = [np.arange(k - 1) * q, first + np.arange(k * m) * p, last + np.arange(model.size - last)]
        nuisances = (
            np.zeros(model.size - last, dtype=int)
            if pr.family.tied_nuisances
            else np.arange(model.size - last)
        )
        col = [np.arange(k - 1), k - 1 + np.arange(k * m), k - 1 + k * m + nuisances]
        value = [np.ones(len(r)) for r in row]
        for t in range(k - 1):
            row.append(t * q + 1 + gate_columns)
            col.append(pr.n_free + np.arange(len(gate_columns)))
            value.append(pr.gate_contrast[t, gate_scores])
        C = pr.class_contrast
        expert, c = expert_scores // C.shape[1], expert_scores % C.shape[1]
        for t in range(m):
            row.append(first + (expert * m + t) * p + 1 + expert_columns)
            col.append(pr.n_free + len(gate_columns) + np.arange(len(expert_columns)))
            value.append(C[t, c])
        shape = (model.size, pr.n_free + len(self.working))
        return sp.csr_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape=shape)

    def theta(self, v: np.ndarray) -> np.ndarray:
        """Parameters of the restricted model."""
        theta = self._map @ v
        return theta * self._deviations(theta) if self.problem.own_scale else theta

    def from_theta(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, all slopes) of parameters of the restricted model; a symmetric softmax has its middle score at zero."""
        pr, model = self.problem, self.model
        theta = theta / self._deviations(theta) if pr.own_scale else theta
        nuisances = model.nuisances(theta).ravel()
        experts = model.expert_coefficients(theta)
        u = np.concatenate(
            [
                model.gate_coefficients(theta)[:, 0],
                experts[:, :, 0].ravel(),
                nuisances[: pr.n_free - (pr.k - 1) - pr.k * pr.m],
            ]
        )
        slopes = np.zeros(pr.size)
        gate, own = pr.split(slopes)
        gate[self.gate_columns] = symmetric(model.gate_coefficients(theta)[:, 1:].T, pr.gate_contrast)
        inner = symmetric(experts[:, :, 1:].transpose(2, 0, 1), pr.class_contrast)
        own[self.expert_columns] = inner.reshape(len(self.expert_columns), pr.predictors)
        at = np.zeros(pr.size, dtype=bool)
        at[self.working] = True
        return u, np.where(at, slopes, 0.0)

    def _deviations(self, theta: np.ndarray) -> np.ndarray:
        """sigma of its expert for each coefficient of an expert, 1 for the rest, (size,)."""
        out = np.ones(self.model.size)
        sigma = np.exp(0.5 * self.model.nuisances(theta)[:, 0])
        self.model.expert_coefficients(out)[:] = sigma[:, None, None]
        return out

    @cached_property
    def _variance_of(self) -> sp.csr_array:
        """Indicator (size, len(v)) of the log-variance that a coefficient is scaled by."""
        model, pr = self.model, self.problem
        owner = np.full(model.size, -1)
        first = pr.n_free - (1 if pr.family.tied_nuisances else pr.k)
        column = first + (np.zeros(pr.k, dtype=int) if pr.family.tied_nuisances else np.arange(pr.k))
        model.expert_coefficients(owner)[:] = column[:, None, None]
        row = np.flatnonzero(owner >= 0)
        shape = (model.size, pr.n_free + len(self.working))
        return sp.csr_array((np.ones(len(row)), (row, owner[row])), shape=shape)

    @cached_property
    def rows(self) -> Rows:
        """The rows with the columns at work, scaled."""
        pr = self.problem
        x = pr.experts.columns(self.expert_columns)
        same = pr.gate is pr.experts and np.array_equal(self.gate_columns, self.expert_columns)
        z = None if same else pr.gate.columns(self.gate_columns)
        plain = [Scaling(np.zeros(a.shape[1]), np.ones(a.shape[1])) for a in (x, x if z is None else z)]
        return Rows(x, z, pr.y, pr.w, plain[0], plain[1], pr.y_center, pr.y_scale)

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.model, self.rows, "auto", self.problem.threads)

    def evaluate(
        self, v: np.ndarray, order: Order
    ) -> tuple[float, np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray]:
        """-L / n, its gradient, Hessian and EM's information in v, and the experts' mass; as far as `order` goes."""
        n, A = self.problem.n, self._map
        theta = self.theta(v)
        e = self.engine.evaluate(theta, order)
        score_curvature = None
        if self.problem.own_scale and e.gradient is not None:
            A, score_curvature = self._tangent(theta, e.gradient, order >= Order.INFORMATION)
        gradient = None if e.gradient is None else -(A.T @ e.gradient) / n
        information = None if e.information is None else (A.T @ (A.T @ e.information).T) / n
        curvature = None if e.curvature is None else -(A.T @ (A.T @ e.curvature).T) / n
        if curvature is not None and score_curvature is not None:
            curvature -= score_curvature / n
        return -e.value / n, gradient, curvature, information, e.mass

    def _tangent(
        self, theta: np.ndarray, g: np.ndarray, second: bool
    ) -> tuple[sp.csr_array, np.ndarray | None]:
        """d theta / dv, and sum_i g_i d2 theta_i / dv dv', where beta = sigma s and sigma = exp(log-variance / 2)."""
        V, sigma = self._variance_of, self._deviations(theta)
        own = np.zeros(self.model.size, dtype=bool)
        self.model.expert_coefficients(own)[:] = True
        A = sp.csr_array(self._map.multiply(sigma[:, None]))
        J = A + sp.csr_array(V.multiply(0.5 * theta[:, None]))
        if not second:
            return J, None
        cross = 0.5 * (sp.csr_array(A.multiply((g * own)[:, None])).T @ V).toarray()
        return J, cross + cross.T + 0.25 * np.diag(V.T @ (g * theta * own))

    def logit_scores(self, v: np.ndarray) -> np.ndarray:
        """Weighted scores of the logits of every row, (n, logits)."""
        theta = self.theta(v)
        scores = self.engine.rowwise(theta, scores=True).scores
        assert scores is not None
        return self._scaled(theta, scores)

    def _scaled(self, theta: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Scores of s from scores of beta: times sigma. Those of the variances are left: no column is multiplied with them."""
        if not self.problem.own_scale:
            return scores
        k, nu = self.problem.k, self.problem.family.nuisances
        sigma = np.exp(0.5 * self.model.nuisances(theta)[:, 0])
        factor = np.ones((k, self.problem.m + nu))
        factor[:, : self.problem.m] = sigma[:, None]
        return scores * np.concatenate([np.ones(k - 1), factor.ravel()])


def whole_model(problem: Problem, u: np.ndarray, slopes: np.ndarray) -> tuple[Model, np.ndarray]:
    """Model on all columns and its parameters."""
    every = Restricted(problem, np.flatnonzero(slopes), everything=True)
    return every.model, every.theta(np.concatenate([u, slopes[every.working]]))

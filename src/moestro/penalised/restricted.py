"""The likelihood of a few slopes at a time: the engine is given the columns at work only.

Scores of all other slopes come from one product of their columns with the rows' logit scores.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from ..engine import Engine, Order, make_engine
from ..gates import SoftmaxGate
from ..model import Model
from ..rows import Rows
from .likelihood import Likelihood, symmetric


class Restricted:
    """The likelihood as a function of v = (u, some slopes); the others are zero.

    Parameters
    ----------
    working : ndarray of int
        Slopes at work, increasing, in the layout.
    everything : bool
        Keep all columns in the model, those without a slope too; for parameters of the whole model only.
    """

    def __init__(self, likelihood: Likelihood, working: np.ndarray, everything: bool = False):
        self.likelihood, self.working = likelihood, working
        gate = working[working < likelihood.n_gate]
        experts = working[working >= likelihood.n_gate] - likelihood.n_gate
        gate_at = gate // max(likelihood.scores, 1)
        expert_at = experts // likelihood.predictors
        if everything:
            self.gate_columns = np.arange(likelihood.gate.d)
            self.expert_columns = np.arange(likelihood.experts.d)
        else:
            self.gate_columns, self.expert_columns = np.unique(gate_at), np.unique(expert_at)
        self.model = Model(
            SoftmaxGate(),
            likelihood.family,
            likelihood.k,
            len(self.gate_columns) + 1,
            len(self.expert_columns) + 1,
        )
        self._map = self._build(
            np.searchsorted(self.gate_columns, gate_at),
            gate % max(likelihood.scores, 1),
            np.searchsorted(self.expert_columns, expert_at),
            experts % likelihood.predictors,
        )

    def _build(
        self,
        gate_columns: np.ndarray,
        gate_scores: np.ndarray,
        expert_columns: np.ndarray,
        expert_scores: np.ndarray,
    ) -> sp.csr_array:
        """theta = A v: intercepts and variances as they are, slopes by their contrasts."""
        pr, model, n = self.likelihood, self.model, len(gate_columns)
        k, m, q, p, C = pr.k, pr.m, model.q, model.p, pr.class_contrast
        first, last = model.gate_size, model.size - k * pr.family.nuisances
        nuisances = np.arange(model.size - last) * (not pr.family.tied_nuisances)
        row = [np.arange(k - 1) * q, first + np.arange(k * m) * p, np.arange(last, model.size)]
        col = [np.arange(k - 1), np.arange(k - 1, k - 1 + k * m), k - 1 + k * m + nuisances]
        value = [np.ones(len(r)) for r in row]
        expert, c = np.divmod(expert_scores, C.shape[1])
        for t in range(k - 1):
            row.append(t * q + 1 + gate_columns)
            col.append(pr.n_free + np.arange(n))
            value.append(pr.gate_contrast[t, gate_scores])
        for t in range(m):
            row.append(first + (expert * m + t) * p + 1 + expert_columns)
            col.append(pr.n_free + np.arange(n, n + len(expert_columns)))
            value.append(C[t, c])
        shape = (model.size, pr.n_free + len(self.working))
        return sp.csr_array((np.concatenate(value), (np.concatenate(row), np.concatenate(col))), shape=shape)

    def theta(self, v: np.ndarray) -> np.ndarray:
        """Parameters of the restricted model."""
        theta = self._map @ v
        return theta * self._deviations(theta) if self.likelihood.own_scale else theta

    def free(self, theta: np.ndarray) -> np.ndarray:
        """u of parameters of the restricted model."""
        pr, model = self.likelihood, self.model
        theta = theta / self._deviations(theta) if pr.own_scale else theta
        u = [model.gate_coefficients(theta)[:, 0], model.expert_coefficients(theta)[:, :, 0].ravel()]
        return np.concatenate([*u, model.nuisances(theta).ravel()])[: pr.n_free]

    def point(self, theta: np.ndarray) -> np.ndarray:
        """(u, all slopes) of parameters of the restricted model; a symmetric softmax has its middle score at
        zero."""
        pr, model = self.likelihood, self.model
        scaled = theta / self._deviations(theta) if pr.own_scale else theta
        slopes = np.zeros(pr.size)
        gate, own = pr.split(slopes)
        gate[self.gate_columns] = symmetric(model.gate_coefficients(scaled)[:, 1:].T, pr.gate_contrast)
        inner = symmetric(model.expert_coefficients(scaled)[:, :, 1:].transpose(2, 0, 1), pr.class_contrast)
        own[self.expert_columns] = inner.reshape(len(self.expert_columns), pr.predictors)
        at = np.zeros(pr.size, dtype=bool)
        at[self.working] = True
        return np.concatenate([self.free(theta), np.where(at, slopes, 0.0)])

    def _deviations(self, theta: np.ndarray) -> np.ndarray:
        """sigma of its expert for each slope of an expert, 1 for the rest, (size,)."""
        out = np.ones(self.model.size)
        sigma = np.exp(0.5 * self.model.nuisances(theta)[:, 0])
        self.model.expert_coefficients(out)[:, :, 1:] = sigma[:, None, None]
        return out

    @cached_property
    def _owner(self) -> np.ndarray:
        """Indicator (size, variances) of the log-variance that a slope is scaled by."""
        pr = self.likelihood
        own = np.full(self.model.size, -1)
        self.model.expert_coefficients(own)[:, :, 1:] = np.arange(pr.k)[:, None, None]
        if pr.family.tied_nuisances:
            own = np.minimum(own, 0)
        return (own[:, None] == np.arange(pr.n_sigma)).astype(float)

    @cached_property
    def rows(self) -> Rows:
        """The rows with the columns at work, scaled."""
        pr = self.likelihood
        x = pr.experts.columns(self.expert_columns)
        same = pr.gate is pr.experts and np.array_equal(self.gate_columns, self.expert_columns)
        z = None if same else pr.gate.columns(self.gate_columns)
        rows = Rows.plain(x, z, pr.rows.y, pr.rows.w)
        return rows.on(rows.x_scaling, rows.z_scaling, pr.rows.y_center, pr.rows.y_scale)

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.model, self.rows, "auto", self.likelihood.threads)

    def evaluate(
        self, v: np.ndarray, order: Order
    ) -> tuple[float, np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray]:
        """-L / n, its gradient, Hessian and EM's information in v, and the experts' mass; as far as `order`
        goes.

        With beta = sigma s and sigma = exp(log-variance / 2), d beta / dv = sigma ds / dv + beta / 2 d
        log-variance / dv.
        """
        pr, theta = self.likelihood, self.theta(v)
        e, n, own = self.engine.evaluate(theta, order), pr.n, pr.own_scale
        sigma = self._deviations(theta) if own else np.ones(len(theta))
        half, variances = (
            0.5 * self._owner * theta[:, None] if own else None,
            slice(pr.n_free - pr.n_sigma, pr.n_free),
        )

        def pull(a: np.ndarray) -> np.ndarray:
            """(d theta / dv)' a."""
            out = self._pull @ (a.T * sigma).T
            if half is not None:
                out[variances] += half.T @ a
            return out

        gradient = None if e.gradient is None else -pull(e.gradient) / n
        information = None if e.information is None else pull(pull(e.information).T) / n
        curvature = None if e.curvature is None else -pull(pull(e.curvature).T) / n
        if (
            curvature is not None and half is not None and e.gradient is not None
        ):  # sum_i g_i d2 theta_i / dv dv'
            g = e.gradient[:, None] / n
            cross = self._pull @ (0.5 * g * sigma[:, None] * self._owner)
            curvature[:, variances] -= cross
            curvature[variances] -= cross.T
            curvature[variances, variances] -= np.diag((0.5 * g * half).sum(axis=0))
        return -e.value / n, gradient, curvature, information, e.mass

    @cached_property
    def _pull(self) -> sp.csr_array:
        return self._map.T.tocsr()

    def logit_scores(self, v: np.ndarray) -> np.ndarray:
        """Weighted scores of the logits of every row, (n, logits)."""
        theta = self.theta(v)
        scores = self.engine.rowwise(theta, scores=True).scores
        assert scores is not None
        return self._scaled(theta, scores)

    def _scaled(self, theta: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Scores of s from scores of beta: times sigma. Those of the variances are left: no column is
        multiplied with them."""
        if not self.likelihood.own_scale:
            return scores
        k, nu = self.likelihood.k, self.likelihood.family.nuisances
        sigma = np.exp(0.5 * self.model.nuisances(theta)[:, 0])
        factor = np.ones((k, self.likelihood.m + nu))
        factor[:, : self.likelihood.m] = sigma[:, None]
        return scores * np.concatenate([np.ones(k - 1), factor.ravel()])


def on_support(
    likelihood: Likelihood, point: np.ndarray, everything: bool = False
) -> tuple[Restricted, np.ndarray]:
    """The likelihood of the slopes of a point (u, slopes) that are not zero, and its v there."""
    u, slopes = point[: likelihood.n_free], point[likelihood.n_free :]
    part = Restricted(likelihood, np.flatnonzero(slopes), everything)
    return part, np.concatenate([u, slopes[part.working]])


def whole_model(likelihood: Likelihood, point: np.ndarray) -> tuple[Model, np.ndarray]:
    """Model on all columns and its parameters."""
    every, v = on_support(likelihood, point, everything=True)
    return every.model, every.theta(v)

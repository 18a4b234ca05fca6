"""The readable reference: NumPy in row blocks. Any gate and family of the protocols runs here.

Per row, with gate scores v, pi = softmax(v), experts' log-densities l_e and scores s_e:

    L = log sum_e pi_e exp(l_e),    r_e = pi_e exp(l_e - L)
    dL/dv = r - pi =: d,            dL/deta_e = r_e s_e
    d2L/dv_a dv_b     = [a=b] (r_a - pi_a) - r_a r_b + pi_a pi_b
    d2L/dv_a deta_e'  = r_e ([a=e] - r_a) s_e'
    d2L/deta deta'    = [e=f] r_e (s_e s_e' + C_e) - r_e r_f s_e s_f'

and each parameter block sums these numbers times the outer product of the two features: rows of the design
for experts, dv/dgate for the gate, whose own curvature adds sum d d2v.
"""

from __future__ import annotations

import numpy as np

from ..gates import log_sum_exp
from ..gates.base import Feature
from ..model import Model
from ..rows import Rows
from .base import Evaluation, Order, Rowwise, log_base_sum, stacked


class ArrayEngine:
    """NumPy engine over `rows`, `block` rows at a time."""

    def __init__(self, model: Model, rows: Rows, block: int = 1024):
        self.model, self.rows, self.block = model, rows, block
        self._offset = log_base_sum(model, rows)

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        model = self.model
        P = model.size
        value, mass = self._offset, np.zeros(model.k)
        gradient = np.zeros(P) if order >= Order.GRADIENT else None
        information = np.zeros((P, P)) if order >= Order.INFORMATION else None
        curvature = np.zeros((P, P)) if order >= Order.CURVATURE else None
        for block in self.rows.blocks(self.block):
            u = model.scores(theta, block.z)
            eta = model.predictors(theta, block.x)
            log_pi = u - log_sum_exp(u)
            joint = log_pi + model.family.log_density(eta, block.y[:, None])
            L = log_sum_exp(joint)
            if responsibilities is None:
                r = np.exp(joint - L)
                value += float(block.w @ L[:, 0])
            else:
                r = responsibilities[block.at]
                value += float(block.w @ (r * joint).sum(axis=1))
            mass += block.w @ r
            if gradient is None:
                continue
            pi = np.exp(log_pi)
            s = model.family.score(eta, block.y[:, None])
            # Given responsibilities need not sum to one: those of a part of the rows are zero elsewhere.
            d = r - r.sum(axis=1, keepdims=True) * pi
            v = np.concatenate([d[:, : model.n_gate], (r[:, :, None] * s).reshape(len(u), -1)], axis=1)
            features = logit_features(model, theta, block.z, block.x)
            for t, (feature, at) in enumerate(features):
                gradient[at] += (block.w * v[:, t]) @ feature
            if information is not None:
                blocks = self._information(pi, eta, r)
                self._add(information, features, blocks * block.w[:, None, None])
            if curvature is not None:
                blocks = self._curvature(pi, eta, block.y, r, s, v)
                self._add(curvature, features, blocks * block.w[:, None, None])
                score_curvature = model.gate.score_curvature(
                    model.gate_coefficients(theta), model.gate_shared(theta), block.z, d * block.w[:, None]
                )
                if score_curvature is not None:
                    curvature[: model.gate_size, : model.gate_size] += score_curvature
        return Evaluation(value, mass, gradient, information, curvature)

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        given = [None] * len(thetas) if responsibilities is None else responsibilities
        return stacked([self.evaluate(theta, order, r) for theta, r in zip(thetas, given, strict=True)])

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        model = self.model
        density, resp, score = [], [], []
        shift = np.log(self.rows.y_scale)
        for block in self.rows.blocks(self.block):
            u = model.scores(theta, block.z)
            log_pi = u - log_sum_exp(u)
            eta = model.predictors(theta, block.x)
            joint = log_pi + model.family.log_density(eta, block.y[:, None])
            L = log_sum_exp(joint)
            r = np.exp(joint - L)
            density.append(L[:, 0] + model.family.log_base(block.y) - shift)
            resp.append(r)
            if scores:
                d = (r - np.exp(log_pi))[:, : model.n_gate]
                s = r[:, :, None] * model.family.score(eta, block.y[:, None])
                score.append(block.w[:, None] * np.concatenate([d, s.reshape(len(u), -1)], axis=1))
        return Rowwise(
            np.concatenate(density), np.concatenate(resp), np.concatenate(score) if scores else None
        )

    @staticmethod
    def _add(matrix: np.ndarray, features: list[Feature], blocks: np.ndarray) -> None:
        for a, (fa, at_a) in enumerate(features):
            for b, (fb, at_b) in enumerate(features[: a + 1]):
                part = (fa * blocks[:, a, b, None]).T @ fb
                matrix[_cross(at_a, at_b)] += part
                if a != b:
                    matrix[_cross(at_b, at_a)] += part.T

    def _expert_slices(self) -> list[slice]:
        model = self.model
        mm = model.m + model.family.nuisances
        return [slice(model.n_gate + e * mm, model.n_gate + (e + 1) * mm) for e in range(model.k)]

    def _information(self, pi: np.ndarray, eta: np.ndarray, r: np.ndarray) -> np.ndarray:
        g, slices = self.model.n_gate, self._expert_slices()
        T = slices[-1].stop
        out = np.zeros((len(pi), T, T))
        free = pi[:, :g]
        out[:, :g, :g] = free[:, :, None] * np.eye(g) - free[:, :, None] * free[:, None, :]
        inner = self.model.family.information(eta)
        for e, at in enumerate(slices):
            out[:, at, at] = r[:, e, None, None] * inner[:, e]
        return out

    def _curvature(
        self, pi: np.ndarray, eta: np.ndarray, y: np.ndarray, r: np.ndarray, s: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        model, g, slices = self.model, self.model.n_gate, self._expert_slices()
        out = -v[:, :, None] * v[:, None, :]
        free, own = pi[:, :g], r[:, :g]
        out[:, :g, :g] = (own - free)[:, :, None] * np.eye(g)
        out[:, :g, :g] += free[:, :, None] * free[:, None, :] - own[:, :, None] * own[:, None, :]
        C = model.family.curvature(eta, y[:, None])
        for e, at in enumerate(slices):
            rs = r[:, e, None] * s[:, e]
            out[:, at, at] += rs[:, :, None] * s[:, e, None, :] + r[:, e, None, None] * C[:, e]
            cross = ((np.arange(g) == e) - own)[:, :, None] * rs[:, None, :]
            out[:, :g, at] = cross
            out[:, at, :g] = cross.transpose(0, 2, 1)
        return out


def _cross(a: slice | np.ndarray, b: slice | np.ndarray) -> tuple:
    """Index of a block of a matrix."""
    if isinstance(a, slice) or isinstance(b, slice):
        return (a, b)
    return (a[:, None], b[None, :])


def logit_features(model: Model, theta: np.ndarray, z: np.ndarray, x: np.ndarray) -> list[Feature]:
    """d logit / d theta of each logit: columns (n, j) and their places in theta, in the order of the
    logits."""
    nu, m, one = model.family.nuisances, model.m, np.ones((len(x), 1))
    out = model.gate.features(model.gate_coefficients(theta), model.gate_shared(theta), z)
    first, last = model.gate_size, model.size - model.k * nu
    for e in range(model.k):
        starts = [first + (e * m + c) * model.p for c in range(m)]
        out += [(x, slice(start, start + model.p)) for start in starts]
        out += [(one, slice(last + e * nu + i, last + e * nu + i + 1)) for i in range(nu)]
    return out

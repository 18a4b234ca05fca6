"""The readable reference: NumPy in row blocks. Any gate and family of the protocols runs here.

Per row, with gate scores u, log pi_e(u), its Jacobian J_e, experts' log-densities l_e and scores s_e:

    L = log sum_e pi_e exp(l_e),   r_e = exp(log pi_e + l_e - L)
    dL/du = sum_e r_e J_e =: d,    dL/deta_e = r_e s_e
    d2L/du du'      = sum_e r_e (H_e + J_e J_e') - d d'
    d2L/du deta_e'  = r_e (J_e - d) s_e'
    d2L/deta deta'  = [e=f] r_e (s_e s_e' + C_e) - r_e r_f s_e s_f'

and each parameter block sums these numbers times the outer product of the two features.
"""

from __future__ import annotations

import numpy as np

from ..gates.softmax import log_sum_exp
from ..model import Model
from ..rows import Rows
from .base import Evaluation, Order, Rowwise, log_base_sum


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
            joint = model.gate.log_weights(u) + model.family.log_density(eta, block.y[:, None])
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
            J = model.gate.jacobian(u)
            s = model.family.score(eta, block.y[:, None])
            d = np.einsum("ne,net->nt", r, J)
            v = np.concatenate([d, (r[:, :, None] * s).reshape(len(u), -1)], axis=1)
            features = logit_features(model, block.z, block.x)
            for t, (feature, at) in enumerate(features):
                gradient[at] += (block.w * v[:, t]) @ feature
            if information is not None:
                blocks = self._information(u, eta, r)
                self._add(information, features, blocks * block.w[:, None, None])
            if curvature is not None:
                blocks = self._curvature(u, eta, block.y, r, J, s, v)
                self._add(curvature, features, blocks * block.w[:, None, None])
        return Evaluation(value, mass, gradient, information, curvature)

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        model = self.model
        density, resp, score = [], [], []
        shift = np.log(self.rows.y_scale)
        for block in self.rows.blocks(self.block):
            u = model.scores(theta, block.z)
            eta = model.predictors(theta, block.x)
            joint = model.gate.log_weights(u) + model.family.log_density(eta, block.y[:, None])
            L = log_sum_exp(joint)
            r = np.exp(joint - L)
            density.append(L[:, 0] + model.family.log_base(block.y) - shift)
            resp.append(r)
            if scores:
                d = np.einsum("ne,net->nt", r, model.gate.jacobian(u))
                s = r[:, :, None] * model.family.score(eta, block.y[:, None])
                score.append(block.w[:, None] * np.concatenate([d, s.reshape(len(u), -1)], axis=1))
        return Rowwise(
            np.concatenate(density), np.concatenate(resp), np.concatenate(score) if scores else None
        )

    @staticmethod
    def _add(matrix: np.ndarray, features: list[tuple[np.ndarray, slice]], blocks: np.ndarray) -> None:
        for a, (fa, at_a) in enumerate(features):
            for b, (fb, at_b) in enumerate(features[: a + 1]):
                part = (fa * blocks[:, a, b, None]).T @ fb
                matrix[at_a, at_b] += part
                if a != b:
                    matrix[at_b, at_a] += part.T

    def _expert_slices(self) -> list[slice]:
        model = self.model
        mm = model.m + model.family.nuisances
        return [slice(model.n_gate + e * mm, model.n_gate + (e + 1) * mm) for e in range(model.k)]

    def _information(self, u: np.ndarray, eta: np.ndarray, r: np.ndarray) -> np.ndarray:
        g, slices = self.model.n_gate, self._expert_slices()
        T = slices[-1].stop
        out = np.zeros((len(u), T, T))
        out[:, :g, :g] = self.model.gate.information(u)
        inner = self.model.family.information(eta)
        for e, at in enumerate(slices):
            out[:, at, at] = r[:, e, None, None] * inner[:, e]
        return out

    def _curvature(
        self,
        u: np.ndarray,
        eta: np.ndarray,
        y: np.ndarray,
        r: np.ndarray,
        J: np.ndarray,
        s: np.ndarray,
        v: np.ndarray,
    ) -> np.ndarray:
        model, g, slices = self.model, self.model.n_gate, self._expert_slices()
        out = -v[:, :, None] * v[:, None, :]
        out[:, :g, :g] += model.gate.curvature(u, r) + np.einsum("ne,net,neu->ntu", r, J, J)
        C = model.family.curvature(eta, y[:, None])
        for e, at in enumerate(slices):
            rs = r[:, e, None] * s[:, e]
            out[:, at, at] += rs[:, :, None] * s[:, e, None, :] + r[:, e, None, None] * C[:, e]
            cross = J[:, e, :, None] * rs[:, None, :]
            out[:, :g, at] += cross
            out[:, at, :g] += cross.transpose(0, 2, 1)
        return out


def logit_slices(model: Model) -> list[tuple[str, slice]]:
    """Kind of feature and parameter slice of each logit, in the order of the logits."""
    nu, g, m = model.family.nuisances, model.n_gate, model.m
    out = [("gate", slice(t * model.q, (t + 1) * model.q)) for t in range(g)]
    first, last = g * model.q, model.size - model.k * nu
    for e in range(model.k):
        starts = [first + (e * m + c) * model.p for c in range(m)]
        out += [("expert", slice(start, start + model.p)) for start in starts]
        out += [("nuisance", slice(last + e * nu + i, last + e * nu + i + 1)) for i in range(nu)]
    return out


def logit_features(model: Model, z: np.ndarray, x: np.ndarray) -> list[tuple[np.ndarray, slice]]:
    """Feature matrix and parameter slice of each logit, in the order of the logits."""
    kinds = {"gate": z, "expert": x, "nuisance": np.ones((len(x), 1))}
    return [(kinds[kind], at) for kind, at in logit_slices(model)]

"""The readable reference: NumPy in row blocks. Any gate and family of the protocols runs here.

Per unit (a row, or a group of rows i that share their expert), with gate scores v, pi = softmax(v), and the
experts' log-densities l_e, scores s_e and curvatures C_e in their linear predictors:

    L = log sum_e pi_e exp(sum_i l_e(i)),    r_e = pi_e exp(sum_i l_e(i) - L)

The score of the unit, did it come from expert e, is t_e: ([a=e] - pi_a) dv_a/dtheta of each gate row a, and
S_e = sum_i s_e(i) x (features of i) of that expert, zero elsewhere. Then (Louis, 1982)

    dL/dtheta   = t = sum_e r_e t_e
    d2L/dtheta2 = sum_e r_e t_e t_e' - t t'  +  sum_e r_e sum_i C_e(i) x (features of i)^2
                  - gate's information  +  sum_a (r_a - pi_a) d2v_a/dtheta2

of which the first two terms are what is missing in the rows and the others the complete data's.
"""

from __future__ import annotations

import numpy as np

from ..gates import log_sum_exp
from ..gates.base import Feature
from ..model import Model
from ..rows import Block, Rows
from .base import IMPOSSIBLE, Evaluation, OneByOne, Order, Rowwise, Terms, log_base_sum, terms_of


class ArrayEngine(OneByOne):
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
            (_, s, of_means, of_rows), log_pi, joint, L = self._densities(theta, block, order)
            if responsibilities is None:
                r = np.exp(joint - L)
                value += float(block.w @ L[:, 0])
            else:
                r = responsibilities[block.at]
                value += float(block.w @ (r * joint).sum(axis=1))
            mass += (block.w * block.sizes) @ r
            if gradient is None:
                continue
            pi = np.exp(log_pi)
            # Given responsibilities need not sum to one: those of a part of the rows are zero elsewhere.
            d = (r - r.sum(axis=1, keepdims=True) * pi) * block.w[:, None]
            wr = block.expand(r * block.w[:, None])
            gate = model.gate.features(model.gate_coefficients(theta), model.gate_shared(theta), block.z)
            experts = expert_features(model, block.x)
            for t, (feature, at) in enumerate(gate):
                gradient[at] += d[:, t] @ feature
            for e, own in enumerate(experts):
                for t, (feature, at) in enumerate(own):
                    gradient[at] += (wr[:, e] * s[:, e, t]) @ feature
            if information is None:
                continue
            of_gate = np.zeros((model.gate_size, model.gate_size))
            _add(of_gate, gate, _categorical(pi[:, : model.n_gate]) * block.w[:, None, None])
            information[: model.gate_size, : model.gate_size] += of_gate
            _add_experts(information, experts, of_means, wr, model.m)
            if curvature is None:
                continue
            curvature[: model.gate_size, : model.gate_size] -= of_gate
            _add_experts(curvature, experts, of_rows, wr, model.m)
            curvature += self._missing(gate, experts, pi, r, s, block)
            score_curvature = model.gate.score_curvature(
                model.gate_coefficients(theta), model.gate_shared(theta), block.z, d
            )
            if score_curvature is not None:
                curvature[: model.gate_size, : model.gate_size] += score_curvature
        return Evaluation(value, mass, gradient, information, curvature)

    def rowwise(
        self, theta: np.ndarray, *, scores: bool = False, responsibilities: np.ndarray | None = None
    ) -> Rowwise:
        """Of every unit; given responsibilities (u, k) replace the posterior ones, here as in `evaluate`."""
        model = self.model
        density, resp, score = [], [], []
        shift = np.log(self.rows.y_scale)
        for block in self.rows.blocks(self.block):
            terms, log_pi, joint, L = self._densities(theta, block, Order.GRADIENT if scores else Order.VALUE)
            r = np.exp(joint - L) if responsibilities is None else responsibilities[block.at]
            own = L[:, 0] if responsibilities is None else (r * joint).sum(axis=1)
            base = np.broadcast_to(model.family.log_base(block.y) - shift, block.y.shape)
            density.append(own + block.sum(base))
            resp.append(r)
            if scores:
                d = np.zeros((len(block.y), model.n_gate))
                d[block.first] = block.w[:, None] * (r - np.exp(log_pi))[:, : model.n_gate]
                wr = block.expand(block.w[:, None] * r)
                s = wr[:, :, None] * terms[1]
                score.append(np.concatenate([d, s.reshape(len(d), -1)], axis=1))
        return Rowwise(
            np.concatenate(density), np.concatenate(resp), np.concatenate(score) if scores else None
        )

    def _densities(
        self, theta: np.ndarray, block: Block, order: Order
    ) -> tuple[Terms, np.ndarray, np.ndarray, np.ndarray]:
        """The family's terms, log pi_e, log pi_e + sum_i l_e(i), (u, k), and L (u, 1)."""
        eta, log_pi = self.model.predictors(theta, block.x, block.known), self.model.log_gate(theta, block.z)
        terms = terms_of(self.model.family, eta, block.y[:, None], order)
        joint = log_pi + block.sum(np.maximum(terms[0], IMPOSSIBLE))
        return terms, log_pi, joint, log_sum_exp(joint)

    def _missing(
        self,
        gate: list[Feature],
        experts: list[list[Feature]],
        pi: np.ndarray,
        r: np.ndarray,
        s: np.ndarray,
        block: Block,
    ) -> np.ndarray:
        """sum over units of w (sum_e r_e t_e t_e' - t t'), shape (P, P)."""
        P = self.model.size
        out, mean = np.zeros((P, P)), np.zeros((len(r), P))
        for e, own in enumerate(experts):
            t = np.zeros((len(r), P))
            for a, (feature, at) in enumerate(gate):
                t[:, at] += ((a == e) - pi[:, a, None]) * feature
            for c, (feature, at) in enumerate(own):
                t[:, at] = block.sum(s[:, e, c, None] * feature)
            out += (t * (block.w * r[:, e])[:, None]).T @ t
            mean += r[:, e, None] * t
        return out - (mean * block.w[:, None]).T @ mean


def _add_experts(
    matrix: np.ndarray, experts: list[list[Feature]], inner: np.ndarray, wr: np.ndarray, m: int
) -> None:
    """Add sum_i wr_e(i) inner_e(i) x (features of i)^2 of each expert, inner (b, k, m + nu, m + nu).

    The first m features are the same columns, beside one another in theta: one product a predictor, since
    there may be many.
    """
    for e, own in enumerate(experts):
        blocks = inner[:, e] * wr[:, e, None, None]
        x, at = own[0]
        assert isinstance(at, slice)
        there = slice(at.start, at.start + m * x.shape[1])
        for a, (_, at_a) in enumerate(own[:m]):
            matrix[at_a, there] += x.T @ (blocks[:, a, :m, None] * x[:, None, :]).reshape(len(x), -1)
        _add(matrix, own, blocks, m)


def _add(matrix: np.ndarray, features: list[Feature], blocks: np.ndarray, first: int = 0) -> None:
    """Add the pairs of features of which one is the `first` or a later one."""
    for a, (fa, at_a) in enumerate(features[first:], first):
        for b, (fb, at_b) in enumerate(features[: a + 1]):
            part = (fa * blocks[:, a, b, None]).T @ fb
            matrix[_cross(at_a, at_b)] += part
            if a != b:
                matrix[_cross(at_b, at_a)] += part.T


def _categorical(p: np.ndarray) -> np.ndarray:
    """diag(p) - p p' of each row of p (u, g)."""
    return p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]


def _cross(a: slice | np.ndarray, b: slice | np.ndarray) -> tuple:
    """Index of a block of a matrix."""
    if isinstance(a, slice) or isinstance(b, slice):
        return (a, b)
    return (a[:, None], b[None, :])


def expert_features(model: Model, x: np.ndarray) -> list[list[Feature]]:
    """d logit / d theta of each expert's predictors and nuisances: columns (n, j) and their places in
    theta."""
    nu, m, one = model.family.nuisances, model.m, np.ones((len(x), 1))
    first, last = model.gate_size, model.size - model.k * nu
    out: list[list[Feature]] = []
    for e in range(model.k):
        starts = [first + (e * m + c) * model.p for c in range(m)]
        own: list[Feature] = [(x, slice(start, start + model.p)) for start in starts]
        own += [(one, slice(last + e * nu + i, last + e * nu + i + 1)) for i in range(nu)]
        out.append(own)
    return out


def unit_scores(model: Model, theta: np.ndarray, block: Block, scores: np.ndarray) -> np.ndarray:
    """Weighted scores of theta of each unit of a block, (u, P), from those of its rows' logits, (b, T)."""
    out = np.zeros((len(block.z), model.size))
    gate = model.gate.features(model.gate_coefficients(theta), model.gate_shared(theta), block.z)
    for t, (feature, at) in enumerate(gate):
        out[:, at] += scores[block.first, t, None] * feature
    experts = [one for own in expert_features(model, block.x) for one in own]
    for t, (feature, at) in enumerate(experts, len(gate)):
        out[:, at] = block.sum(scores[:, t, None] * feature)
    return out

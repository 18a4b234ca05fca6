"""Where products of pairs of logits and pairs of features stand in theta.

A pair (t, t') with t >= t' has the place t (t + 1) / 2 + t' among pairs. A logit has all features here, a
nuisance too, of which theta has the constant's alone.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..model import Model


def triangle(size: int) -> int:
    """Pairs of so many."""
    return size * (size + 1) // 2


def row(t: int) -> slice:
    """The places of the pairs (t, 0), ..., (t, t)."""
    return slice(triangle(t), triangle(t + 1))


def diagonal(size: int) -> list[int]:
    """The places of the pairs (t, t)."""
    return [triangle(t + 1) - 1 for t in range(size)]


class Layout:
    """From products, of the gate's logits and then each expert's, to theta: gate rows, experts' predictors,
    nuisances.

    Where gate and experts `share` their features there is one array of products, else one a side.
    """

    def __init__(self, model: Model, shared: bool):
        self.model, self.shared = model, shared
        self.n_gate, self.each = model.n_gate, model.m + model.family.nuisances
        self.n_experts = model.k * self.each
        of_gate = np.arange(model.gate_size)
        of_experts = len(of_gate) + np.arange(self.n_experts * model.p).reshape(model.k, self.each, model.p)
        predictors, nuisances = of_experts[:, : model.m], of_experts[:, model.m :, 0]
        self._place = np.concatenate([of_gate, predictors.ravel(), nuisances.ravel()])

    @cached_property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the pairs (expert's logit, gate's) and (expert's, expert's) among those of all logits."""
        near = _near(self.n_gate + self.n_experts)[self.n_gate :]
        return near[:, : self.n_gate].ravel(), near[:, self.n_gate :][np.tril_indices(len(near))]

    def gradient(self, sides: list[np.ndarray]) -> np.ndarray:
        """(P,) of sums (logits, features) of each side."""
        return np.concatenate([a.ravel() for a in sides])[self._place]

    def information(self, sides: list[np.ndarray]) -> np.ndarray:
        """(P, P) of the pairs of the gate's logits and of those of each expert."""
        first = triangle(self.n_gate)
        gate, experts = (sides[0][:first], sides[0][first:]) if self.shared else sides
        blocks = [_laid(gate, self.n_gate, self.model.q)]
        blocks += [
            _laid(a, self.each, self.model.p) for a in experts.reshape(self.model.k, -1, experts.shape[1])
        ]
        ends = np.cumsum([0, *(len(b) for b in blocks)])
        out = np.zeros((ends[-1], ends[-1]))
        for b, start, stop in zip(blocks, ends[:-1], ends[1:], strict=True):
            out[start:stop, start:stop] = b
        return out[np.ix_(self._place, self._place)]

    def curvature(self, sides: list[np.ndarray]) -> np.ndarray:
        """(P, P) of the pairs of all logits, or of gate, experts, and both."""
        logits, q, p = self.n_experts, self.model.q, self.model.p
        if self.shared:
            out = _laid(sides[0], self.n_gate + logits, p)
        else:
            gate, experts, both = sides
            lower = both.reshape(logits, self.n_gate, p, q).transpose(0, 2, 1, 3)
            lower = lower.reshape(logits * p, self.n_gate * q)
            out = np.block([[_laid(gate, self.n_gate, q), lower.T], [lower, _laid(experts, logits, p)]])
        return out[np.ix_(self._place, self._place)]


def _near(size: int) -> np.ndarray:
    """The place of each pair, in either order, (size, size)."""
    t = np.arange(size)
    low, high = np.minimum(t[:, None], t), np.maximum(t[:, None], t)
    return high * (high + 1) // 2 + low


def _laid(products: np.ndarray, logits: int, features: int) -> np.ndarray:
    """The symmetric matrix (logits x features, the same) of products (pairs of logits, pairs of features)."""
    blocks = products[_near(logits)][..., _near(features)]
    return blocks.transpose(0, 2, 1, 3).reshape(logits * features, logits * features)

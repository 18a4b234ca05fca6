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
        """(S, P) of sums (S, logits, features) of each side."""
        return np.concatenate([a.reshape(len(a), -1) for a in sides], axis=1)[:, self._place]

    def information(self, sides: list[np.ndarray]) -> np.ndarray:
        """(S, P, P) of the pairs of the gate's logits and of those of each expert."""
        first, k = triangle(self.n_gate), self.model.k
        gate, experts = (sides[0][:, :first], sides[0][:, first:]) if self.shared else sides
        blocks = [_laid(gate, self.n_gate, self.model.q)]
        blocks += [_laid(a, self.each, self.model.p) for a in np.split(experts, k, axis=1)]
        ends = np.cumsum([0, *(b.shape[1] for b in blocks)])
        out = np.zeros((len(gate), ends[-1], ends[-1]))
        for b, start, stop in zip(blocks, ends[:-1], ends[1:], strict=True):
            out[:, start:stop, start:stop] = b
        return self._placed(out)

    def curvature(self, sides: list[np.ndarray]) -> np.ndarray:
        """(S, P, P) of the pairs of all logits, or of gate, experts, and both."""
        logits, q, p = self.n_experts, self.model.q, self.model.p
        if self.shared:
            return self._placed(_laid(sides[0], self.n_gate + logits, p))
        gate, experts, both = sides
        lower = both.reshape(len(both), logits, self.n_gate, p, q).transpose(0, 1, 3, 2, 4)
        lower = lower.reshape(len(gate), logits * p, self.n_gate * q)
        of_gate, of_experts = _laid(gate, self.n_gate, q), _laid(experts, logits, p)
        return self._placed(np.block([[of_gate, lower.transpose(0, 2, 1)], [lower, of_experts]]))

    def _placed(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[:, self._place[:, None], self._place]


def _near(size: int) -> np.ndarray:
    """The place of each pair, in either order, (size, size)."""
    t = np.arange(size)
    low, high = np.minimum(t[:, None], t), np.maximum(t[:, None], t)
    return high * (high + 1) // 2 + low


def _laid(products: np.ndarray, logits: int, features: int) -> np.ndarray:
    """The symmetric matrices (logits x features, the same) of products (S, pairs of logits, of features)."""
    blocks = products[:, _near(logits)][..., _near(features)]
    size = logits * features
    return blocks.transpose(0, 1, 3, 2, 4).reshape(len(products), size, size)

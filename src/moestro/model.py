"""gate x experts x k: how the parameter vector is laid out, and what it means for rows of features.

theta = [gate scores (k-1, q) | expert predictors (k, m, p) | nuisances (k, nu)], each row an intercept and slopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .experts import Family
from .gates import SoftmaxGate
from .gates.softmax import log_sum_exp


@dataclass(frozen=True)
class Model:
    """A mixture of k experts of one family under one gate.

    Attributes
    ----------
    gate : SoftmaxGate
    family : Family
    k : int
        Number of experts.
    q, p : int
        Features of the gate and of the experts, the constant included.
    """

    gate: SoftmaxGate
    family: Family
    k: int
    q: int
    p: int

    @property
    def n_gate(self) -> int:
        """Free scores of the gate."""
        return self.gate.n_scores(self.k)

    @property
    def m(self) -> int:
        """Linear predictors of one expert."""
        return self.family.predictors

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.n_gate * self.q + self.k * (self.m * self.p + self.family.nuisances)

    def gate_coefficients(self, theta: np.ndarray) -> np.ndarray:
        """View (k - 1, q) of theta."""
        return theta[: self.n_gate * self.q].reshape(self.n_gate, self.q)

    def expert_coefficients(self, theta: np.ndarray) -> np.ndarray:
        """View (k, m, p) of theta."""
        start = self.n_gate * self.q
        return theta[start : start + self.k * self.m * self.p].reshape(self.k, self.m, self.p)

    def nuisances(self, theta: np.ndarray) -> np.ndarray:
        """View (k, nu) of theta."""
        return theta[self.size - self.k * self.family.nuisances :].reshape(self.k, self.family.nuisances)

    def pack(self, gate: np.ndarray, experts: np.ndarray, nuisances: np.ndarray) -> np.ndarray:
        """Inverse of the three views."""
        return np.concatenate([np.ravel(gate), np.ravel(experts), np.ravel(nuisances)]).astype(float)

    def permute(self, theta: np.ndarray, order: np.ndarray) -> np.ndarray:
        """theta of the same density with expert order[i] in place i; the last one becomes the reference."""
        gate = np.vstack([self.gate_coefficients(theta), np.zeros((1, self.q))])[order]
        return self.pack(
            (gate - gate[-1])[:-1], self.expert_coefficients(theta)[order], self.nuisances(theta)[order]
        )

    def part_of(self) -> np.ndarray:
        """For each entry of theta its expert (the gate's rows belong to the expert they weigh), (size,)."""
        gate = np.repeat(np.arange(self.n_gate), self.q)
        experts = np.repeat(np.arange(self.k), self.m * self.p)
        return np.concatenate([gate, experts, np.repeat(np.arange(self.k), self.family.nuisances)])

    def is_intercept(self) -> np.ndarray:
        """Boolean (size,): entries that multiply the constant."""
        at = np.zeros(self.size, dtype=bool)
        self.gate_coefficients(at)[:, 0] = True
        self.expert_coefficients(at)[:, :, 0] = True
        self.nuisances(at)[:] = True
        return at

    def names(
        self, gate_names: Sequence[str], expert_names: Sequence[str], predictors: Sequence[str]
    ) -> list[tuple[int, str, str, str]]:
        """(expert, part, predictor, term) of each entry of theta; names without the constant."""
        gate_terms, terms = ["(intercept)", *gate_names], ["(intercept)", *expert_names]
        out = [(e, "gate", "", t) for e in range(self.n_gate) for t in gate_terms]
        out += [(e, "expert", c, t) for e in range(self.k) for c in predictors for t in terms]
        out += [
            (e, "expert", "", "log(variance)") for e in range(self.k) for _ in range(self.family.nuisances)
        ]
        return out

    # What the parameters mean for rows of scaled features z (n, q) and x (n, p).

    def scores(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Gate scores u (n, k - 1)."""
        return z @ self.gate_coefficients(theta).T

    def predictors(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """eta (n, k, m + nu), nuisances last."""
        coefficients = self.expert_coefficients(theta)
        eta = (x @ coefficients.reshape(-1, self.p).T).reshape(len(x), self.k, self.m)
        nuisances = np.broadcast_to(self.nuisances(theta), (len(x), self.k, self.family.nuisances))
        return np.concatenate([eta, nuisances], axis=2)

    def log_gate(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """log pi (n, k)."""
        return self.gate.log_weights(self.scores(theta, z))

    def log_joint(self, theta: np.ndarray, z: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log pi_e(z) + log f_e(y | x), shape (n, k), y-only terms of the family left out."""
        return self.log_gate(theta, z) + self.family.log_density(self.predictors(theta, x), y[:, None])

    def log_density(self, theta: np.ndarray, z: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(y | x), shape (n,), y-only terms included."""
        return log_sum_exp(self.log_joint(theta, z, x, y))[:, 0] + self.family.log_base(y)

    def sample(
        self, theta: np.ndarray, z: np.ndarray, x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw y (n,) and the expert (n,) that produced it."""
        cumulative = np.cumsum(np.exp(self.log_gate(theta, z)), axis=1)
        expert = (cumulative[:, :-1] < rng.random((len(z), 1)) * cumulative[:, -1:]).sum(axis=1)
        eta = self.predictors(theta, x)[np.arange(len(x)), expert]
        return self.family.sample(eta, rng), expert

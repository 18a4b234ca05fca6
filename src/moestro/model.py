"""gate x experts x k: how the parameter vector is laid out, and what it means for rows of features.

theta = [gate rows (k or k-1, q) | gate's shared parameters | expert predictors (k, m, p) | nuisances (k,
nu)], each row an intercept and slopes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from .constraints import Constraints
from .design import Scaling
from .experts import Family
from .gates import Gate, log_softmax, log_sum_exp
from .rows import Groups

ROWS = 16384  # predicted at a time
FREE = Constraints()


@dataclass(frozen=True)
class Model:
    """A mixture of k experts under one gate, of one family or each of its own, a `Mixed`.

    Attributes
    ----------
    gate : Gate
    family : Family
    k : int
        Number of experts.
    q, p : int
        Features of the gate and of the experts, the constant included.
    constraints : Constraints
    """

    gate: Gate
    family: Family
    k: int
    q: int
    p: int
    constraints: Constraints = FREE

    @property
    def n_gate(self) -> int:
        """Free rows of the gate."""
        return self.gate.rows(self.k)

    @property
    def gate_size(self) -> int:
        """Parameters of the gate, shared ones included."""
        return self.gate.size(self.k, self.q)

    @property
    def m(self) -> int:
        """Linear predictors of one expert."""
        return self.family.predictors

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.gate_size + self.k * (self.m * self.p + self.family.nuisances)

    def law(self, e: int) -> Family:
        """The family of expert e."""
        return self.family.members[e] if self.family.members else self.family

    @property
    def present(self) -> np.ndarray:
        """Boolean (P,): entries of theta that the experts' families have; the others stay at zero."""
        out = np.ones(self.size, dtype=bool)
        for e, law in enumerate(self.family.members):
            self.expert_coefficients(out)[e, law.predictors :] = False
            self.nuisances(out)[e, law.nuisances :] = False
        return out

    def alike(self, order: np.ndarray) -> np.ndarray:
        """The order (k,) of experts that is nearest to `order` and leaves every place its family."""
        if not self.family.members:
            return order
        out, members = np.array(order), self.family.members
        for law in members:
            out[[e for e in range(self.k) if members[e] == law]] = [e for e in order if members[e] == law]
        return out

    @property
    def reference(self) -> int:
        """The expert whose row of the gate is zero where it is told to people."""
        told = self.constraints.reference
        return self.k - 1 if told is None or told >= self.k else told

    def gate_coefficients(self, theta: np.ndarray) -> np.ndarray:
        """View (rows, q) of theta, rows = k - 1 where the last expert's score is zero."""
        return theta[: self.n_gate * self.q].reshape(self.n_gate, self.q)

    def gate_shared(self, theta: np.ndarray) -> np.ndarray:
        """View of the parameters that all experts share in the gate."""
        return theta[self.n_gate * self.q : self.gate_size]

    def gate_rows(self, theta: np.ndarray) -> np.ndarray:
        """One row (beta_0, beta_1) an expert, (k, q): zeros for a reference."""
        rows = self.gate_coefficients(theta)
        return np.vstack([rows, np.zeros((1, self.q))]) if self.gate.reference else rows.copy()

    def free_rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows (k, q) of the same gate as theta holds them: the last expert is the reference of what may be
        translated."""
        rows = rows.copy()
        if "weights" in self.gate.translations:
            rows[:, 0] -= rows[-1, 0]
        if "slopes" in self.gate.translations:
            rows[:, 1:] -= rows[-1, 1:]
        return rows[: self.n_gate]

    def expert_coefficients(self, theta: np.ndarray) -> np.ndarray:
        """View (k, m, p) of theta."""
        start = self.gate_size
        return theta[start : start + self.k * self.m * self.p].reshape(self.k, self.m, self.p)

    def nuisances(self, theta: np.ndarray) -> np.ndarray:
        """View (k, nu) of theta."""
        return theta[self.size - self.k * self.family.nuisances :].reshape(self.k, self.family.nuisances)

    def pack(
        self, gate: np.ndarray, experts: np.ndarray, nuisances: np.ndarray, shared: np.ndarray | None = None
    ) -> np.ndarray:
        """Inverse of the views; shared parameters of the gate are zero where not given."""
        shared = np.zeros(len(self.gate.shared)) if shared is None else shared
        return np.concatenate([np.ravel(a) for a in (gate, shared, experts, nuisances)]).astype(float)

    def permute(self, theta: np.ndarray, order: np.ndarray) -> np.ndarray:
        """theta of the same density with expert order[i] in place i, which must have the family of that
        place; the last one becomes the reference."""
        return self.pack(
            self.free_rows(self.gate_rows(theta)[order]),
            self.expert_coefficients(theta)[order],
            self.nuisances(theta)[order],
            self.gate_shared(theta),
        )

    def part_of(self) -> np.ndarray:
        """For each entry of theta its expert (the gate's rows belong to the expert they weigh), (size,)."""
        gate = np.append(
            np.repeat(np.arange(self.n_gate), self.q), np.zeros(len(self.gate.shared), dtype=int)
        )
        experts = np.repeat(np.arange(self.k), self.m * self.p)
        return np.concatenate([gate, experts, np.repeat(np.arange(self.k), self.family.nuisances)])

    def names(
        self, gate_names: Sequence[str], expert_names: Sequence[str], predictors: Sequence[str]
    ) -> list[tuple[int, str, str, str]]:
        """(expert, part, predictor, term) of each entry of theta; names without the constant."""
        gate_terms, terms = ["(intercept)", *gate_names], ["(intercept)", *expert_names]
        rows = [e for e in range(self.k) if e != self.reference] if self.gate.reference else range(self.k)
        out = [(e, "gate", "", t) for e in rows for t in gate_terms]
        out += [(0, "gate", "", name) for name in self.gate.shared]
        out += [(e, "expert", c, t) for e in range(self.k) for c in predictors for t in terms]
        padding = [""] * self.family.nuisances
        for e in range(self.k):
            names_of = [*self.law(e).nuisance_names, *padding][: self.family.nuisances]
            out += [(e, "expert", "", name) for name in names_of]
        return out

    # What the parameters mean for rows of scaled features z (n, q) and x (n, p).

    def scores(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Gate scores v (n, k): the weights are their softmax."""
        return self.gate.scores(self.gate_coefficients(theta), self.gate_shared(theta), z)

    def predictors(self, theta: np.ndarray, x: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """eta (n, k, m + nu), nuisances last; `known` (n, 1 or 2) is an offset of the linear predictors, and
        the trials, which come after the nuisances, and before the experts' numbers where their families
        differ."""
        coefficients = self.expert_coefficients(theta)
        eta = (x @ coefficients.reshape(-1, self.p).T).reshape(len(x), self.k, self.m)
        if known is not None:
            eta = eta + known[:, :1, None]
        nuisances = np.broadcast_to(self.nuisances(theta), (len(x), self.k, self.family.nuisances))
        parts = [eta, nuisances]
        if known is not None and known.shape[1] > 1:
            parts.append(np.broadcast_to(known[:, None, 1:], (len(x), self.k, 1)))
        if self.family.members:
            parts.append(np.broadcast_to(np.arange(self.k, dtype=float)[:, None], (len(x), self.k, 1)))
        return np.concatenate(parts, axis=2)

    def log_gate(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """log pi (n, k)."""
        return log_softmax(self.scores(theta, z))

    def log_joint(
        self, theta: np.ndarray, z: np.ndarray, x: np.ndarray, y: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """log pi_e(z) + log f_e(y | x), shape (n, k), y-only terms of the family left out."""
        eta = self.predictors(theta, x, known)
        return self.log_gate(theta, z) + self.family.log_density(eta, y[:, None])

    def log_density(
        self, theta: np.ndarray, z: np.ndarray, x: np.ndarray, y: np.ndarray, known: np.ndarray | None = None
    ) -> np.ndarray:
        """log p(y | x), shape (n,), y-only terms included."""
        return log_sum_exp(self.log_joint(theta, z, x, y, known))[:, 0] + self.family.log_base(y)

    def sample(
        self,
        theta: np.ndarray,
        z: np.ndarray,
        x: np.ndarray,
        rng: np.random.Generator,
        known: np.ndarray | None = None,
        groups: Groups | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw y (n,) and the expert (n,) that produced it; rows of `groups` share theirs, and z is
        (G, q)."""
        cumulative = np.cumsum(np.exp(self.log_gate(theta, z)), axis=1)
        expert = (cumulative[:, :-1] < rng.random((len(z), 1)) * cumulative[:, -1:]).sum(axis=1)
        expert = expert if groups is None else groups.expand(expert)
        eta = self.predictors(theta, x, known)[np.arange(len(x)), expert]
        return self.family.sample(eta, rng), expert


@dataclass(frozen=True)
class ActiveModel:
    """Parameters with the scaling of their columns, on all columns or on some; x_columns and z_columns say
    which (None: all)."""

    model: Model
    theta: np.ndarray
    x_scaling: Scaling
    z_scaling: Scaling
    x_columns: np.ndarray | None
    z_columns: np.ndarray | None

    def blocks(self, source: Any, side: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of `source` in dense blocks of the columns at work."""
        columns = self.z_columns if side == "gate" else self.x_columns
        if columns is not None:
            source = sp.csr_array(source[:, columns])
        for start in range(0, source.shape[0], ROWS):
            at = slice(start, start + ROWS)
            yield at, source[at] if columns is None else source[at].toarray()

    def with_slopes(self) -> ActiveModel:
        """The model on the columns that carry slopes alone."""
        model, theta = self.model, self.theta
        gate, experts = model.gate_coefficients(theta), model.expert_coefficients(theta)
        z, x = np.flatnonzero(gate[:, 1:].any(axis=0)), np.flatnonzero(experts[:, :, 1:].any(axis=(0, 1)))
        small = replace(model, q=len(z) + 1, p=len(x) + 1)
        at_z, at_x = np.append(0, z + 1), np.append(0, x + 1)
        packed = small.pack(
            gate[:, at_z], experts[:, :, at_x], model.nuisances(theta), model.gate_shared(theta)
        )
        return ActiveModel(small, packed, self.x_scaling.take(x), self.z_scaling.take(z), x, z)

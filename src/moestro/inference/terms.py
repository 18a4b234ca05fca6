"""The parameters of a located model as people read them: names, numbers, and their derivatives in the atoms'
own units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..located import LocatedMeasure, Specification, polynomial
from .atoms import STEP, Atom
from .estimates import PLACE, POSITIVE, REAL, SHARE, Term


@dataclass(frozen=True)
class Terms:
    """Which parameters of a measure from x to y are listed.

    Shares, means and variances of the gate, coefficients and variances of the experts, degrees of freedom;
    covariances where they are free parameters of the model.

    Attributes
    ----------
    k, d, q, degree : int
    gate, noise : tuple of (i, j)
        Listed entries i <= j of each component's Gamma and Sigma.
    student : bool
    """

    k: int
    d: int
    q: int
    degree: int
    gate: tuple[Any, ...]
    noise: tuple[Any, ...]
    student: bool

    @classmethod
    def of(cls, measure: LocatedMeasure, spec: Specification) -> Terms:
        """Of a measure from x to y that `spec` describes."""
        k, d, q = measure.k, measure.d, measure.q
        turned = spec.direction == "inverse"
        shape = spec.shape(k, *((q, d) if turned else (d, q)))
        if turned:  # both matrices are products of those that were fitted
            dense = spec.covariance == spec.gate_covariance == "full"
            pairs = [np.triu_indices(n) if dense else (np.arange(n), np.arange(n)) for n in (d, q)]
            gate, noise = ((tuple(p),) * k for p in pairs)
        else:
            gate, noise = (
                tuple((t.i, t.j) for t in (s.tangent(e, np.eye(n)) for e in range(k)))
                for s, n in ((shape.gate, d), (shape.noise, q))
            )
            if spec.covariance == "factors":
                noise = ((np.arange(q), np.arange(q)),) * k
        return cls(k, d, q, measure.degree, gate, noise, measure.degrees_of_freedom is not None)

    @property
    def shares(self) -> int:
        """Rows about the weights: none where there is one component."""
        return self.k if self.k > 1 else 0

    def names(self, columns: Sequence[str], responses: Sequence[str]) -> list[Term]:
        """Names in the order of `values`."""
        terms = ["(intercept)", *(monomial(t, columns) for t in polynomial.exponents(self.d, self.degree))]
        out = [Term(e, "gate", "", "share", SHARE) for e in range(self.shares)]
        for e in range(self.k):
            out += [Term(e, "gate", "", f"mean({c})", PLACE) for c in columns]
            out += [Term(e, "gate", "", *_moment(columns, i, j)) for i, j in zip(*self.gate[e], strict=True)]
        for e in range(self.k):
            of = [y if self.q > 1 else "" for y in responses]
            out += [Term(e, "expert", y, t, REAL) for y in of for t in terms]
            out += [
                Term(e, "expert", of[i], *_moment(responses, i, j))
                for i, j in zip(*self.noise[e], strict=True)
            ]
            out += [Term(e, "expert", "", "degrees of freedom", POSITIVE)] * self.student
        return out

    def values(self, measure: LocatedMeasure) -> np.ndarray:
        """Numbers (U,) of a measure from x to y."""
        nu = measure.degrees_of_freedom
        nu = np.empty((self.k, 0)) if nu is None else nu[:, None]
        parts = zip(
            measure.means, measure.covariances, measure.slopes, measure.intercepts, measure.noise, nu,
            strict=True
        )  # fmt: skip
        both = [self._of_atom(e, *part) for e, part in enumerate(parts)]
        return np.concatenate([measure.weights[: self.shares], *(g for g, _ in both), *(y for _, y in both)])

    def _of_atom(
        self, e: int, c: np.ndarray, gamma: np.ndarray, A: np.ndarray, b: np.ndarray, sigma: np.ndarray,
        nu: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """What is listed of an atom's gate and of its expert."""
        expert = np.concatenate([b[:, None], A], axis=1).ravel()
        return np.concatenate([c, gamma[self.gate[e]]]), np.concatenate([expert, sigma[self.noise[e]], nu])

    def jacobian(self, atoms: list[Atom], inverted: bool) -> np.ndarray:
        """Derivatives (U, P) of `values` in the blocks of the atoms, by complex steps: exact to rounding."""
        pi = np.exp([a.log_weight for a in atoms])
        gates, experts = [], []
        for e, a in enumerate(atoms):
            moved = [a.in_user_units(a.block + 1j * STEP * unit, inverted) for unit in np.eye(a.size)]
            listed = [self._of_atom(e, *parts) for parts in moved]
            gates.append(np.imag([gate for gate, _ in listed]).T / STEP)
            experts.append(np.imag([expert for _, expert in listed]).T / STEP)
        ends = np.cumsum([a.size for a in atoms])
        starts = ends - np.array([a.size for a in atoms])
        out = np.zeros((self.shares + sum(len(g) for g in (*gates, *experts)), int(ends[-1])))
        if self.shares:
            for e, start in enumerate(starts):
                out[: self.k, start] = pi * (np.arange(self.k) == e) - pi * pi[e]
        row = self.shares
        for blocks in (gates, experts):
            for block, start, end in zip(blocks, starts, ends, strict=True):
                out[row : row + len(block), start:end] = block
                row += len(block)
        return out


def monomial(columns: Sequence[int], names: Sequence[str]) -> str:
    """(0, 0, 1) as "a^2:b"."""
    powers = {j: columns.count(j) for j in columns}
    return ":".join(names[j] if n == 1 else f"{names[j]}^{n}" for j, n in powers.items())


def _moment(names: Sequence[str], i: int, j: int) -> tuple[str, str]:
    return (f"variance({names[i]})", POSITIVE) if i == j else (f"covariance({names[i]}, {names[j]})", REAL)

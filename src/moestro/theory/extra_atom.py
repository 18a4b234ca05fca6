"""The quotient of `appearing` at given atoms: an atom more in the cell of a true one, to first order in its
weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..measure import MixingMeasure
from .exponents import voronoi_exponent
from .losses import Loss
from .nearby import Nearby, Real

STEP = 2.0**-15  # of the derivatives in L
KEPT = 1e-11  # singular values of L below are those of translations


@dataclass(frozen=True)
class Appearing:
    """The quotient c at its smallest, an upper bound of the infimum.

    Attributes
    ----------
    constant : float
        Hellinger distance per unit of loss.
    truth : MixingMeasure
    cell : int
        The true atom j.
    atom : dict of str to ndarray
        Components of theta.
    weight : float
        t, per unit of loss.
    moves : dict of str to ndarray
        Displacements y of the true atoms' components, and of their "weights" (of total one), per unit of
        loss.
    """

    constant: float
    truth: MixingMeasure
    cell: int
    atom: dict[str, np.ndarray]
    weight: float
    moves: dict[str, np.ndarray]

    def needed(self, loss: float) -> float:
        """n = 1 / H^2 from which on an atom of that loss is told from none."""
        return float((self.constant * loss) ** -2)

    def measure(self, eps: float) -> MixingMeasure:
        """k* + 1 atoms with a loss of eps and a Hellinger distance of c eps, to first order in eps."""
        parts = {
            name: np.concatenate([value + eps * self.moves[name], self.atom[name][None]])
            for name, value in self.truth.components().items()
        }
        weights = np.exp(self.truth.log_weights - self.truth.log_weights.max())
        weights = weights / weights.sum() + eps * self.moves["weights"]
        weights[self.cell] -= eps * self.weight
        order = [*range(self.truth.k), self.cell]
        log_weights = np.log(np.append(weights, eps * self.weight))
        return replace(self.truth.permute(order), log_weights=log_weights, **parts)

    def __str__(self) -> str:
        n = self.needed(0.1)
        return f"Hellinger distance {self.constant:.1e} * loss, a loss of 0.1 shows from about n = {n:.0e}"


class Cell:
    """Quotients of atoms in the cell of true atom j."""

    def __init__(self, near: Nearby, loss: Loss, j: int) -> None:
        self.near, self.loss, self.j = near, loss, j
        self.true = near.true.astype(float)
        self.names = list(near.truth.components())
        self.parts = {name: value.astype(float) for name, value in near.truth.components().items()}
        self.shapes = {name: value.shape[1:] for name, value in self.parts.items()}
        self.atoms = near.truth.atoms()
        p = np.square(near.root)
        self.p = p.astype(float)
        self.scale = np.sqrt(near.y_weights / (8 * len(near.x) * self.p))
        gate = near.gates(np.log(self.true), self.parts["gate_slopes"]).astype(float)
        self.top = gate.max(axis=1)
        self.total = np.exp(gate - self.top[:, None]).sum(axis=1)
        own = {name: value[[j]] for name, value in self.parts.items()}
        self.old = self._mass(own)[0]
        self._linear()

    def _mass(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        """Derivative of p in the weight of each atom, shape (atoms, m, S)."""
        slopes = parts["gate_slopes"]
        gate = self.near.gates(np.zeros(len(slopes)), slopes).astype(float)
        share = np.exp(gate - self.top[:, None]) / self.total[:, None]
        return np.moveaxis(
            share[:, :, None] * (self.near.experts(parts).astype(float) - self.p[:, None]), 1, 0
        )

    def _linear(self) -> None:
        """Columns of L (per unit of a parameter), and which parameter each is."""
        near, k = self.near, len(self.true)
        reference = near.reference
        columns, self.entries = [], []

        def column(name: str, at: tuple[int, ...]) -> np.ndarray:
            sides = []
            for step in (STEP, -STEP):
                log_weights = np.log(self.true).astype(Real)
                parts = {n: v.astype(Real) for n, v in self.parts.items()}
                if name == "weights":
                    log_weights[at] = np.log(self.true[at] + Real(step) * self.true[at])
                else:
                    parts[name][at] += Real(step)
                sides.append(near._density(log_weights, parts))
            out = ((sides[0] - sides[1]) / (2 * Real(STEP))).astype(float)
            return (out * self.scale).ravel()

        for i in range(k):
            if i != reference:
                columns.append(column("weights", (i,)) / self.true[i])
                self.entries.append(("weights", i, ()))
            for name, shape in self.shapes.items():
                if name == "gate_slopes" and i == reference:
                    continue
                for at in np.ndindex(*shape):
                    columns.append(column(name, (i, *at)))
                    self.entries.append((name, i, at))
        L = np.array(columns).T
        size = np.linalg.norm(L, axis=0)
        u, s, vt = np.linalg.svd(L / size, full_matrices=False)
        keep = s > KEPT * s[0]
        self.u, self.inverse = u[:, keep], (vt[keep].T / s[keep]) / size[:, None]
        self.turned = None
        if self.j == reference:  # the mean beta_1 of the cell stays
            shape = self.shapes["gate_slopes"]
            self.turned = np.array([column("gate_slopes", (self.j, *at)) for at in np.ndindex(*shape)])

    def split(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Components of atoms (a, size)."""
        out, start = {}, 0
        for name in self.names:
            shape = self.shapes[name]
            size = int(np.prod(shape))
            out[name] = theta[:, start : start + size].reshape(len(theta), *shape)
            start += size
        return out

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Vectors (a, m S) whose norms are c at atoms theta (a, size); infinite outside the cell."""
        with np.errstate(all="ignore"):
            d, _, loss = self._first_order(theta)
            d /= loss[:, None]
            near = ((theta[:, None] - self.atoms) ** 2).sum(axis=2).argmin(axis=1) == self.j
            near &= np.isfinite(loss)
        return np.where(near[:, None] & np.isfinite(d), d, np.inf)

    def _first_order(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """g_theta - g_j + L y, the best y, and the loss, per unit of weight of atoms theta."""
        parts = self.split(theta)
        d = ((self._mass(parts) - self.old) * self.scale).reshape(len(theta), -1)
        delta = {name: parts[name] - self.parts[name][self.j] for name in self.names}
        if self.turned is not None:
            d -= delta["gate_slopes"].reshape(len(theta), -1) @ self.turned / self.true[self.j]
        inside = d @ self.u
        d -= inside @ self.u.T
        d -= (d @ self.u) @ self.u.T
        y = -inside @ self.inverse.T
        return d, y, self._size(delta, self.loss.over) + self._cost(y)

    def found(self, theta: np.ndarray) -> Appearing:
        """The answer at one atom (size,)."""
        d, y, loss = self._first_order(theta[None])
        parts = {name: value[0] for name, value in self.split(theta[None]).items()}
        moves = {name: np.zeros_like(value) for name, value in self.parts.items()}
        moves["weights"] = np.zeros(len(self.true))
        for (name, i, place), value in zip(self.entries, y[0] / loss[0], strict=True):
            moves[name][(i, *place)] += value
        if self.turned is not None:
            back = (parts["gate_slopes"] - self.parts["gate_slopes"][self.j]) / (loss[0] * self.true[self.j])
            moves["gate_slopes"][self.j] -= back
        return Appearing(
            float(np.linalg.norm(d) / loss[0]), self.near.truth, self.j, parts, float(1 / loss[0]), moves
        )

    def _size(self, delta: dict[str, np.ndarray], terms: Any) -> np.ndarray:
        first = next(iter(delta.values()))
        out = np.zeros(len(first))
        for term in terms:
            rho = float(term.exponent(voronoi_exponent(2, self.loss.system)))
            if term.rows:
                flat = delta[term.parts[0]]
                flat = flat.reshape(len(flat), flat.shape[1], -1)
                out += (np.linalg.norm(flat, axis=2) ** rho).sum(axis=1)
            else:
                flat = np.concatenate([delta[n].reshape(len(first), -1) for n in term.parts], axis=1)
                out += np.linalg.norm(flat, axis=1) ** rho
        return out

    def _cost(self, y: np.ndarray) -> np.ndarray:
        """What first-order displacements y (a, columns) add: all weights, and exact atoms."""
        out = np.zeros(len(y))
        moved = {
            i: {n: np.zeros((len(y), *s)) for n, s in self.shapes.items()} for i in range(len(self.true))
        }
        for at, (name, i, place) in enumerate(self.entries):
            if name == "weights":
                out += np.abs(y[:, at])
            else:
                moved[i][name][(slice(None), *place)] = y[:, at]
        for i, delta in moved.items():
            if i != self.j:
                out += self.true[i] * self._size(delta, self.loss.exact)
        return out

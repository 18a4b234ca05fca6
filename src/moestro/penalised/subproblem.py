"""The penalised objective on some slopes, and the quadratic model of a proximal Newton step there.

The model is  g'd + d'(H + lam D)d / 2 + alpha P(s + d), minimised by coordinate descent: H is the exact
Hessian of -L / n, D EM's complete-data information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core
from ..engine import Order
from ..penalties import Terms
from ..solvers.newton import is_definite
from .quadratic import finish
from .restricted import Restricted

RIDGE = 1e-10  # beside D: keeps what the data say nothing about where it is
SWEEPS = 100
EXACT = 20  # sweeps of coordinate descent from which Newton's method finishes what it has selected


@dataclass(frozen=True)
class Local:
    """The smooth part at v: value, gradient, Hessian, information, mass of the experts; and the whole
    objective."""

    v: np.ndarray
    objective: float
    value: float
    gradient: np.ndarray
    curvature: np.ndarray
    information: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class Subproblem:
    """F on some slopes; v = (u, slopes).

    Attributes
    ----------
    restricted : Restricted
    terms : Terms
        Of the slopes at work, at their strength.
    """

    restricted: Restricted
    terms: Terms

    @property
    def n_free(self) -> int:
        return self.restricted.likelihood.n_free

    def objective(self, v: np.ndarray, value: float) -> float:
        """F from -L / n."""
        return value + self.terms.value(v[self.n_free :])

    def look(self, v: np.ndarray) -> Local:
        """Everything at v."""
        value, g, H, D, mass = self.restricted.evaluate(v, Order.CURVATURE)
        assert g is not None and H is not None and D is not None
        return Local(v, self.objective(v, value), value, g, H, D, mass)

    def value(self, v: np.ndarray) -> float:
        """F alone."""
        return self.objective(v, self.restricted.evaluate(v, Order.VALUE)[0])

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of v."""
        lower, upper = self.restricted.likelihood.bounds
        free = np.full(len(self.restricted.working), np.inf)
        return np.concatenate([lower, -free]), np.concatenate([upper, free])

    def violation(self, v: np.ndarray, g: np.ndarray) -> float:
        """Largest distance to the optimality condition: gradients of u inside its box, subdifferentials of
        the slopes."""
        lower, upper = self.restricted.likelihood.bounds
        u, first = v[: self.n_free], g[: self.n_free]
        outward = ((u <= lower) & (first > 0)) | ((u >= upper) & (first < 0))
        free = np.where(outward, 0.0, np.abs(first))
        slopes = self.terms.violation(v[self.n_free :], g[self.n_free :])
        return float(max(free.max(initial=0.0), slopes.max(initial=0.0)))

    def free_entries(self, at: Local) -> np.ndarray:
        """Entries of v that a small step can move: not slopes at zero that their penalty holds there."""
        slopes = at.v[self.n_free :]
        free = (slopes != 0) | (self.terms.violation(slopes, at.gradient[self.n_free :]) > 0)
        return np.concatenate(
            [np.arange(self.n_free), self.n_free + np.flatnonzero(self.terms.with_groups(free))]
        )

    def direction(self, at: Local, lam: float, tol: float, exact: bool = True) -> np.ndarray | None:
        """Minimiser of the penalised quadratic model over the free_entries entries, or None where it is not
        convex there."""
        inner = self.free_entries(at)
        own = inner[self.n_free :] - self.n_free
        terms, v = self.terms.take(own), at.v[inner]
        D = at.information[np.ix_(inner, inner)]
        M = at.curvature[np.ix_(inner, inner)] + lam * D
        extra = np.concatenate([np.zeros(self.n_free), terms.l2])
        M.reshape(-1)[:: len(M) + 1] += extra + RIDGE * (1.0 + np.diag(D))
        if not is_definite(M):
            return None
        group = np.concatenate([np.full(self.n_free, -1), terms.group]).astype(np.int32)
        lower, upper = (b[inner] for b in self.box())
        g, l1 = at.gradient[inner] + extra * v, np.concatenate([np.zeros(self.n_free), terms.l1])
        weight = np.ascontiguousarray(terms.group_weight, dtype=float)
        to, sweeps = _core.penalised_quadratic(M, g, v, l1, group, weight, lower, upper, tol, SWEEPS)
        if sweeps > EXACT and exact:
            to = finish((M, g, v), l1, group, weight, to, (lower, upper))
        out = at.v.copy()
        out[inner] = to
        return out

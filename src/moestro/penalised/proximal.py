"""Proximal Newton on the observed penalised likelihood, restricted to the slopes at work.

A step minimises  g'd + d'(H + lam D)d / 2 + alpha P(s + d)  by coordinate descent: H is the exact Hessian of -L / n, D EM's complete-data
information. lam follows the agreement of gain and prediction, and no step is kept that raises the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core
from ..engine import Order
from ..penalties import Terms
from .restricted import Restricted

RIDGE = 1e-10  # beside D: keeps what the data say nothing about where it is
ROUNDING = 1e-14
GROWTH, SHRINK = 6.0, 0.1
SWEEPS = 500
EXACT = 20  # sweeps of coordinate descent from which Newton's method finishes what it has selected
FINISH = 6


@dataclass(frozen=True)
class Local:
    """The smooth part at v: value, gradient, Hessian, information, mass of the experts; and the whole objective."""

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
    memberships : ndarray of shape (n, k) or None
        Given responsibilities replace the posterior ones: EM's Q, for starts.
    """

    restricted: Restricted
    terms: Terms
    memberships: np.ndarray | None = None

    @property
    def n_free(self) -> int:
        return self.restricted.problem.n_free

    def objective(self, v: np.ndarray, value: float) -> float:
        """F from -L / n."""
        return value + self.terms.value(v[self.n_free :])

    def look(self, v: np.ndarray) -> Local:
        """Everything at v."""
        value, g, H, D, mass = self.restricted.evaluate(v, Order.CURVATURE, self.memberships)
        assert g is not None and H is not None and D is not None
        if self.memberships is not None:  # Q is concave: its Hessian with the memberships held is EM's
            H = D
        return Local(v, self.objective(v, value), value, g, H, D, mass)

    def value(self, v: np.ndarray) -> float:
        """F alone."""
        return self.objective(v, self.restricted.evaluate(v, Order.VALUE, self.memberships)[0])

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of v."""
        lower, upper = self.restricted.problem.bounds
        free = np.full(len(self.restricted.working), np.inf)
        return np.concatenate([lower, -free]), np.concatenate([upper, free])

    def violation(self, v: np.ndarray, g: np.ndarray) -> float:
        """Largest distance to the optimality condition: gradients of u inside its box, subdifferentials of the slopes."""
        lower, upper = self.restricted.problem.bounds
        u, first = v[: self.n_free], g[: self.n_free]
        outward = ((u <= lower) & (first > 0)) | ((u >= upper) & (first < 0))
        free = np.where(outward, 0.0, np.abs(first))
        slopes = self.terms.violation(v[self.n_free :], g[self.n_free :])
        return float(max(free.max(initial=0.0), slopes.max(initial=0.0)))

    def direction(self, at: Local, lam: float, tol: float) -> np.ndarray | None:
        """Minimiser of the penalised quadratic model, or None where it is not convex."""
        M = np.ascontiguousarray(at.curvature + lam * at.information)
        extra = np.zeros(len(at.v))
        extra[self.n_free :] = self.terms.l2
        diagonal = M.reshape(-1)[:: len(M) + 1]
        diagonal += extra + RIDGE * (1.0 + at.information.reshape(-1)[:: len(M) + 1])
        try:
            np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            return None
        zeros = np.zeros(self.n_free)
        group = np.concatenate([np.full(self.n_free, -1), self.terms.group]).astype(np.int32)
        lower, upper = self.box()
        g, l1 = at.gradient + extra * at.v, np.concatenate([zeros, self.terms.l1])
        to, sweeps = _core.penalised_quadratic(
            M, g, at.v, l1, group, np.ascontiguousarray(self.terms.group_weight, dtype=float), lower, upper, tol, SWEEPS,
        )  # fmt: skip
        if sweeps <= EXACT:
            return to
        return _finish((M, g, at.v), l1, group, self.terms.group_weight, to, (lower, upper))


def _finish(
    model: tuple[np.ndarray, np.ndarray, np.ndarray], l1: np.ndarray, group: np.ndarray, weight: np.ndarray, to: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """Newton's method for the quadratic model's optimum among the slopes that are not zero in `to`, where their signs and groups stay.

    `to` itself where they do not: then coordinate descent has not found them yet. `model` is (M, g, start).
    """
    M, g, start = model
    at = np.flatnonzero((to > box[0]) & (to < box[1]) & ((to != 0) | ((l1 == 0) & (group < 0))))
    inner, own = M[np.ix_(at, at)], group[at]
    names = np.unique(own[own >= 0])
    out = to.copy()
    for _ in range(FINISH):
        r = (g + M @ (out - start) + l1 * np.sign(out))[at]
        H = inner.copy()
        for name in names:
            members = np.flatnonzero(own == name)
            x = out[at[members]]
            size = float(np.linalg.norm(x))
            if size == 0:
                return to
            r[members] += weight[name] * x / size
            H[np.ix_(members, members)] += weight[name] / size * (np.eye(len(x)) - np.outer(x, x) / size**2)
        try:
            step = np.linalg.solve(H, r)
        except np.linalg.LinAlgError:
            return to
        out[at] -= step
        if not len(names) or np.abs(step).max(initial=0.0) < 1e-14 * (1 + np.abs(out).max(initial=0.0)):
            break
    kept = np.where(l1 > 0, np.sign(out) == np.sign(to), True).all() and (out >= box[0]).all()
    return out if kept and (out <= box[1]).all() and np.isfinite(out).all() else to


@dataclass(frozen=True)
class Descent:
    """Where proximal Newton ended."""

    local: Local
    violation: float
    iterations: int
    damping: float
    trace: tuple[tuple[float, float], ...]


def descend(problem: Subproblem, v: np.ndarray, tol: float, max_iter: int, damping: float = 0.01) -> Descent:
    """Minimise F from v, until the optimality violation is at most `tol` or no step is left."""
    with np.errstate(over="ignore", invalid="ignore"):  # of trial steps that are refused
        return _descend(problem, v, tol, max_iter, damping)


def _descend(problem: Subproblem, v: np.ndarray, tol: float, max_iter: int, damping: float) -> Descent:
    at = problem.look(v)
    violation = problem.violation(v, at.gradient)
    lam, trace = damping, [(at.objective, violation)]
    while violation > tol and len(trace) <= max_iter:
        new, lam = _step(problem, at, violation, lam, tol)
        if new is None:
            break
        at = new
        violation = problem.violation(at.v, at.gradient)
        trace.append((at.objective, violation))
    return Descent(at, violation, len(trace) - 1, lam, tuple(trace))


def _step(
    problem: Subproblem, at: Local, violation: float, lam: float, tol: float
) -> tuple[Local | None, float]:
    noise = ROUNDING * (1.0 + abs(at.objective))
    for attempt in range(40):
        to = problem.direction(at, lam, 0.1 * min(tol, violation**2, 0.01 * violation))
        if to is not None and np.isfinite(to).all():
            d = to - at.v
            if not np.any(d):
                return None, lam
            penalty = problem.terms.value(to[problem.n_free :]) - problem.terms.value(at.v[problem.n_free :])
            predicted = -(at.gradient @ d + 0.5 * d @ (at.curvature @ d) + penalty)
            if predicted > noise:
                if attempt and not problem.value(to) < at.objective - 1e-4 * predicted:
                    lam = max(lam * GROWTH, 1e-8)
                    continue
                new = problem.look(to)
                ratio = (at.objective - new.objective) / predicted
                if np.isfinite(new.objective) and ratio > 1e-4:
                    lam = lam * SHRINK if ratio > 0.75 else lam if ratio > 0.25 else lam * 3
                    return new, (0.0 if lam < 1e-10 else lam)
            elif lam <= 1e-6 or attempt:  # too small to see in the value: the violation decides
                new = problem.look(to)
                better = problem.violation(to, new.gradient) < 0.5 * violation
                return (new if better and new.objective <= at.objective + noise else None), lam
        lam = max(lam * GROWTH, 1e-8)
    return None, lam

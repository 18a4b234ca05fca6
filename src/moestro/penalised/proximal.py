"""Proximal Newton on the observed penalised likelihood, restricted to the slopes at work.

A step minimises  g'd + d'(H + lam D)d / 2 + alpha P(s + d)  by coordinate descent: H is the exact Hessian of -L / n, D EM's complete-data
information. lam follows the agreement of gain and prediction, and no step is kept that raises the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from .. import _core
from ..engine import Order
from ..penalties import Terms
from .restricted import Restricted

RIDGE = 1e-10  # beside D: keeps what the data say nothing about where it is
ROUNDING = 1e-14
UNSEEN = 100.0  # roundings of the objective below which a gain is not seen
SADDLE = 1e-5  # downward curvature relative to D that is left
MANIFOLD_NEAR = 1e-2
SADDLES = 2  # left in one fit
SADDLE_GAIN = 1e-9
SADDLE_LENGTHS = (1.0, 0.3, 0.1, 0.03)
GROWTH, SHRINK, HEAVIEST = 6.0, 0.1, 1e6
SWEEPS = 100
EXACT = 20  # sweeps of coordinate descent from which Newton's method finishes what it has selected
FINISH = 10
FINISH_NEAR = 1e-4  # optimality violation below which a quadratic model is worth its exact optimum


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

    def movable(self, at: Local) -> np.ndarray:
        """Entries of v that a small step can move: not slopes at zero that their penalty holds there."""
        slopes = at.v[self.n_free :]
        free = (slopes != 0) | (self.terms.violation(slopes, at.gradient[self.n_free :]) > 0)
        return np.concatenate(
            [np.arange(self.n_free), self.n_free + np.flatnonzero(self.terms.with_groups(free))]
        )

    def direction(self, at: Local, lam: float, tol: float, exact: bool = True) -> np.ndarray | None:
        """Minimiser of the penalised quadratic model over the movable entries, or None where it is not convex there."""
        inner = self.movable(at)
        own = inner[self.n_free :] - self.n_free
        terms, v = self.terms.take(own), at.v[inner]
        D = at.information[np.ix_(inner, inner)]
        M = at.curvature[np.ix_(inner, inner)] + lam * D
        extra = np.concatenate([np.zeros(self.n_free), terms.l2])
        M.reshape(-1)[:: len(M) + 1] += extra + RIDGE * (1.0 + np.diag(D))
        try:
            np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            return None
        group = np.concatenate([np.full(self.n_free, -1), terms.group]).astype(np.int32)
        lower, upper = (b[inner] for b in self.box())
        g, l1 = at.gradient[inner] + extra * v, np.concatenate([np.zeros(self.n_free), terms.l1])
        weight = np.ascontiguousarray(terms.group_weight, dtype=float)
        to, sweeps = _core.penalised_quadratic(M, g, v, l1, group, weight, lower, upper, tol, SWEEPS)
        if sweeps > EXACT and exact:
            to = _finish((M, g, v), l1, group, weight, to, (lower, upper))
        out = at.v.copy()
        out[inner] = to
        return out


def _finish(
    model: tuple[np.ndarray, np.ndarray, np.ndarray], l1: np.ndarray, group: np.ndarray, weight: np.ndarray, to: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """From `to`, the quadratic model's optimum by Newton's method on the face of its signs and bounds, as an active-set method walks.

    A step that would leave the face ends where it meets the first bound or zero, which then stays. `model` is (M, g, start).
    """
    M, g, start = model
    out = to.copy()
    open_ = (out > box[0]) & (out < box[1]) & ((out != 0) | ((l1 == 0) & (group < 0)))
    for _ in range(FINISH):
        at = np.flatnonzero(open_)
        r = (g + M @ (out - start) + l1 * np.sign(out))[at]
        H = M[np.ix_(at, at)]
        own = group[at]
        for name in np.unique(own[own >= 0]):
            members = np.flatnonzero(own == name)
            x = out[at[members]]
            size = float(np.linalg.norm(x))
            if size == 0:
                return out
            r[members] += weight[name] * x / size
            H[np.ix_(members, members)] += weight[name] / size * (np.eye(len(x)) - np.outer(x, x) / size**2)
        try:
            step = -np.linalg.solve(H, r)
        except np.linalg.LinAlgError:
            return out
        if not np.isfinite(step).all():
            return out
        length, first = _first_wall(out[at], step, l1[at], box[0][at], box[1][at])
        out[at] += length * step
        if first is not None:
            j = at[first]
            walls = [box[0][j], box[1][j]] + [0.0] * bool(l1[j] > 0)
            out[j] = min(walls, key=lambda wall: abs(wall - out[j]))
            open_[j] = False
        elif not (own >= 0).any() or np.abs(step).max(initial=0.0) < 1e-14 * (
            1 + np.abs(out).max(initial=0.0)
        ):
            break
    return out


def _first_wall(
    x: np.ndarray, step: np.ndarray, l1: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[float, int | None]:
    """How far x can go along `step` (at most 1) before a bound, or zero where there is an l1, and which entry meets it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.where(step > 0, (upper - x) / step, np.where(step < 0, (lower - x) / step, np.inf))
        zero = np.where((l1 > 0) & (x * step < 0), -x / step, np.inf)
    reach = np.minimum(bound, zero)
    first = int(np.argmin(reach)) if len(reach) else 0
    if not len(reach) or not reach[first] < 1.0:
        return 1.0, None
    return float(max(reach[first], 0.0)), first


@dataclass(frozen=True)
class Descent:
    """Where proximal Newton ended."""

    local: Local
    violation: float
    iterations: int
    damping: float
    escapes: int
    trace: tuple[tuple[float, float], ...]


def descend(
    problem: Subproblem,
    v: np.ndarray,
    tol: float,
    max_iter: int,
    damping: float = 0.01,
    escapes: int = SADDLES,
) -> Descent:
    """Minimise F from v, until the optimality violation is at most `tol` or no step is left; at most `escapes` saddles are left."""
    with np.errstate(over="ignore", invalid="ignore"):  # of trial steps that are refused
        return _descend(problem, v, tol, max_iter, damping, escapes)


def _descend(
    problem: Subproblem, v: np.ndarray, tol: float, max_iter: int, damping: float, escapes: int
) -> Descent:
    at = problem.look(v)
    violation = problem.violation(v, at.gradient)
    lam, trace, left = damping, [(at.objective, violation)], escapes
    while len(trace) <= max_iter:
        new = None
        if violation <= tol and left and problem.memberships is None:
            new, left = _leave_saddle(problem, at), left - 1
        if new is None and violation <= tol:
            break
        if new is None and violation <= MANIFOLD_NEAR and len(problem.terms.group_weight):
            new = _on_manifold(problem, at)
        if new is None:
            new, lam = _step(problem, at, violation, lam, tol)
        if new is None:
            break
        at = new
        violation = problem.violation(at.v, at.gradient)
        trace.append((at.objective, violation))
    return Descent(at, violation, len(trace) - 1, lam, left, tuple(trace))


def _step(
    problem: Subproblem, at: Local, violation: float, lam: float, tol: float
) -> tuple[Local | None, float]:
    noise = ROUNDING * (1.0 + abs(at.objective))
    for attempt in range(40):
        to = problem.direction(
            at, lam, max(0.05 * tol, min(0.01 * violation, violation**2)), violation <= FINISH_NEAR
        )
        if to is not None and np.isfinite(to).all():
            d = to - at.v
            if not np.any(d):
                return None, lam
            penalty = problem.terms.value(to[problem.n_free :]) - problem.terms.value(at.v[problem.n_free :])
            predicted = -(at.gradient @ d + 0.5 * d @ (at.curvature @ d) + penalty)
            if predicted > UNSEEN * noise:
                if attempt and not problem.value(to) < at.objective - 1e-4 * predicted:
                    lam = max(lam * GROWTH, 1e-8)
                    continue
                new = problem.look(to)
                ratio = (at.objective - new.objective) / predicted
                if np.isfinite(new.objective) and ratio > 1e-4:
                    lam = lam * SHRINK if ratio > 0.75 else lam if ratio > 0.25 else lam * 3
                    return new, (0.0 if lam < 1e-10 else lam)
            else:  # too small to see in the value: the violation decides
                new = problem.look(to)
                if new.objective <= at.objective + noise and problem.violation(to, new.gradient) < violation:
                    return new, (0.0 if lam < 1e-6 else lam * SHRINK)
        lam = max(lam * GROWTH, 1e-8)
        if lam > HEAVIEST:
            break
    return None, lam


def _alive(problem: Subproblem, at: Local) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates inside the box and not held at zero; the objective's gradient and Hessian in them, the penalty's part included."""
    terms, slopes, n = problem.terms, at.v[problem.n_free :], problem.n_free
    lower, upper = problem.box()
    alive = (at.v > lower) & (at.v < upper)
    alive[n:] &= (slopes != 0) | ((terms.l1 == 0) & (terms.group < 0))
    inner = np.flatnonzero(alive)
    g, H = at.gradient.copy(), at.curvature[np.ix_(inner, inner)].copy()
    g[n:] += terms.l2 * slopes + terms.l1 * np.sign(slopes)
    H.reshape(-1)[:: len(inner) + 1] += np.concatenate([np.zeros(n), terms.l2])[inner]
    group = np.concatenate([np.full(n, -1), terms.group])[inner]
    for name in np.unique(group[group >= 0]):
        own = np.flatnonzero(group == name)
        x = at.v[inner[own]]
        size = float(np.linalg.norm(x))
        weight = terms.group_weight[name]
        g[inner[own]] += weight * x / size
        H[np.ix_(own, own)] += weight / size * (np.eye(len(x)) - np.outer(x, x) / size**2)
    return inner, g[inner], H


def _on_manifold(problem: Subproblem, at: Local) -> Local | None:
    """Newton's step among the slopes that are not zero, where only the penalty's own curvature makes the objective convex."""
    try:
        np.linalg.cholesky(at.curvature + 1e-3 * at.information + RIDGE * np.eye(len(at.v)))
        return None  # the proximal step sees enough
    except np.linalg.LinAlgError:
        pass
    inner, g, H = _alive(problem, at)
    try:
        np.linalg.cholesky(H)
        step = -np.linalg.solve(H, g)
    except np.linalg.LinAlgError:
        return None
    lower, upper = problem.box()
    for length in (1.0, 0.3, 0.1):
        trial = at.v.copy()
        trial[inner] += length * step
        trial = np.clip(trial, lower, upper)
        if problem.value(trial) < at.objective + 1e-4 * length * float(g @ step):
            return problem.look(trial)
    return None


def _leave_saddle(problem: Subproblem, at: Local) -> Local | None:
    """A better point along the direction in which the objective curves down most, beside D; None where there is none."""
    inner, _, H = _alive(problem, at)
    lower, upper = problem.box()
    D = at.information[np.ix_(inner, inner)].copy()
    D.reshape(-1)[:: len(inner) + 1] += RIDGE + 1e-8 * np.diag(D)
    try:
        np.linalg.cholesky(H + SADDLE * D)
        return None
    except np.linalg.LinAlgError:
        pass
    try:
        _, vectors = eigh(H, D, subset_by_index=[0, 0])
    except np.linalg.LinAlgError:
        return None
    direction = vectors[:, 0]
    best, least = None, at.objective - SADDLE_GAIN * (1 + abs(at.objective))
    for length in SADDLE_LENGTHS:
        for sign in (1.0, -1.0):
            trial = at.v.copy()
            trial[inner] += sign * length * direction
            trial = np.clip(trial, lower, upper)
            value = problem.value(trial)
            if np.isfinite(value) and value < least:
                best, least = trial, value
        if best is not None:
            return problem.look(best)
    return None

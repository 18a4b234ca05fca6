"""One penalised fit: working sets that grow until no slope violates the optimality condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..penalties import Terms
from .problem import Problem
from .proximal import Subproblem, descend
from .restricted import Restricted

MAX_ITER = 300  # proximal Newton steps of one fit
ROUNDS = 60  # of working sets
ADDED = 40  # slopes that may join at once, and at least as many as are not zero
LOOSE, ROUGH = 0.1, 1e-3  # share of the outer violation, and violation, to which an inner problem is solved


@dataclass(frozen=True)
class Point:
    """A penalised fit.

    Attributes
    ----------
    u : ndarray
        Intercepts and log-variances.
    slopes : ndarray of shape (size,)
        In the penalty's layout.
    gradient : ndarray of shape (size,)
        Of -L / n in the slopes.
    objective : float
        F, per unit of weight.
    log_likelihood : float
    violation : float
        Largest distance to the optimality condition over all slopes and u.
    mass : ndarray of shape (k,)
    iterations : int
    trace : tuple of (objective, violation)
        Of the last working set.
    """

    u: np.ndarray
    slopes: np.ndarray
    gradient: np.ndarray
    objective: float
    log_likelihood: float
    violation: float
    mass: np.ndarray
    iterations: int
    trace: tuple[tuple[float, float], ...] = ()

    @property
    def support(self) -> np.ndarray:
        """Slopes that are not zero."""
        return np.flatnonzero(self.slopes)


def solve(
    problem: Problem,
    terms: Terms,
    u: np.ndarray,
    slopes: np.ndarray,
    *,
    tol: float = 1e-9,
    screen: np.ndarray | None = None,
    memberships: np.ndarray | None = None,
    max_iter: int = MAX_ITER,
    fixed: bool = False,
) -> Point:
    """Minimise F from (u, slopes).

    Parameters
    ----------
    terms : Terms
        Of all slopes, at their strength.
    tol : float
        Largest optimality violation, per unit of weight in scaled coordinates.
    screen : ndarray of bool, shape (size,), optional
        Slopes that are expected to be needed: they are at work from the beginning.
    memberships : ndarray of shape (n, k), optional
        Held responsibilities, for starts.
    fixed : bool
        Only the slopes in `screen` may move.
    """
    lower, upper = problem.bounds
    u = np.clip(u, lower, upper)
    slopes = np.where(problem.usable, slopes, 0.0)
    work = (slopes != 0) | ((terms.l1 == 0) & (terms.group < 0) & ~np.full(problem.size, fixed))
    if screen is not None:
        work |= screen & problem.usable
    iterations, damping, last = 0, 0.01, np.inf
    rounds = 0
    while True:
        rounds += 1
        work = terms.with_groups(work) & problem.usable
        at = np.flatnonzero(work)
        sub = Subproblem(Restricted(problem, at), terms.take(at), memberships)
        inner = tol if fixed or not np.isfinite(last) else max(0.5 * tol, LOOSE * min(last, 1.0) ** 2)
        inner = tol if fixed else min(inner, ROUGH)
        found = descend(sub, np.concatenate([u, slopes[at]]), inner, max_iter - iterations, damping)
        iterations += found.iterations
        damping = max(found.damping, 1e-4)
        v = found.local.v
        u, slopes = v[: problem.n_free], np.zeros(problem.size)
        slopes[at] = v[problem.n_free :]
        gradient = -problem.gradient(sub.restricted.logit_scores(v, memberships)) / problem.n
        distance = np.where(problem.usable, terms.violation(slopes, gradient), 0.0)
        if fixed:
            distance[~work] = 0.0
        outside = float(distance[~work].max(initial=0.0))
        last = max(outside, found.violation)
        done = outside <= tol and (found.violation <= tol or inner <= tol)
        if done or iterations >= max_iter or rounds == ROUNDS:
            break
        work = _grow(work, slopes, distance, tol)
    return Point(
        u, slopes, gradient, found.local.objective, -found.local.value * problem.n, last, found.local.mass, iterations,
        found.trace,
    )  # fmt: skip


def _grow(work: np.ndarray, slopes: np.ndarray, distance: np.ndarray, tol: float) -> np.ndarray:
    """The slopes that are not zero, those at work that are nearly needed, and the worst violators outside."""
    outside = np.flatnonzero(~work & (distance > tol))
    room = max(ADDED, int((slopes != 0).sum()))
    if len(outside) > room:
        outside = outside[np.argsort(distance[outside])[::-1][:room]]
    out = work.copy()
    out[outside] = True
    return out

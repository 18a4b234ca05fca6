"""One penalised fit: working sets that grow until no slope violates the optimality condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..penalties import Terms
from .problem import Problem
from .proximal import SADDLES, descend
from .restricted import Restricted
from .subproblem import Subproblem

MAX_ITER = 300  # proximal Newton steps of one fit
ROUNDS = 60  # of working sets
ROUND = 40  # steps on one working set: with fewer slopes at zero among it the next may be easier
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
    fixed : bool
        Only the slopes in `screen` may move.
    """
    lower, upper = problem.bounds
    u = np.clip(u, lower, upper)
    slopes = np.where(problem.usable, slopes, 0.0)
    unpenalised = (terms.l1 == 0) & (terms.group < 0) & (not fixed)
    work = (slopes != 0) | unpenalised
    if screen is not None:
        work |= screen & problem.usable
    iterations, escapes, damping, last = 0, SADDLES, 0.01, np.inf
    rounds = 0
    while True:
        rounds += 1
        work = terms.with_groups(work) & problem.usable
        at = np.flatnonzero(work)
        sub = Subproblem(Restricted(problem, at), terms.take(at))
        inner = tol if fixed or not np.isfinite(last) else max(0.5 * tol, LOOSE * min(last, 1.0) ** 2)
        inner = tol if fixed else min(inner, ROUGH)
        found = descend(
            sub, np.concatenate([u, slopes[at]]), inner, min(ROUND, max_iter - iterations), damping, escapes
        )
        iterations, escapes = iterations + found.iterations, found.escapes
        damping = float(np.clip(found.damping, 1e-4, 1e-2))
        v = found.local.v
        u, slopes = v[: problem.n_free], np.zeros(problem.size)
        slopes[at] = v[problem.n_free :]
        gradient = -problem.gradient(sub.restricted.logit_scores(v)) / problem.n
        distance = np.where(problem.usable, terms.violation(slopes, gradient), 0.0)
        if fixed:
            distance[~work] = 0.0
            if found.violation <= tol or found.iterations < ROUND:
                last = found.violation
                break
            continue
        outside = float(distance[~work].max(initial=0.0))
        last = max(outside, found.violation)
        stuck = (
            found.iterations < ROUND
            and inner <= tol
            and np.array_equal(work, _next(slopes, distance, tol) | unpenalised)
        )
        done = outside <= tol and (found.violation <= tol or stuck)
        if done or iterations >= max_iter or rounds == ROUNDS:
            break
        work = _next(slopes, distance, tol) | unpenalised
    return Point(
        u, slopes, gradient, found.local.objective, -found.local.value * problem.n, last, found.local.mass, iterations,
        found.trace,
    )  # fmt: skip


def _next(slopes: np.ndarray, distance: np.ndarray, tol: float) -> np.ndarray:
    """The slopes that are not zero, and the worst violators among the others."""
    out = slopes != 0
    more = np.flatnonzero(~out & (distance > tol))
    room = max(ADDED, int(out.sum()))
    if len(more) > room:
        more = more[np.argsort(distance[more])[::-1][:room]]
    out[more] = True
    return out

"""One penalised fit: working sets that grow until no slope violates the optimality condition."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from ..penalties import Terms
from ..solvers.base import Info
from .likelihood import Likelihood
from .proximal import SADDLES, descend
from .restricted import Restricted
from .screening import working
from .subproblem import Subproblem

MAX_ITER = 300  # proximal Newton steps of one fit
ROUNDS = 60  # of working sets
ROUND = 40  # steps on one working set: with fewer slopes at zero among it the next may be easier
# Share of the outer violation, and violation, to which an inner problem is solved.
LOOSE, ROUGH = 0.1, 1e-3


@dataclass(frozen=True)
class Solution:
    """Where a penalised fit ended.

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
    trace : tuple of Info
        Of the last working set: F, violation, step.
    """

    u: np.ndarray
    slopes: np.ndarray
    gradient: np.ndarray
    objective: float
    log_likelihood: float
    violation: float
    mass: np.ndarray
    iterations: int
    trace: tuple[Info, ...] = ()

    @property
    def point(self) -> np.ndarray:
        """(u, slopes)."""
        return np.concatenate([self.u, self.slopes])

    @property
    def support(self) -> np.ndarray:
        """Slopes that are not zero."""
        return np.flatnonzero(self.slopes)


def solve(
    likelihood: Likelihood,
    terms: Terms,
    point: np.ndarray,
    *,
    tol: float = 1e-9,
    screen: np.ndarray | None = None,
    max_iter: int | None = None,
    fixed: bool = False,
    cancel: threading.Event | None = None,
) -> Solution:
    """Minimise F from a point (u, slopes).

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
    n_free, limit = likelihood.n_free, MAX_ITER if max_iter is None else max_iter
    u = np.clip(point[:n_free], *likelihood.bounds)
    slopes = np.where(likelihood.usable, point[n_free:], 0.0)
    unpenalised = (terms.l1 == 0) & (terms.group < 0) & (not fixed)
    work = (slopes != 0) | unpenalised
    if screen is not None:
        work |= screen & likelihood.usable
    iterations, rounds, escapes, damping, last = 0, 0, SADDLES, 0.01, np.inf
    work = terms.with_groups(work) & likelihood.usable
    while True:
        rounds += 1
        at = np.flatnonzero(work)
        sub = Subproblem(Restricted(likelihood, at), terms.take(at))
        inner = tol
        if not fixed:
            inner = min(tol if rounds == 1 else max(0.5 * tol, LOOSE * min(last, 1.0) ** 2), ROUGH)
        steps = min(ROUND, limit - iterations)
        found = descend(sub, np.concatenate([u, slopes[at]]), inner, steps, damping, escapes, cancel)
        iterations, escapes = iterations + found.iterations, found.escapes
        damping = float(np.clip(found.damping, 1e-4, 1e-2))
        v = found.local.v
        u, slopes = v[:n_free], np.zeros(likelihood.size)
        slopes[at] = v[n_free:]
        gradient = -likelihood.gradient(sub.restricted.logit_scores(v)) / likelihood.n
        distance = np.where(likelihood.usable, terms.violation(slopes, gradient), 0.0)
        outside = 0.0 if fixed else float(distance[~work].max(initial=0.0))
        last = max(outside, found.violation)
        grown = work if fixed else working(slopes, distance, tol) | unpenalised
        grown = terms.with_groups(grown) & likelihood.usable
        # No step is left where the end was asked for, or from where the last round ended.
        idle = inner <= tol or (found.iterations == 0 and found.violation > inner)
        stuck = found.iterations < steps and idle and np.array_equal(work, grown)
        if (outside <= tol and (found.violation <= tol or stuck)) or iterations >= limit or rounds == ROUNDS:
            break
        work = grown
    local = found.local
    log_likelihood = -local.value * likelihood.n
    return Solution(
        u, slopes, gradient, local.objective, log_likelihood, last, local.mass, iterations, found.trace
    )

"""Proximal Newton on the observed penalised likelihood, restricted to the slopes at work.

The damping of a step follows the agreement of gain and prediction, and no step is kept that raises the
objective.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from ..solvers.base import ROUNDING, Cancelled, Info
from ..solvers.damping import damped_step
from .saddles import leave_saddle, on_manifold
from .subproblem import Local, Subproblem

UNSEEN = 100.0  # roundings of the objective below which a gain is not seen
MANIFOLD_NEAR = 1e-2
SADDLES = 2  # left in one fit
FINISH_NEAR = 1e-4  # optimality violation below which a quadratic model is worth its exact optimum


@dataclass(frozen=True)
class Descent:
    """Where proximal Newton ended; `trace` has F, the optimality violation and the step of each iteration."""

    local: Local
    violation: float
    damping: float
    escapes: int
    trace: tuple[Info, ...]

    @property
    def iterations(self) -> int:
        return len(self.trace) - 1


def descend(
    problem: Subproblem,
    v: np.ndarray,
    tol: float,
    max_iter: int,
    damping: float = 0.01,
    escapes: int = SADDLES,
    cancel: threading.Event | None = None,
) -> Descent:
    """Minimise F from v, until the optimality violation is at most `tol` or no step is left; at most
    `escapes` saddles are left."""
    with np.errstate(over="ignore", invalid="ignore"):  # of trial steps that are refused
        at = problem.look(v)
        violation = problem.violation(v, at.gradient)
        lam, trace, left = damping, [Info(at.objective, violation, 0.0)], escapes
        while len(trace) <= max_iter:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            new = None
            if violation <= tol and left:
                new, left = leave_saddle(problem, at), left - 1
            if new is None and violation <= tol:
                break
            if new is None and violation <= MANIFOLD_NEAR and len(problem.terms.group_weight):
                new = on_manifold(problem, at)
            if new is None:
                new, lam = _step(problem, at, violation, lam, tol)
            if new is None:
                break
            step, at = float(np.abs(new.v - at.v).max(initial=0.0)), new
            violation = problem.violation(at.v, at.gradient)
            trace.append(Info(at.objective, violation, step))
    return Descent(at, violation, lam, left, tuple(trace))


def _step(
    problem: Subproblem, at: Local, violation: float, lam: float, tol: float
) -> tuple[Local | None, float]:
    noise = UNSEEN * ROUNDING * (1.0 + abs(at.objective))
    precision = max(0.05 * tol, min(0.01 * violation, violation**2))

    def propose(lam: float) -> tuple[np.ndarray | None, float] | None:
        to = problem.direction(at, lam, precision, violation <= FINISH_NEAR)
        if to is None or not np.isfinite(to).all():
            return None
        d = to - at.v
        if not np.any(d):
            return None, 0.0
        n = problem.n_free
        penalty = problem.terms.value(to[n:]) - problem.terms.value(at.v[n:])
        return to, -float(at.gradient @ d + 0.5 * d @ (at.curvature @ d) + penalty)

    def look(to: np.ndarray) -> tuple[Local, float]:
        new = problem.look(to)
        return new, -new.objective

    def improves(to: np.ndarray, new: Local) -> bool:
        low = new.objective <= at.objective + ROUNDING * (1.0 + abs(at.objective))
        return low and problem.violation(to, new.gradient) < violation

    new, _, lam = damped_step(
        -at.objective, lam, noise, propose, lambda to: -problem.value(to), look, improves
    )
    return new, lam

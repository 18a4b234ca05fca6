"""Proximal Newton on the observed penalised likelihood, restricted to the slopes at work.

The damping of a step follows the agreement of gain and prediction, and no step is kept that raises the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..solvers.damping import ENOUGH, SHRINK, after_refusal, after_step
from .saddles import leave_saddle, on_manifold
from .subproblem import Local, Subproblem

ROUNDING = 1e-14
UNSEEN = 100.0  # roundings of the objective below which a gain is not seen
MANIFOLD_NEAR = 1e-2
SADDLES = 2  # left in one fit
LEAST, HEAVIEST = 1e-8, 1e6  # damping after a refusal; at which no step is left
FINISH_NEAR = 1e-4  # optimality violation below which a quadratic model is worth its exact optimum


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
                if attempt and not problem.value(to) < at.objective - ENOUGH * predicted:
                    lam = float(after_refusal(lam, LEAST))
                    continue
                new = problem.look(to)
                ratio = (at.objective - new.objective) / predicted
                if np.isfinite(new.objective) and ratio > ENOUGH:
                    lam = float(after_step(lam, ratio))
                    return new, (0.0 if lam < 1e-10 else lam)
            else:  # too small to see in the value: the violation decides
                new = problem.look(to)
                if new.objective <= at.objective + noise and problem.violation(to, new.gradient) < violation:
                    return new, (0.0 if lam < 1e-6 else lam / SHRINK)
        lam = float(after_refusal(lam, LEAST))
        if lam > HEAVIEST:
            break
    return None, lam

"""Points from which the proximal step does not lead on: saddles, and faces where only the penalty makes the
objective convex."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from ..solvers.newton import is_definite, solve_definite
from .quadratic import add_norms
from .subproblem import RIDGE, Local, Subproblem

SADDLE = 1e-5  # downward curvature relative to D that is left
SADDLE_GAIN = 1e-9
SADDLE_LENGTHS = (1.0, 0.3, 0.1, 0.03)


def _alive(problem: Subproblem, at: Local) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates inside the box and not held at zero; the objective's gradient and Hessian in them, the
    penalty's part included."""
    terms, slopes, n = problem.terms, at.v[problem.n_free :], problem.n_free
    lower, upper = problem.box()
    alive = (at.v > lower) & (at.v < upper)
    alive[n:] &= (slopes != 0) | ((terms.l1 == 0) & (terms.group < 0))
    inner = np.flatnonzero(alive)
    full, H = at.gradient.copy(), at.curvature[np.ix_(inner, inner)]
    full[n:] += terms.l2 * slopes + terms.l1 * np.sign(slopes)
    g = full[inner]
    H.reshape(-1)[:: len(inner) + 1] += np.concatenate([np.zeros(n), terms.l2])[inner]
    group = np.concatenate([np.full(n, -1), terms.group])[inner]
    add_norms(g, H, at.v[inner], group, terms.group_weight)
    return inner, g, H


def _moved(problem: Subproblem, at: Local, inner: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Where a step in the coordinates `inner` leads within the box."""
    out = at.v.copy()
    out[inner] += step
    return np.clip(out, *problem.box())


def on_manifold(problem: Subproblem, at: Local) -> Local | None:
    """Newton's step among the slopes that are not zero, where only the penalty's own curvature makes the
    objective convex."""
    if is_definite(at.curvature + 1e-3 * at.information + RIDGE * np.eye(len(at.v))):
        return None  # the proximal step sees enough
    inner, g, H = _alive(problem, at)
    ahead = solve_definite(H, g)
    if ahead is None:
        return None
    step = -ahead
    for length in (1.0, 0.3, 0.1):
        trial = _moved(problem, at, inner, length * step)
        if problem.value(trial) < at.objective + 1e-4 * length * float(g @ step):
            return problem.look(trial)
    return None


def leave_saddle(problem: Subproblem, at: Local) -> Local | None:
    """A better point along the direction in which the objective curves down most, beside D; None where there
    is none."""
    inner, _, H = _alive(problem, at)
    D = at.information[np.ix_(inner, inner)].copy()
    D.reshape(-1)[:: len(inner) + 1] += RIDGE + 1e-8 * np.diag(D)
    if is_definite(H + SADDLE * D):
        return None
    try:
        _, vectors = eigh(H, D, subset_by_index=[0, 0])
    except np.linalg.LinAlgError:
        return None
    direction = vectors[:, 0]
    best, least = None, at.objective - SADDLE_GAIN * (1 + abs(at.objective))
    for length in SADDLE_LENGTHS:
        for sign in (1.0, -1.0):
            trial = _moved(problem, at, inner, sign * length * direction)
            value = problem.value(trial)
            if np.isfinite(value) and value < least:
                best, least = trial, value
        if best is not None:
            return problem.look(best)
    return None

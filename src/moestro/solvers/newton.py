"""Trust-region Newton on the observed log-likelihood, with its exact Hessian H.

A step solves (-H + lam D) p = g, where D is EM's complete-data information: lam = 0 is Newton's step, a large
lam a short step in the direction of EM's. D is positive definite and scales with the parameters, so the
region has the shape that the likelihood gives it, and lam follows the agreement of gain and prediction
(Levenberg-Marquardt). A stationary point with upward curvature is a saddle, and is left along that direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..engine import Evaluation, Order
from .base import RIDGE, ROUNDING, Info, State, Target
from .damping import damped_step

LEAST = 1e-13  # damping
SADDLE = 1e-5  # upward curvature relative to D that counts as a saddle


@dataclass(frozen=True)
class Newton:
    """Trust-region Newton. `memory` is the damping lam."""

    name: str = "newton"
    max_iter: int = 500
    damping: float = 0.1
    escape_at: float = 1e-6  # look for a saddle once the gradient per weight is below this
    inner: int = 1

    def init(self, objective: Target, phi: np.ndarray) -> State:
        return State(phi, objective.evaluate(phi, Order.CURVATURE), self.damping)

    def step(self, objective: Target, state: State) -> tuple[State, Info]:
        phi, e, lam = state.phi, state.evaluation, state.memory
        assert e.gradient is not None and e.information is not None and e.curvature is not None
        inner = np.flatnonzero(objective.inward(phi, e.gradient))
        g = e.gradient[inner]
        whole = len(inner) == len(phi)
        H = e.curvature if whole else e.curvature[np.ix_(inner, inner)]
        D = e.information.copy() if whole else e.information[np.ix_(inner, inner)]
        pad(objective, D)
        if objective.gradient_norm(phi, e.gradient) <= self.escape_at:
            left = _leave_saddle(objective, state, inner, -H, D)
            if left is not None:
                return left

        def look(trial: np.ndarray) -> tuple[Evaluation, float]:
            new = objective.evaluate(trial, Order.CURVATURE)
            return new, new.value if _finite(new) else np.nan

        new, trial, lam = damped_step(
            e.value, lam, ROUNDING * (1 + abs(e.value)),
            proposals(objective, phi, inner, g, -H, D),
            lambda trial: objective.evaluate(trial, Order.VALUE).value, look,
            lambda trial, new: _finite(new) and _norm(objective, trial, new) < 0.5 * _norm(objective, phi, e),
            LEAST,
        )  # fmt: skip
        if trial is not None:
            return _end(objective, State(trial, new, lam), float(np.abs(trial - phi).max()))
        return _end(objective, State(phi, e, lam), 0.0, stuck=True)


def pad(objective: Target, D: np.ndarray) -> None:
    """Make D definite in place where the data say nothing."""
    diagonal = D.reshape(-1)[:: len(D) + 1]
    diagonal += RIDGE * objective.weight_sum + objective.diagonal_share * diagonal


def proposals(
    objective: Target, phi: np.ndarray, inner: np.ndarray, g: np.ndarray, A: np.ndarray, D: np.ndarray
) -> Callable[[float], tuple[np.ndarray | None, float] | None]:
    """What `damped_step` asks for: by lam the step p of the coordinates `inner`, (A + lam D) p = g, cut at
    the box, and its gain g'p - p'A p / 2; g (j,), A and D (j, j) of these coordinates alone."""
    box = objective.coordinates.lower[inner], objective.coordinates.upper[inner]

    def propose(lam: float) -> tuple[np.ndarray | None, float] | None:
        p = solve_definite(lam * D + A, g)
        if p is None:
            return None
        target = np.clip(phi[inner] + p, *box)
        p = target - phi[inner]
        if not np.any(p):
            return None, 0.0
        predicted = float(g @ p - 0.5 * p @ (A @ p))
        trial = phi.copy()
        trial[inner] = target
        return (trial, predicted) if predicted > 0 else None

    return propose


def is_definite(M: np.ndarray) -> bool:
    """Whether a symmetric M is positive definite."""
    try:
        np.linalg.cholesky(M)
    except np.linalg.LinAlgError:
        return False
    return True


def solve_definite(M: np.ndarray, g: np.ndarray) -> np.ndarray | None:
    """M^-1 g, or None where M is not positive definite."""
    try:
        return np.linalg.solve(M, g) if is_definite(M) else None
    except np.linalg.LinAlgError:
        return None


def _finite(e: Evaluation) -> bool:
    assert e.gradient is not None and e.curvature is not None
    return bool(np.isfinite(e.value) and np.isfinite(e.gradient).all() and np.isfinite(e.curvature).all())


def _norm(objective: Target, phi: np.ndarray, e: Evaluation) -> float:
    assert e.gradient is not None
    return objective.gradient_norm(phi, e.gradient)


def _end(objective: Target, state: State, step: float, stuck: bool = False) -> tuple[State, Info]:
    norm = _norm(objective, state.phi, state.evaluation)
    return state, Info(state.evaluation.value, norm, step, stuck)


def _leave_saddle(
    objective: Target, state: State, inner: np.ndarray, A: np.ndarray, D: np.ndarray
) -> tuple[State, Info] | None:
    """A better point along the direction of largest upward curvature relative to D, if there is one."""
    if is_definite(A + SADDLE * D):
        return None
    try:
        root = np.linalg.cholesky(D)
    except np.linalg.LinAlgError:  # rows fewer than coefficients at the variance bound: no direction to trust
        return None
    half = np.linalg.solve(root, A)
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    if values[0] >= -SADDLE:
        return None
    direction = np.linalg.solve(root.T, vectors[:, 0])
    c = objective.coordinates
    for length in (1.0, 0.1, 0.01):
        for sign in (1.0, -1.0):
            trial = state.phi.copy()
            trial[inner] += sign * length * np.sqrt(objective.weight_sum) * direction
            trial = np.clip(trial, c.lower, c.upper)
            new = objective.evaluate(trial, Order.CURVATURE)
            if _finite(new) and new.value > state.evaluation.value + ROUNDING * (1 + abs(new.value)):
                state = State(trial, new, 0.1)
                step = float(np.abs(trial - state.phi).max())
                return _end(objective, state, step)
    return None

"""The loop that owns tolerance, limit and callbacks. Solvers are pure steps: (state, info) from a state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..engine import Evaluation, Order

# A gain below this share of |log-likelihood| + 1 drowns in the rounding of the sum over rows.
ROUNDING = 1e-14
# What stands beside the diagonal of EM's information D. Of the weight: an expert without mass has no
# information of its own. Of the diagonal: an expert on fewer rows than coefficients; and where scores are
# curved.
RIDGE, ROUNDOFF, CURVED = 1e-9, 1e-10, 1e-2
LONG = 200  # iterations after which a run that has not arrived is asked whether it can
GAIN = 1e-4  # log-likelihood that may be left to gain along a ray without an end
# Gradient per weight at which a solver that finds no better point has arrived, to rounding.
ARRIVED = 1e-5


class Cancelled(Exception):
    """Raised inside a start when the whole fit was stopped."""


@dataclass(frozen=True)
class State:
    """What the next step needs. `memory` belongs to the solver."""

    phi: np.ndarray
    evaluation: Evaluation
    memory: Any = None


@dataclass(frozen=True)
class Info:
    """What a person needs: log-likelihood, projected gradient per weight, step length, and whether no step
    was left."""

    value: float
    gradient_norm: float
    step: float
    stuck: bool = False


class Target(Protocol):
    """What Newton maximises: a log-likelihood in coordinates that lie in a box."""

    @property
    def coordinates(self) -> Any: ...  # a box: lower, upper, size

    @cached_property
    def weight_sum(self) -> float: ...

    @property
    def diagonal_share(self) -> float: ...  # of D's diagonal, beside D in the shape of the trust region

    def evaluate(self, phi: np.ndarray, order: Order) -> Evaluation: ...

    def inward(self, phi: np.ndarray, gradient: np.ndarray) -> np.ndarray: ...

    def gradient_norm(self, phi: np.ndarray, gradient: np.ndarray) -> float: ...


class Solver(Protocol):
    """A solver is a name, two pure functions, and how many iterations one step of it is."""

    @property
    def name(self) -> str: ...

    @property
    def max_iter(self) -> int: ...

    @property
    def inner(self) -> int: ...

    def init(self, objective: Any, phi: np.ndarray) -> State: ...

    def step(self, objective: Any, state: State) -> tuple[State, Info]: ...


@dataclass(frozen=True)
class Outcome:
    """Where a solver stopped: `converged`, or at the limit, or stuck short of either."""

    phi: np.ndarray
    evaluation: Evaluation
    iterations: int
    converged: bool
    stuck: bool
    trace: tuple[Info, ...]

    @property
    def value(self) -> float:
        return self.evaluation.value


def run(
    solver: Solver,
    objective: Target,
    phi: np.ndarray,
    *,
    tol: float,
    max_iter: int | None = None,
    cancel: threading.Event | None = None,
    callback: Callable[[Info], None] | None = None,
    hopeless: Callable[[np.ndarray], bool] | None = None,
    endless: Callable[[np.ndarray], bool] | None = None,
) -> Outcome:
    """Iterate `solver` from `phi` until the projected gradient per weight is at most `tol`, or every `LONG`
    iterations phi is found `hopeless`, or `endless` where no more than `GAIN` is left: towards an optimum at
    infinity EM crawls for as long as it may, and what is left after t iterations falls as 1 / t."""
    limit = solver.max_iter if max_iter is None else max_iter
    asked = max(LONG // solver.inner, 1)
    state = solver.init(objective, phi)
    trace: list[Info] = []
    gradient = state.evaluation.gradient
    assert gradient is not None
    converged, stuck = objective.coordinates.size == 0, False
    while not (converged or stuck) and len(trace) < limit:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        state, info = solver.step(objective, state)
        trace.append(info)
        if callback is not None:
            callback(info)
        stuck = info.stuck
        converged = info.gradient_norm <= (max(tol, ARRIVED) if stuck else tol)
        if len(trace) % asked:
            continue
        if hopeless is not None and hopeless(state.phi):
            break
        if endless is not None and not converged:
            left = (info.value - trace[-asked].value) * len(trace) / asked
            if left <= GAIN and endless(state.phi):
                break
    return Outcome(state.phi, state.evaluation, len(trace), converged, stuck, tuple(trace))

"""L-BFGS with bounds, for more parameters than a Hessian is worth: gradient passes only.

One step is a run of SciPy's L-BFGS-B of at most `inner` iterations; the loop restarts it from where it
stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engine import Order
from .base import Info, State
from .coordinates import Objective


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS in the scaled box."""

    name: str = "lbfgs"
    max_iter: int = 200
    inner: int = 50
    memory: int = 20

    def init(self, objective: Objective, phi: np.ndarray) -> State:
        return State(phi, objective.evaluate(phi, Order.GRADIENT))

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        from scipy.optimize import minimize

        c, total = objective.coordinates, objective.weight_sum
        best = state

        def negative(phi: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal best
            e = objective.evaluate(phi, Order.GRADIENT)
            assert e.gradient is not None
            if e.value > best.evaluation.value:
                best = State(phi.copy(), e)
            return -e.value / total, -e.gradient / total

        minimize(
            negative,
            state.phi,
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([c.lower, c.upper]),
            options={"maxiter": self.inner, "maxcor": self.memory, "ftol": 0.0, "gtol": 1e-12},
        )
        assert best.evaluation.gradient is not None
        norm = objective.gradient_norm(best.phi, best.evaluation.gradient)
        step = float(np.abs(best.phi - state.phi).max(initial=0.0))
        return best, Info(best.evaluation.value, norm, step, stuck=best is state)

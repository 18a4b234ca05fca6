"""Multinomial experts: minorisation by a quadratic against EM and Newton's method, from the same starts.

The batch MM algorithm of arXiv 2602.07997 as its abstract describes it, an explicit quadratic minoriser with
closed-form steps. With responsibilities r at the old point,

    log sum_e exp(v_e + l_e) >= sum_e r_e (v_e + l_e) + const,

and a log-sum-exp of m scores has a Hessian of at most B_m = (I - 11'/m) / 2 (Boehning, 1992), so

    L(theta + s) >= L(theta) + g's - s'Ms / 2,    M = diag(B_k x Z'WZ, B_K x X'WX for each expert),

which g / M maximises: every step raises L. M is that of responsibilities of one, computed and factored once;
with those of each step M would be smaller, by the experts' shares, and steps dearer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..design import ArrayDesign
from ..engine import NativeEngine, Order
from ..gates import SoftmaxGate
from ..model import Model
from ..rows import Rows, read_rows
from ..solvers import EM, Coordinates, Info, Newton, Objective, Solver, State, run
from ..tables import Table
from ..threads import one_blas_thread
from .designs import simulate

CASES = ((2_000, 2, 2), (2_000, 4, 3), (20_000, 4, 2), (20_000, 8, 3))  # rows, columns, experts
CLASSES = 3
TOL, LIMIT = 1e-8, 200_000


def bound(model: Model, rows: Rows) -> np.ndarray:
    """M, in the order of theta: gate rows, then the predictors of each expert."""
    w = np.ones(len(rows.x)) if rows.w is None else rows.w
    one = np.ones((len(rows.x), 1))
    x, z = np.hstack([one, rows.x]), np.hstack([one, rows.x if rows.z is None else rows.z])
    k, m = model.k, model.m
    M = np.zeros((model.size, model.size))
    gate = model.gate_size
    M[:gate, :gate] = np.kron(_half(k - 1, k), z.T @ (w[:, None] * z))
    expert = np.kron(_half(m, m + 1), x.T @ (w[:, None] * x))
    for e in range(k):
        at = slice(gate + e * len(expert), gate + (e + 1) * len(expert))
        M[at, at] = expert
    return M


def _half(free: int, scores: int) -> np.ndarray:
    """(I - 11'/m) / 2 of the scores that are not held at zero."""
    return 0.5 * (np.eye(free) - 1.0 / scores)


@dataclass(frozen=True)
class MM:
    """Steps of M^-1 g; M as `scipy.linalg.cho_factor` has it."""

    factor: Any
    name: str = "mm"
    max_iter: int = LIMIT
    inner: int = 1

    def init(self, objective: Objective, phi: np.ndarray) -> State:
        return State(phi, objective.evaluate(phi, Order.GRADIENT))

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        g = state.evaluation.gradient
        assert g is not None
        step = cho_solve(self.factor, g)
        phi = state.phi + step
        e = objective.evaluate(phi, Order.GRADIENT)
        assert e.gradient is not None
        norm = objective.gradient_norm(phi, e.gradient)
        return State(phi, e), Info(float(e.value), norm, float(np.abs(step).max()))


def problem(n: int, d: int, k: int) -> tuple[Objective, np.ndarray, np.ndarray]:
    """The log-likelihood of a simulated data set, a start far from its maximum, and M."""
    x, y, law = simulate("multinomial", n, d, k, CLASSES)
    rows, _ = read_rows(ArrayDesign(tuple(f"x{j}" for j in range(d))), x, None, y, None, law)
    model = Model(SoftmaxGate(), law, k, rows.q, rows.p)
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
    start = 0.1 * np.random.default_rng(0).standard_normal(c.size)
    return Objective(NativeEngine(model, rows, 1), c), start, bound(model, rows)


def compare(n: int, d: int, k: int) -> dict[str, Any]:
    """Steps, seconds and ends of each method from one start, to a gradient of 1e-8 a row or to where rounding
    leaves no better point.

    The start is where twenty steps of EM lead, so that all of them climb the same hill.
    """
    objective, start, M = problem(n, d, k)
    solvers: dict[str, Solver] = {
        "newton": Newton(), "em": EM(), "plain_em": EM(accelerate=False), "mm": MM(cho_factor(M)),
    }  # fmt: skip
    with one_blas_thread():
        start = run(solvers["plain_em"], objective, start, tol=0.0, max_iter=20).phi
        out: dict[str, Any] = {"n": n, "d": d, "k": k, "parameters": len(start)}
        ends = []
        for name, solver in solvers.items():
            begin = time.perf_counter()
            ends.append(run(solver, objective, start, tol=TOL, max_iter=LIMIT))
            out[f"{name}_steps"], out[f"{name}_s"] = ends[-1].iterations, time.perf_counter() - begin
    out["apart"] = max(end.value for end in ends) - min(end.value for end in ends)
    out["gradient"] = max(end.trace[-1].gradient_norm for end in ends)
    return out


def report() -> str:
    """Text of the benchmark."""
    found = [compare(*case) for case in CASES]
    table = Table({name: [row[name] for row in found] for name in found[0]})
    return (
        f"multinomial, {CLASSES} classes, one thread, to a gradient of {TOL:g} a row\n\n{table.to_text(3)}\n"
    )

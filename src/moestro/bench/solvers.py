"""Where an exact Hessian stops paying: Newton against L-BFGS from the same starts, by number of
parameters."""

from __future__ import annotations

import time

import numpy as np

from ..design import ArrayDesign
from ..engine import NativeEngine
from ..gates import SoftmaxGate
from ..model import Model
from ..rows import read_rows
from ..solvers import LBFGS, Coordinates, Newton, Objective, run
from ..tables import Table
from ..threads import one_blas_thread, thread_count
from .designs import simulate

SIZES = ((10, 2), (20, 4), (40, 4), (60, 4), (100, 4))
N = 20_000


def report() -> str:
    """Text of the benchmark: Gaussian experts, seconds from a disturbed estimate to a gradient of 1e-6 per
    row."""
    columns: dict[str, list] = {
        c: [] for c in ("d", "k", "parameters", "newton_s", "lbfgs_s", "newton_ll", "lbfgs_ll")
    }
    for d, k in SIZES:
        x, y, law = simulate("gaussian", N, d, k)
        rows, _ = read_rows(ArrayDesign(tuple(f"x{j}" for j in range(d))), x, None, y, None, law)
        model = Model(SoftmaxGate(), law, k, rows.q, rows.p)
        c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        objective = Objective(NativeEngine(model, rows, thread_count(None)), c)
        rng = np.random.default_rng(0)
        start = 0.1 * rng.standard_normal(c.size)
        with one_blas_thread():
            start = run(LBFGS(inner=30), objective, start, tol=1e-3, max_iter=1).phi
            seconds, values = [], []
            for solver in (Newton(), LBFGS()):
                begin = time.perf_counter()
                outcome = run(solver, objective, start, tol=1e-6, max_iter=200)
                seconds.append(time.perf_counter() - begin)
                values.append(outcome.value)
        for column, value in zip(columns, [d, k, c.size, *seconds, *values], strict=True):
            columns[column].append(value)
    return f"from the same start, n={N}, Gaussian, all cores\n\n{Table(columns).to_text(3)}\n"

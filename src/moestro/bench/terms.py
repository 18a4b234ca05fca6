"""What a family written in NumPy costs beside its compiled twin, a pass and a whole fit, and what a pass of
each gate written in NumPy costs beside one of the softmax gate; runs alternated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..engine import Order, make_engine
from ..experts import Gaussian, Poisson
from ..gates import KINDS, SoftmaxGate
from ..model import Model
from ..problems import fit_mixture
from ..rows import Rows
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import rows_of, simulate

N, K, D = 10_000, 4, 10


@dataclass(frozen=True)
class PoissonInNumPy(Poisson):
    """A family of one's own: its terms come from outside the core."""


@dataclass(frozen=True)
class GaussianInNumPy(Gaussian):
    """A family of one's own: its terms come from outside the core."""


def report() -> str:
    """Text of the benchmark: medians of seconds, and their ratio."""
    out: dict[str, list] = {c: [] for c in ("family", "what", "compiled_s", "numpy_s", "ratio")}
    threads = thread_count(None)
    for name, written in (("poisson", PoissonInNumPy()), ("gaussian", GaussianInNumPy())):
        x, y, law = simulate(name, N, D, K)
        rows = rows_of(x, y, law)
        models = [Model(SoftmaxGate(), family, K, rows.q, rows.p) for family in (law, written)]
        for what, (task, runs) in TASKS.items():
            a, b = alternated([task(model, rows, threads) for model in models], runs)
            for column, value in zip(out.values(), (name, what, a, b, b / a), strict=True):
                column.append(value)
    head = f"a family in NumPy beside its compiled twin, n={N}, k={K}, d={D}, all cores"
    return f"{head}\n\n{Table(out).to_text(4)}\n\n{_gates(threads)}"


def _gates(threads: int) -> str:
    """Passes of the gates whose scores come from NumPy, Gaussian experts, on the same rows."""
    x, y, law = simulate("gaussian", N, D, K)
    rows = rows_of(x, y, law)
    out: dict[str, list] = {c: [] for c in ("gate", "what", "softmax_s", "numpy_s", "ratio")}
    for kind in KINDS:
        if kind.name in ("softmax", "top-k"):
            continue
        models = [Model(gate, law, K, rows.q, rows.p) for gate in (SoftmaxGate(), kind())]
        for what, (task, runs) in PASSES.items():
            a, b = alternated([task(model, rows, threads) for model in models], runs)
            for column, value in zip(out.values(), (kind.name, what, a, b, b / a), strict=True):
                column.append(value)
    head = "a gate in NumPy beside the softmax gate, the same rows, Gaussian experts"
    return f"{head}\n\n{Table(out).to_text(4)}\n"


def _pass(order: Order) -> Callable[[Model, Rows, int], Callable[[], object]]:
    def task(model: Model, rows: Rows, threads: int) -> Callable[[], object]:
        engine = make_engine(model, rows, threads=threads)
        theta = 0.1 * np.random.default_rng(0).standard_normal(model.size)
        return lambda: engine.evaluate(theta, order)

    return task


def _fit(model: Model, rows: Rows, threads: int) -> Callable[[], object]:
    return lambda: fit_mixture(model, rows, Options(seed=0, threads=threads))


PASSES = {
    "pass with gradient": (_pass(Order.GRADIENT), 15),
    "pass with Hessian": (_pass(Order.CURVATURE), 15),
}
TASKS = {**PASSES, "whole fit": (_fit, 3)}


def alternated(tasks: list[Callable[[], object]], runs: int) -> list[float]:
    """Median seconds of each task, run in turn: what slows the machine slows them alike."""
    seconds = np.empty((runs, len(tasks)))
    for run in range(runs):
        for i, task in enumerate(tasks):
            start = time.perf_counter()
            task()
            seconds[run, i] = time.perf_counter() - start
    return np.median(seconds, axis=0).tolist()

"""One sum over the rows on a device of torch beside the compiled engine, and a whole fit by both.

The memory of the device is measured beside it, by copies of a large tensor: a pass has to read the rows,
p + 2 numbers each, so GB_s is those bytes over its time, and of_copy that over the rate of the copy. Passes
of both engines take turns, so that a busy machine is as busy for one as for the other; ratio, the compiled
engine's time over torch's, is the median of theirs.
"""

from __future__ import annotations

import time

import numpy as np

from ..engine import Engine, NativeEngine, Order, TorchEngine
from ..engine.device import device_of
from ..gates import SoftmaxGate
from ..model import Model
from ..problems import fit_mixture
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import median_seconds, rows_of, simulate

K, D = 4, 10
FAMILIES = ("gaussian", "poisson", "multinomial")
PASSES = {
    "value": Order.VALUE,
    "gradient": Order.GRADIENT,
    "EM": Order.INFORMATION,
    "Hessian": Order.CURVATURE,
}
REPEATS = 5
COPIED = 2**27  # bytes of the tensor that is copied


def report(n: int, device: str = "cpu", only: str | None = None) -> str:
    """Text of the benchmark on `n` rows, of the family `only` or of all; on torch's CPU, on as many threads
    as the compiled engine."""
    name, threads = f"torch:{device}", thread_count(None)
    device_of(name)  # refused before anything is drawn
    import torch

    torch.set_num_threads(threads)
    passes: dict[str, list] = {
        c: [] for c in ("family", "pass", "native_s", "torch_s", "ratio", "GB_s", "of_copy")
    }
    fits: dict[str, list] = {
        c: [] for c in ("family", "there_s", "native_s", "torch_s", "ratio", "difference")
    }
    for family in FAMILIES:
        if only not in (None, family):
            continue
        x, y, law = simulate(family, n, D, K)
        rows = rows_of(x, y, law)
        model = Model(SoftmaxGate(), law, K, rows.q, rows.p)
        theta = 0.3 * np.random.default_rng(1).standard_normal(model.size)
        native = NativeEngine(model, rows, threads)
        start = time.perf_counter()
        engine = TorchEngine(model, rows, name)
        there, rate = time.perf_counter() - start, bytes_per_second(engine)
        for label, order in PASSES.items():
            engine.evaluate(theta, order)  # the first one allocates
            rounds = [[seconds_of(e, theta, order) for e in (native, engine)] for _ in range(REPEATS)]
            here, seconds = np.median(rounds, axis=0)
            ratio = float(np.median([a / b for a, b in rounds]))
            read = 8 * n * (rows.p + 2) / seconds
            _add(passes, family, label, here, seconds, ratio, read / 1e9, read / rate)
        del engine
        took, value = [], []
        for which in ("native", name):
            start = time.perf_counter()
            fit = fit_mixture(model, rows, Options(seed=0, threads=threads, engine=which))
            took.append(time.perf_counter() - start)
            value.append(fit.log_likelihood)
        _add(fits, family, there, *took, took[0] / took[1], value[1] / value[0] - 1)
    return "\n".join(
        [
            f"softmax gate, k={K}, d={D}, n={n}, float64: compiled, and {name}; threads: {threads}",
            "",
            Table(passes).to_text(4),
            "",
            "whole fits, default search; there_s: the rows' way to the device; difference: relative, of",
            "log-likelihoods",
            "",
            Table(fits).to_text(4),
        ]
    )


def seconds_of(engine: Engine, theta: np.ndarray, order: Order) -> float:
    """Of one pass."""
    start = time.perf_counter()
    engine.evaluate(theta, order)
    return time.perf_counter() - start


def bytes_per_second(engine: TorchEngine) -> float:
    """Bytes that the engine's device reads and writes a second when it copies."""
    import torch

    a = torch.ones(COPIED // 8, dtype=torch.float64, device=engine.device)
    b = torch.empty_like(a)

    def copy() -> float:
        b.copy_(a)
        return float(b[-1])  # waits for it

    copy()
    return 2 * COPIED / median_seconds(copy, REPEATS)


def _add(columns: dict[str, list], *values: object) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)

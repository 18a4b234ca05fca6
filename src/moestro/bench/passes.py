"""One sum over the rows against the floor of the machine.

Floor of a row, k experts, m logits each, p features: a gradient pass multiplies every logit by p features and
back, 2 T p fused multiply-adds with T = (k - 1) + k m logits, and needs T exponentials (the reference classes
need none) and one logarithm, counted as an exponential. A Hessian pass adds T (T + 1) / 2 weights times p (p
+ 1) / 2 products of features.
"""

from __future__ import annotations

import numpy as np

from .. import _core
from ..engine import ArrayEngine, NativeEngine, Order
from ..gates import SoftmaxGate
from ..model import Model
from ..tables import Table
from .designs import median_seconds, rows_of, simulate

K, CLASSES, D = 4, 3, 10
REPEATS = 9


def report(n: int) -> str:
    """Text of the benchmark on `n` rows."""
    x, y, family = simulate("multinomial", n, D, K, CLASSES)
    rows = rows_of(x, y, family)
    model = Model(SoftmaxGate(), family, K, rows.q, rows.p)
    theta = 0.3 * np.random.default_rng(1).standard_normal(model.size)
    T, p = model.n_gate + K * model.m, rows.p
    orders = {
        "value": Order.VALUE,
        "gradient": Order.GRADIENT,
        "EM": Order.INFORMATION,
        "Hessian": Order.CURVATURE,
    }
    small = rows.take(np.arange(min(n, 20_000)))
    reference = {
        name: median_seconds(lambda o=order: ArrayEngine(model, small).evaluate(theta, o), 3) / small.n
        for name, order in orders.items()
    }
    columns: dict[str, list] = {
        c: []
        for c in ("set", "pass", "threads", "ns_row", "floor_ns", "of_floor", "of_fma", "vs_array", "vs_1")
    }
    lines = [f"softmax gate, multinomial experts, k={K}, K={CLASSES}, d={D}, n={n}, float64", ""]
    for isa in _core.instruction_sets():
        fma, exp = _core.fma_per_second(isa, 0.3), _core.exp_per_second(isa, 0.3)
        lines.append(f"{isa}: {fma / 1e9:.1f} G fused multiply-adds/s, {exp / 1e9:.2f} G exp/s on one thread")
        for name, order in orders.items():
            multiplies = float(T * p * (1 if order == Order.VALUE else 2))
            if order == Order.INFORMATION:
                multiplies += ((K - 1) * K // 2 + K * model.m * (model.m + 1) // 2) * (p * (p + 1) // 2)
            if order == Order.CURVATURE:
                multiplies += (T * (T + 1) // 2) * (p * (p + 1) // 2)
            one = 0.0
            for threads in (1, 2):
                engine = NativeEngine(model, rows, threads, isa)
                rounds = [_beside_the_floor(engine, theta, order, isa) for _ in range(REPEATS)]
                seconds = float(np.median([r[0] for r in rounds])) / n
                floors = [(multiplies / fma + (T + 1) / exp) / threads for _, fma, exp in rounds]
                bounds = [multiplies / fma / threads for _, fma, _ in rounds]
                times = [r[0] / n for r in rounds]
                one = one or seconds
                values = (
                    isa,
                    name,
                    threads,
                    seconds * 1e9,
                    float(np.median(floors)) * 1e9,
                    float(np.median(np.divide(floors, times))),
                    float(np.median(np.divide(bounds, times))),
                    reference[name] / seconds,
                    one / seconds,
                )
                for column, value in zip(columns, values, strict=True):
                    columns[column].append(value)
    lines += ["", Table(columns).to_text(2), ""]
    lines.append(
        "of_floor: floor over time. of_fma: multiply-adds alone over their peak. "
        "Medians of ratios taken side by"
    )
    lines.append("side with the floor. vs_array: one thread of NumPy. vs_1: one thread of the same.")
    return "\n".join(lines)


def _beside_the_floor(
    engine: NativeEngine, theta: np.ndarray, order: Order, isa: str
) -> tuple[float, float, float]:
    """Seconds of one pass, and the rates of multiply-adds and exponentials measured right beside it."""
    fma, exp = _core.fma_per_second(isa, 0.02), _core.exp_per_second(isa, 0.02)
    return median_seconds(lambda: engine.evaluate(theta, order), 3), fma, exp

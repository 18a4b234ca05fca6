"""The minoriser of multinomial mixtures: a bound, steps that only rise, the maximum of Newton's method."""

import numpy as np
import pytest
from scipy.linalg import cho_factor

from moestro.bench.mm import MM, compare, problem
from moestro.engine import Order
from moestro.solvers import Newton, run


def test_its_matrix_bounds_what_is_lost_to_second_order():
    """M - I is positive semi-definite, with I the information of the complete data: no step of EM's curvature
    is below the log-likelihood's, and M's is below EM's."""
    objective, start, M = problem(400, 2, 3)
    for scale in (1.0, 10.0):
        e = objective.evaluate(scale * start, Order.CURVATURE)
        assert e.information is not None and e.curvature is not None
        for own in (e.information, -e.curvature):
            assert np.linalg.eigvalsh(M - own).min() > 0


def test_every_step_rises_as_the_quadratic_says():
    objective, start, M = problem(400, 2, 2)
    factor = cho_factor(M)
    e = objective.evaluate(start, Order.GRADIENT)
    at, value = start, float(e.value)
    for _ in range(200):
        assert e.gradient is not None
        step = np.linalg.solve(M, e.gradient)
        at = at + step
        e = objective.evaluate(at, Order.GRADIENT)
        assert float(e.value) - value >= 0.5 * step @ M @ step - 1e-10 * abs(value)
        value = float(e.value)
    assert run(MM(factor), objective, start, tol=0.0, max_iter=200).value == pytest.approx(value, abs=1e-9)


def test_it_ends_where_newton_does():
    objective, start, M = problem(400, 1, 2)
    begin = run(MM(cho_factor(M)), objective, start, tol=0.0, max_iter=500).phi
    slow = run(MM(cho_factor(M)), objective, begin, tol=1e-6, max_iter=200_000)
    fast = run(Newton(), objective, begin, tol=1e-9, max_iter=200)
    assert slow.converged
    assert slow.iterations > 10 * fast.iterations
    assert slow.value == pytest.approx(fast.value, abs=1e-4)


def test_the_benchmark_compares_four_methods():
    row = compare(1000, 2, 2)
    assert {f"{name}_s" for name in ("newton", "em", "plain_em", "mm")} < set(row)
    assert row["apart"] < 1e-6

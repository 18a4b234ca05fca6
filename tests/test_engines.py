"""Derivatives against central differences, and the compiled twin against the readable one."""

import numpy as np
import pytest

from conftest import COMPILED, ENGINES, differences, problem, two_lines
from moestro import LocatedMoERegressor, MoERegressor, _core
from moestro.engine import ArrayEngine, NativeEngine, Order, make_engine
from moestro.errors import DataError
from moestro.solvers import Coordinates, Objective

FIELDS = ("value", "mass", "gradient", "information", "curvature")


def close(a, b, tolerance):
    """Largest difference relative to the largest entry."""
    if a is None or b is None:
        return a is None and b is None
    a, b = np.asarray(a), np.asarray(b)
    return a.size == 0 or np.abs(a - b).max() <= tolerance * max(np.abs(a).max(), 1e-300)


@pytest.mark.parametrize("family", COMPILED)
@pytest.mark.parametrize(
    ("k", "d", "e"), [(1, 2, None), (2, 1, None), (3, 2, None), (3, 2, 1), (3, 0, 2), (2, 2, 0)]
)
@pytest.mark.parametrize("weights", [False, True])
def test_derivatives_against_central_differences(family, k, d, e, weights):
    model, rows, theta = problem(family, k, d, e, n=40, weights=weights)
    objective = Objective(ArrayEngine(model, rows), Coordinates.of(model, rows.x_scaling, rows.z_scaling))
    phi = objective.coordinates.collapse(theta)
    at = objective.evaluate(phi, Order.CURVATURE)
    numeric, hessian = differences(objective, phi)
    # Central differences: truncation h^2, rounding 1e-16 / h, relative to the largest entry.
    assert close(at.gradient, numeric, 1e-7)
    assert close(at.curvature, hessian, 1e-7)


@pytest.mark.parametrize("family", COMPILED)
def test_information_is_the_curvature_of_q_on_average(family):
    """Complete-data information is minus the expected curvature of Q: with responsibilities fixed and y
    drawn."""
    model, rows, theta = problem(family, 2, 2, None, n=400, weights=False, seed=5)
    engine = ArrayEngine(model, rows)
    r = engine.rowwise(theta).responsibilities
    info = engine.evaluate(theta, Order.INFORMATION, r).information
    assert np.allclose(info, info.T)
    assert np.linalg.eigvalsh(info).min() >= -1e-9 * np.abs(info).max()
    if family in ("multinomial", "poisson"):  # canonical links: expected and observed agree, also for Q
        h = 1e-5
        steps = h * np.eye(model.size)
        q = np.array(
            [
                (
                    engine.evaluate(theta + s, Order.GRADIENT, r).gradient
                    - engine.evaluate(theta - s, Order.GRADIENT, r).gradient
                )
                / (2 * h)
                for s in steps
            ]
        )
        assert close(info, -q, 1e-7)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [0, 1, 9])
@pytest.mark.parametrize("e", [None, 0, 3])
def test_native_equals_array(family, k, d, e):
    for n, weights, block in ((1, True, 7), (255, False, 64), (257, True, 1000)):
        model, rows, theta = problem(family, k, d, e, n=n, weights=weights, seed=n)
        reference = ArrayEngine(model, rows, block=block)
        r = np.random.default_rng(1).dirichlet(np.ones(k), n)
        for isa in _core.instruction_sets():
            engine = NativeEngine(model, rows, 2, isa)
            for order in Order:
                a, b = reference.evaluate(theta, order), engine.evaluate(theta, order)
                assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS), (isa, order, n)
            a, b = (m.evaluate(theta, Order.INFORMATION, r) for m in (reference, engine))
            assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS), (isa, n)
            a, b = (m.rowwise(theta, scores=True) for m in (reference, engine))
            assert close(a.log_density, b.log_density, 1e-10)
            assert close(a.responsibilities, b.responsibilities, 1e-10)
            assert close(a.scores, b.scores, 1e-10)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
def test_many_columns_cross_the_strips_of_feature_products(family):
    model, rows, theta = problem(family, 2, 30, None, n=300)
    a, b = (m.evaluate(theta, Order.CURVATURE) for m in (ArrayEngine(model, rows), NativeEngine(model, rows)))
    assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
def test_any_layout_of_the_columns(family):
    model, rows, theta = problem(family, 2, 5, None, n=300)
    from dataclasses import replace

    a = NativeEngine(model, rows).evaluate(theta, Order.CURVATURE)
    fortran = replace(rows, x=np.asfortranarray(rows.x))
    wide = np.zeros((300, 12))
    wide[:, ::2][:, :5] = rows.x
    strided = replace(rows, x=wide[:, ::2][:, :5])
    for other in (fortran, strided):
        b = NativeEngine(model, other).evaluate(theta, Order.CURVATURE)
        assert all(np.array_equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
def test_bitwise_equal_for_any_number_of_threads(family):
    model, rows, theta = problem(family, 3, 3, None, n=30_000)
    first = NativeEngine(model, rows, 1).evaluate(theta, Order.CURVATURE)
    for threads in (2, 3, 8):
        other = NativeEngine(model, rows, threads).evaluate(theta, Order.CURVATURE)
        assert all(np.array_equal(getattr(first, f), getattr(other, f)) for f in FIELDS)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
def test_instruction_sets_agree(family):
    model, rows, theta = problem(family, 3, 4, 2, n=5000)
    first = NativeEngine(model, rows, 1, "baseline").evaluate(theta, Order.CURVATURE)
    for isa in _core.instruction_sets():
        other = NativeEngine(model, rows, 1, isa).evaluate(theta, Order.CURVATURE)
        assert all(close(getattr(first, f), getattr(other, f), 1e-12) for f in FIELDS), isa


FITS = {
    "gaussian": lambda: MoERegressor(2, random_state=0, n_starts=2),
    "poisson by EM": lambda: MoERegressor(2, family="poisson", solver="em", random_state=0, n_starts=2),
    "adaptive": lambda: MoERegressor(2, penalty="adaptive_l1", family="poisson", random_state=0),
    "located": lambda: LocatedMoERegressor(2, random_state=0, n_starts=2),
}


@pytest.mark.parametrize("name", FITS)
def test_fits_on_every_instruction_set_agree(name, monkeypatch):
    """Where a maximum is, sums that differ in their last digits do not matter."""
    x, y = two_lines(200)
    y = np.round(np.abs(y)) if "gaussian" not in name and name != "located" else y
    values = []
    for isa in _core.instruction_sets():
        monkeypatch.setenv("MOESTRO_ISA", isa)
        values.append(FITS[name]().fit(x, y).log_likelihood_)
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_an_instruction_set_can_be_forced(monkeypatch):
    model, rows, theta = problem("gaussian", 2)
    monkeypatch.setenv("MOESTRO_ISA", "baseline")
    assert NativeEngine(model, rows).isa == "baseline"
    monkeypatch.setenv("MOESTRO_ISA", "abacus")
    with pytest.raises(ValueError, match=r"abacus.*baseline"):
        NativeEngine(model, rows).evaluate(theta, Order.VALUE)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
@pytest.mark.parametrize("size", [1.0, 30.0, 400.0, 5000.0])
def test_extreme_parameters_stay_finite_and_equal(family, size):
    model, rows, theta = problem(family, 3, 2, None, n=100)
    theta = theta * size
    if family == "gaussian":
        model.nuisances(theta)[:] = np.clip(model.nuisances(theta), -18, 9)
    a, b = (m.evaluate(theta, Order.CURVATURE) for m in (ArrayEngine(model, rows), NativeEngine(model, rows)))
    for f in FIELDS:
        assert np.isfinite(getattr(b, f)).all()
        assert close(getattr(a, f), getattr(b, f), 1e-9)  # exponents near 1e4 carry 1e-12 of their argument


@pytest.mark.parametrize("family", COMPILED)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_parameter_that_is_no_number_gives_none(family, engine):
    model, rows, theta = problem(family, 3)
    for place in (0, model.size - 1):
        at = theta.copy()
        at[place] = np.nan
        with np.errstate(invalid="ignore"):
            sums, rowwise = engine(model, rows).evaluate(at, Order.VALUE), engine(model, rows).rowwise(at)
        assert np.isnan(sums.value)
        assert np.isnan(rowwise.log_density).any()


def test_unknown_engines_are_refused():
    model, rows, _ = problem("gaussian", 2)
    with pytest.raises(DataError, match="auto, native, array"):
        make_engine(model, rows, "warp")

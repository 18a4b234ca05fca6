"""What holds for the sums of every engine and the steps of every solver; the laws of fits are in
test_laws.py."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import COMPILED, ENGINES, family_of, problem
from moestro.design import ArrayDesign
from moestro.engine import NativeEngine, Order
from moestro.fitted import FittedModel
from moestro.gates import SoftmaxGate
from moestro.measure import from_user, measure_of, theta_of, to_user, user_jacobian
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.rows import read_rows
from moestro.search import Options
from moestro.solvers import EM, Coordinates, Objective, run


def fitted(name, rows, k, **how):
    model = Model(SoftmaxGate(), family_of(name), k, rows.q, rows.p)
    return fit_mixture(model, rows, Options(seed=0, **how))


def objective_of(name, k=3, **how):
    model, rows, theta = problem(name, k, **how)
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
    return Objective(NativeEngine(model, rows), c), c.collapse(theta)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", COMPILED)
class TestSums:
    def test_weight_two_is_a_duplicate_and_weight_zero_a_deletion(self, name, engine):
        model, rows, theta = problem(name, 3, n=80, weights=False)
        count = np.random.default_rng(0).integers(0, 4, 80)
        weighted = replace(rows, w=count.astype(float))
        repeated = rows.take(np.repeat(np.arange(80), count))
        a, b = (engine(model, r).evaluate(theta, Order.CURVATURE) for r in (weighted, repeated))
        assert a.value == pytest.approx(b.value, rel=1e-13)
        np.testing.assert_allclose(
            a.curvature, b.curvature, rtol=1e-10, atol=1e-10 * np.abs(b.curvature).max()
        )

    def test_order_of_rows_does_not_matter(self, name, engine):
        model, rows, theta = problem(name, 3, n=80)
        mixed = rows.take(np.random.default_rng(0).permutation(80))
        a, b = (engine(model, r).evaluate(theta, Order.GRADIENT) for r in (rows, mixed))
        assert a.value == pytest.approx(b.value, rel=1e-13)
        np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-11 * np.abs(b.gradient).max())

    def test_labels_do_not_matter(self, name, engine):
        model, rows, theta = problem(name, 3, n=80)
        order = np.array([2, 0, 1])
        a = engine(model, rows).evaluate(theta, Order.VALUE)
        b = engine(model, rows).evaluate(model.permute(theta, order), Order.VALUE)
        assert a.value == pytest.approx(b.value, rel=1e-13)
        np.testing.assert_allclose(a.mass[order], b.mass, rtol=1e-11)

    def test_merged_rows_are_the_same_likelihood(self, name, engine):
        model, rows, theta = problem(name, 2, n=40)
        twice = rows.take(np.repeat(np.arange(40), 2))
        a, b = (engine(model, r).evaluate(theta, Order.GRADIENT) for r in (twice, twice.merged()))
        assert twice.merged().n == 40
        assert a.value == pytest.approx(b.value, rel=1e-13)


@pytest.mark.parametrize("name", COMPILED)
class TestSolvers:
    @pytest.mark.parametrize("accelerate", [False, True])
    def test_em_never_decreases(self, name, accelerate):
        objective, phi = objective_of(name, n=150)
        trace = run(EM(accelerate=accelerate), objective, phi, tol=1e-9, max_iter=200).trace
        values = [objective.evaluate(phi, Order.VALUE).value, *(i.value for i in trace)]
        assert (np.diff(values) >= 0).all()

    def test_newton_never_decreases_and_ends_at_a_zero_score(self, name):
        from moestro.solvers import Newton

        objective, phi = objective_of(name, k=2, n=300, seed=2)
        done = run(Newton(), objective, phi, tol=1e-9)
        assert (np.diff([i.value for i in done.trace]) >= -1e-9).all()
        assert done.converged
        assert objective.gradient_norm(done.phi, done.evaluation.gradient) <= 1e-9

    def test_solvers_agree(self, name):
        values = {}
        _, rows, _ = problem(name, 1, n=200, seed=3)
        for solver in ("newton", "em", "lbfgs"):
            values[solver] = fitted(name, rows, 1, solver=solver).log_likelihood
        # One expert: a concave problem with one answer.
        assert values["em"] == pytest.approx(values["newton"], abs=1e-6)
        assert values["lbfgs"] == pytest.approx(values["newton"], abs=1e-6)

    def test_engines_agree_on_a_fit(self, name):
        _, rows, _ = problem(name, 2, n=150, seed=4)
        a, b = (fitted(name, rows, 2, engine=e, n_starts=4) for e in ("array", "native"))
        assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-9)


@pytest.mark.parametrize("name", COMPILED)
def test_units_round_trip_and_keep_the_density(name):
    model, rows, theta = problem(name, 3, d=2, e=1, n=50)
    design = ArrayDesign(("a", "b", "c"), (0, 1), (2,))
    _, units = read_rows(design, rows.x, rows.z, rows.y, rows.w, model.family)
    np.testing.assert_allclose(
        from_user(model, units, to_user(model, units, theta)), theta, rtol=1e-10, atol=1e-10
    )
    measure = measure_of(model, units, theta)
    np.testing.assert_allclose(theta_of(measure, units), theta, rtol=1e-10, atol=1e-10)
    density = NativeEngine(model, rows).rowwise(theta).log_density
    np.testing.assert_allclose(measure.log_density(rows.x, rows.y, rows.z), density, rtol=1e-9, atol=1e-9)
    shifted = measure.permute([1, 2, 0]).translate(0.7, 1.3)
    np.testing.assert_allclose(shifted.log_density(rows.x, rows.y, rows.z), density, rtol=1e-9, atol=1e-9)
    step = 1e-6 * np.random.default_rng(0).standard_normal(model.size)
    moved = to_user(model, units, theta + step) - to_user(model, units, theta)
    jacobian = user_jacobian(model, units)
    np.testing.assert_allclose(moved, jacobian @ step, rtol=1e-4, atol=1e-8 * np.abs(jacobian).max())


def test_affine_change_of_y_adds_its_jacobian(lines):
    x, y = lines
    design = ArrayDesign(("x",))
    fits = []
    for factor, shift in ((1.0, 0.0), (1e-9, 5e-9), (1e9, -1e12)):
        family = family_of("gaussian")
        rows, units = read_rows(design, x, None, factor * y + shift, None, family)
        fit = fit_mixture(Model(SoftmaxGate(), family, 2, rows.q, rows.p), rows, Options(seed=0, n_starts=6))
        fits.append((fit.log_likelihood + len(y) * np.log(factor), FittedModel(design, units, fit)))
    base = fits[0]
    slope = base[1].measure.slopes
    # y near 1e12 with a spread of 1e9 keeps 13 digits of its spread
    assert fits[1][0] == pytest.approx(base[0], abs=1e-6)
    assert fits[2][0] == pytest.approx(base[0], abs=1e-6)
    np.testing.assert_allclose(fits[2][1].measure.slopes, 1e9 * slope, rtol=1e-6)


def test_affine_change_of_columns_changes_nothing(lines):
    x, y = lines
    values = []
    for factor, shift in ((1.0, 0.0), (1e12, 3e12), (1e-12, -2e-12)):
        rows, _ = read_rows(ArrayDesign(("x",)), factor * x + shift, None, y, None, family_of("gaussian"))
        values.append(fitted("gaussian", rows, 2).log_likelihood)
    np.testing.assert_allclose(values, values[0], atol=1e-7)

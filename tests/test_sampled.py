"""Steps from the gradient of all rows and the curvature of a part of them, against Newton's."""

from dataclasses import replace

import numpy as np
import pytest

from moestro.bench.designs import read_simulated, simulate, truth
from moestro.engine import NativeEngine, Order
from moestro.gates import SoftmaxGate
from moestro.model import Model
from moestro.problems import fit as fits
from moestro.problems import mixture
from moestro.problems.curvature import from_first, status_of
from moestro.search import Options, polish, search
from moestro.search.candidates import Candidate, ranked
from moestro.solvers import Coordinates, Newton, Objective, Sampled, StatusKind, run
from moestro.solvers.sampled import weighted_up


def objectives(name, sizes, n=12_000, d=6, k=2, threads=1):
    """The objective of all rows that a mixture made, those of random parts of them, and a point near the
    maximum."""
    law = simulate(name, n, d, k)
    rows, units = read_simulated(*law)
    model = Model(SoftmaxGate(), law[2].on(units.y_center, units.y_scale), k, rows.q, rows.p)
    theta = truth(name, d, k, 3, np.random.default_rng(0))[1]
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
    order = np.random.default_rng(0).permutation(rows.n)
    whole = Objective(NativeEngine(model, rows, threads), c)
    parts = [Objective(NativeEngine(model, rows.take(np.sort(order[:m])), threads), c) for m in sizes]
    return whole, parts, run(Newton(), parts[-1], c.collapse(theta), tol=1e-6).phi


@pytest.mark.parametrize("name", ["multinomial", "gaussian", "poisson"])
class TestSampled:
    def test_it_ends_where_newton_does_in_a_few_gradients(self, name):
        whole, parts, near = objectives(name, [4000])
        counted = Objective(whole.engine, whole.coordinates)
        mine = run(Sampled(parts), counted, near, tol=1e-9)
        newton = run(Newton(), whole, near, tol=1e-9)
        assert mine.converged
        assert mine.value == pytest.approx(newton.value, rel=1e-13)
        # Gradients per row of 1e-9 over curvatures of the gate as small as 1e-3.
        np.testing.assert_allclose(mine.phi, newton.phi, atol=1e-5)
        assert mine.evaluation.curvature is None
        assert counted.tally.passes <= 12

    def test_values_never_fall(self, name):
        whole, parts, _ = objectives(name, [1200])
        start = np.clip(
            0.5 * np.random.default_rng(1).standard_normal(whole.coordinates.size),
            whole.coordinates.lower, whole.coordinates.upper,
        )  # fmt: skip
        first = whole.evaluate(start, Order.VALUE).value
        done = run(Sampled(parts), whole, start, tol=1e-8)
        values = np.array([first, *(i.value for i in done.trace)])
        assert done.converged
        assert (np.diff(values) >= -1e-13 * np.abs(values[1:])).all()

    def test_threads_change_no_bit(self, name):
        ends = []
        for threads in (1, 3):
            whole, parts, near = objectives(name, [4000], threads=threads)
            ends.append(run(Sampled(parts), whole, near, tol=1e-8).phi)
        np.testing.assert_array_equal(*ends)

    def test_a_misleading_sample_is_left_for_newton(self, name):
        whole, parts, near = objectives(name, [4000])
        few = Objective(
            NativeEngine(whole.engine.model, whole.engine.rows.take(np.arange(8))), parts[0].coordinates
        )
        done = run(Sampled([few]), whole, near, tol=1e-9)
        assert done.converged
        assert done.value == pytest.approx(run(Newton(), whole, near, tol=1e-9).value, rel=1e-13)


def test_the_sums_of_a_sample_have_the_size_of_all_rows():
    whole, parts, near = objectives("gaussian", [6000])
    all_rows = Objective(whole.engine, whole.coordinates)
    twice = Objective(
        NativeEngine(whole.engine.model, replace(whole.engine.rows, w=np.full(whole.engine.rows.n, 2.0))),
        whole.coordinates,
    )
    a, b = weighted_up(all_rows, twice, near), twice.evaluate(near, Order.CURVATURE)
    np.testing.assert_allclose(a.curvature, b.curvature, rtol=1e-12, atol=1e-9)
    assert parts[0].weight_sum == pytest.approx(whole.weight_sum / 2, rel=0.2)


def test_the_first_sample_is_the_largest_whose_hessian_is_cheap():
    assert from_first("abc", [5, 50, 400], 1000) == ("b", "c")
    assert from_first("abc", [5, 50, 200], 1000) == ("c",)
    assert from_first("a", [400], 1000) == ("a",)


def test_the_status_says_whose_curvature_was_looked_at():
    whole, parts, near = objectives("gaussian", [4000])
    done = run(Sampled(parts), whole, near, tol=1e-8)
    seen = status_of(whole, done, parts[0])
    assert seen.kind == StatusKind.CONVERGED
    assert "curvature of 4,000 rows" in str(seen)
    before = whole.tally.passes
    assert status_of(whole, done, None).kind == StatusKind.CONVERGED
    assert whole.tally.passes == before + 1


def test_a_large_fit_takes_it_and_counts_its_passes(monkeypatch):
    monkeypatch.setattr(mixture, "MANY_ROWS", 10_000)
    monkeypatch.setattr(search, "STALE", 1)
    engine = objectives("gaussian", [4000], n=30_000, d=2)[0].engine
    # a draw whose finalists are one: each finalist is polished in as many passes
    auto = fits.fit_mixture(engine.model, engine.rows, Options(seed=1))
    newton = fits.fit_mixture(engine.model, engine.rows, Options(seed=1, solver="newton"))
    assert auto.log_likelihood == pytest.approx(newton.log_likelihood, rel=1e-10)
    assert "curvature of" in str(auto.status)
    assert "curvature of" not in str(newton.status)
    assert auto.history["passes"][-1] <= 10
    assert auto.history["passes"] == sorted(auto.history["passes"])


def test_fits_of_fewer_experts_that_nobody_asks_for_are_of_a_sample(monkeypatch):
    monkeypatch.setattr(fits, "MANY_ROWS", 4000)
    monkeypatch.setattr(search, "STALE", 1)
    engine = objectives("gaussian", [4000], n=9000, d=2)[0].engine
    made, fit = [], fits._fit
    monkeypatch.setattr(fits, "_fit", lambda m, rows, *a: (made.append((m.k, rows.n)), fit(m, rows, *a))[1])
    alone = fits.fit_mixture(engine.model, engine.rows, Options(seed=0))
    both = fits.fit_mixtures(engine.model, engine.rows, [1, 2], Options(seed=0))
    assert made == [(1, 4000), (2, 9000), (1, 9000), (2, 9000)]
    assert alone.log_likelihood == pytest.approx(both[1].log_likelihood, rel=1e-10)
    assert both[1].evidence.smaller == both[0].log_likelihood
    assert alone.evidence.smaller is None


def test_runs_that_more_rows_show_to_share_an_optimum_go_on_as_one():
    whole, _, near = objectives("gaussian", [4000], n=6000, d=2)
    problem = mixture.MixtureProblem(whole.engine.rows, whole.coordinates, Newton())
    c = whole.coordinates
    other = c.collapse(c.model.permute(c.expand(near), np.array([1, 0])))
    pooled = Candidate("", problem.pooled())
    runs = [Candidate("", near), Candidate("", other + 1e-3), pooled]
    for a in runs:
        a.advance(problem, tol=polish.MIDDLE_TOL, max_iter=0 if a is pooled else 60, cancel=None)
    runs[:2] = ranked(runs[:2])
    assert polish._near(problem, runs) == [runs[0]]  # the pooled one is far below, and no copy
    assert runs[1].became is runs[0]
    assert pooled.became is pooled

"""The search: runs side by side, optima told apart, what counts as best, and how sure it is."""

import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import COMPILED, problem, three_classes, two_lines
from moestro import MoEClassifier, MoERegressor, load_dataset
from moestro.engine import ArrayEngine, NativeEngine, Order
from moestro.errors import DataError, SearchWarning
from moestro.experts import make_family
from moestro.gates import SoftmaxGate
from moestro.model import Model
from moestro.problems import MixtureProblem, fit_mixture, fit_mixtures
from moestro.problems.ranking import ROWS, Ranking
from moestro.problems.smaller import duplicated
from moestro.rows import Rows, sample_rows
from moestro.search import Evidence, Options
from moestro.search.candidates import Candidate, Optima, Optimum
from moestro.search.evidence import chance
from moestro.search.moves import cross, widen
from moestro.search.path import fit_problem
from moestro.search.problem import REFUSED
from moestro.search.search import ENOUGH, STALE, is_sure, patience
from moestro.search.stage import Stage
from moestro.search.starts import STRATEGIES
from moestro.solvers import LBFGS, Coordinates, Newton, Objective, run
from moestro.solvers.base import LONG, Info
from moestro.solvers.em import run_em
from moestro.solvers.pool import Pool
from moestro.solvers.recession import receding
from moestro.solvers.together import in_step, newton_together


def objective_of(name, k=2, n=200, seed=0, engine=NativeEngine):
    model, rows, theta = problem(name, k, n=n, seed=seed)
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
    return Objective(engine(model, rows), c), c.collapse(theta)


def noisy(n=300, seed=0):
    """Three lines with much noise: several optima."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    z = rng.integers(3, size=n)
    return x, np.array([1.0, -1.0, 0.2])[z] * x[:, 0] + np.array([0, 1.0, -1.5])[
        z
    ] + 0.6 * rng.standard_normal(n)


def deviations(model):
    """Standard deviations of the experts, in the user's units."""
    fit, units = model._fitted().fit, model._fitted().units
    return np.exp(0.5 * fit.model.nuisances(fit.theta)).ravel() * units.y_scale


@pytest.mark.parametrize("name", COMPILED)
class TestTogether:
    @pytest.mark.parametrize("engine", [NativeEngine, ArrayEngine])
    def test_sums_of_many_are_those_of_each(self, name, engine):
        objective, phi = objective_of(name, engine=engine)
        many = phi + 0.1 * np.random.default_rng(0).standard_normal((5, len(phi)))
        for order in Order:
            stacked = objective.evaluate_all(many, order, threads=2)
            for i, e in enumerate(stacked.each()):
                one = objective.evaluate(many[i], order)
                assert e.value == (
                    one.value if engine is NativeEngine else pytest.approx(one.value, rel=1e-13)
                )
                for part in ("mass", "gradient", "information", "curvature"):
                    a, b = getattr(e, part), getattr(one, part)
                    assert (a is None) == (b is None)
                    if engine is NativeEngine:
                        assert a is None or np.array_equal(a, b)
                    elif a is not None:  # BLAS may sum differently where an array begins elsewhere in memory
                        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11)

    def test_responsibilities_are_each_fits_own(self, name):
        objective, phi = objective_of(name)
        r = np.random.default_rng(0).dirichlet(np.ones(2), (3, objective.engine.rows.n))
        stacked = objective.evaluate_all(np.tile(phi, (3, 1)), Order.INFORMATION, r)
        for i in range(3):
            assert stacked.value[i] == objective.evaluate(phi, Order.INFORMATION, r[i]).value

    def test_a_value_has_the_same_bits_whatever_is_asked_beside_it(self, name):
        objective, phi = objective_of(name, k=3)
        many = phi + np.random.default_rng(0).standard_normal((5, len(phi)))
        r = np.random.default_rng(1).dirichlet(np.ones(3), (5, objective.engine.rows.n))
        for given in (None, r):
            values = [objective.evaluate_all(many, order, given).value for order in Order]
            assert all(np.array_equal(v, values[0]) for v in values)

    @pytest.mark.parametrize("steps", [1, 4])
    def test_em_asks_for_the_value_alone_at_its_end(self, name, steps):
        objective, phi = objective_of(name, k=3)
        many = phi + np.random.default_rng(0).standard_normal((5, len(phi)))
        asked = []

        def evaluate(at, order):
            asked.append(order)
            return objective.evaluate_all(at, order)

        ends = run_em(objective, many, evaluate, steps)
        assert asked == [Order.INFORMATION] * steps + [Order.VALUE]
        whole = run_em(objective, many, lambda at, _: objective.evaluate_all(at, Order.CURVATURE), steps)
        assert all(np.array_equal(a, b) for a, b in zip(ends, whole, strict=True))

    def test_newton_ends_where_newton_ends(self, name):
        objective, phi = objective_of(name, n=400, seed=2)
        starts = phi + 0.3 * np.random.default_rng(1).standard_normal((6, len(phi)))
        starts = np.clip(starts, objective.coordinates.lower, objective.coordinates.upper)
        with Pool(2) as pool:
            ends = newton_together(objective, starts, 1e-8, 200, pool)
        for i in range(6):
            alone = run(Newton(escape_at=0.0), objective, starts[i], tol=1e-8)
            if alone.converged and ends.converged[i]:
                e = objective.evaluate(ends.phi[i], Order.GRADIENT)
                assert objective.gradient_norm(ends.phi[i], e.gradient) <= 1e-8
                assert ends.value[i] == pytest.approx(alone.value, abs=1e-6)
        assert ends.converged.sum() >= 5

    @pytest.mark.parametrize("k", [1, 3])
    def test_the_compiled_loop_is_the_readable_one(self, name, k):
        objective, phi = objective_of(name, k=k, n=300, seed=4)
        c = objective.coordinates
        starts = phi + 2.0 * np.random.default_rng(2).standard_normal((9, len(phi)))
        starts = np.clip(starts, c.lower, c.upper)
        starts[0], starts[1, 0] = c.upper, np.nan  # in a corner of the box; from nowhere
        with Pool(1) as one, Pool(2) as two:
            ends = newton_together(objective, starts, 1e-6, 30, one)
            threaded = newton_together(objective, starts, 1e-6, 30, two)
            twin = in_step(objective, starts, 1e-6, 30, two)
        assert not np.isfinite(ends.value[1])
        for part in ("phi", "value", "mass", "iterations", "converged"):
            a, b, t = (getattr(e, part) for e in (ends, twin, threaded))
            assert np.array_equal(a, t, equal_nan=True), part
            if isinstance(objective.engine, NativeEngine):
                np.testing.assert_allclose(a[2:], b[2:], rtol=1e-6, atol=1e-6, err_msg=part)


def test_cholesky_solves_and_says_where_it_cannot():
    from moestro import _core

    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 7, 7))
    M = root @ root.transpose(0, 2, 1) + np.eye(7)
    M[2] -= 50 * np.eye(7)
    M[3, 0, 0] = np.nan
    g = rng.standard_normal((4, 7))
    p, solved = _core.solve_positive(M, g, 2)
    assert solved.tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(p[:2], np.linalg.solve(M[:2], g[:2, :, None])[:, :, 0], rtol=1e-10)
    assert not p[2:].any()


class TestOptima:
    def ends(self, k=2):
        objective, _ = objective_of("gaussian", k=k, n=300, seed=3)
        problem = MixtureProblem(objective.engine.rows, objective.coordinates, Newton())
        return problem, Optima(problem)

    def candidate(self, problem, phi, **more):
        with Pool(1) as pool:
            value, mass = problem.values([phi], pool)[0]
        return Candidate("x", phi, value, key=problem.key(phi, value, mass), **more)

    def test_relabelled_experts_are_one_optimum(self):
        problem, optima = self.ends()
        c = problem.coordinates
        phi = np.random.default_rng(0).standard_normal(c.size)
        for at in (phi, c.collapse(c.model.permute(c.expand(phi), np.array([1, 0])))):
            optima.add(self.candidate(problem, at))
        assert [o.found for o in optima.known] == [2]

    def test_equal_values_alone_do_not_make_one_optimum(self):
        problem, optima = self.ends(k=1)
        objective, c = problem.objective, problem.coordinates
        phi = c.collapse(np.zeros(c.model.size))
        end = run(Newton(), objective, phi, tol=1e-10).phi
        low, high = 0.0, 50.0
        for sign in (1.0, -1.0):  # two laws of the same likelihood on either side of the maximum
            low, high = 0.0, 50.0
            for _ in range(200):
                t = 0.5 * (low + high)
                at = end + sign * t * np.eye(c.size)[0]
                drop = objective.evaluate(end, Order.VALUE).value - objective.evaluate(at, Order.VALUE).value
                low, high = (t, high) if drop < 20 else (low, t)
            optima.add(self.candidate(problem, end + sign * low * np.eye(c.size)[0]))
        assert len(optima.known) == 2
        assert optima.known[0].best.value == pytest.approx(optima.known[1].best.value, abs=1e-6)

    def test_a_move_that_falls_back_is_no_finding(self):
        problem, optima = self.ends()
        phi = np.random.default_rng(0).standard_normal(problem.size)
        optima.add(self.candidate(problem, phi))
        home = optima.known[0]
        optima.add(self.candidate(problem, phi, parents=(home,)))
        assert home.found == 1

    def test_a_crossover_that_falls_back_to_either_parent_is_no_finding(self):
        problem, optima = self.ends()
        rng = np.random.default_rng(0)
        ends = [rng.standard_normal(problem.size) for _ in range(2)]
        homes = tuple(optima.add(self.candidate(problem, phi)) for phi in ends)
        for phi in ends:
            optima.add(self.candidate(problem, phi, parents=homes))
        assert [o.found for o in homes] == [1, 1]

    def test_two_ends_on_the_way_to_one_optimum_become_one(self):
        problem, _ = self.ends()
        with Pool(1) as pool:
            stage, options = Stage(problem, pool), Options()
            top = run(Newton(), problem.objective, np.zeros(problem.size) + 0.3, tol=1e-8).phi
            away = np.random.default_rng(1).standard_normal(problem.size)
            ends = [top + t * away / np.linalg.norm(away) for t in (0.05, 0.6)]
            first, second = (stage.optima.add(self.candidate(problem, phi)) for phi in ends)
            assert first is not second
            back = stage.optima.add(self.candidate(problem, ends[0], parents=(second,)))
            assert back is first and first.found == 2
            stage.examine(2, options)
        (one,) = stage.optima.known
        assert problem.diagnose(one.best.end).kind == "converged" and len(one.runs) == 3
        assert one.found == 2  # a move from one of them to the other did not move

    def test_an_end_that_turns_out_unusable_leads_no_more(self):
        problem, _ = self.ends()
        with Pool(1) as pool:
            stage = Stage(problem, pool)
            phi = np.random.default_rng(0).standard_normal(problem.size)
            o = stage.optima.add(self.candidate(problem, phi))
            diagnosed = []
            problem.__dict__["is_usable"] = lambda end: diagnosed.append(end) or False
            stage.examine(1, Options(rank_by="likelihood"))
            assert o.key[0] == 2  # where the likelihood alone ranks, it stays
            o.best.examined = False
            stage.examine(1, Options())
        assert len(diagnosed) == 2 and stage.optima.known[0].key[0] == 1

    @pytest.mark.parametrize("rank_by", ["usable", "likelihood"])
    def test_a_glance_says_what_the_diagnosis_says(self, rank_by):
        problem, _ = self.ends(k=3)
        problem = replace(problem, rank_by=rank_by)
        found = set()
        for seed in range(12):
            memberships = np.random.default_rng(seed).dirichlet(np.full(3, 0.02), problem.n)
            if seed % 2:  # an expert of six rows
                memberships[:] = [0.5, 0.5, 0.0]
                memberships[7 * seed : 7 * seed + 6] = [0.0, 0.0, 1.0]
            with Pool(1) as pool:
                (phi,) = problem.begin([memberships], pool)
            end = problem.advance(phi, tol=1e-8, max_iter=None, cancel=None)
            assert problem.is_usable(end) == problem.diagnose(end).usable
            found.add(problem.is_usable(end))
        assert len(found) == 2 or rank_by == "likelihood"

    def test_a_run_that_follows_its_memberships_keeps_their_border(self):
        problem, _ = self.ends()
        x, _ = problem.view(np.random.default_rng(0))
        cut = (x[:, :1] > np.quantile(x[:, 0], 0.6)) == np.array([True, False])
        with Pool(1) as pool:
            begun = problem.begin([cut.astype(float)], pool)
            near, passes = problem.follow(begun, [cut.astype(float)], pool)
        soft, sharp = (np.abs(problem.rowwise(at[0])[0] - cut).mean() for at in (begun, near))
        assert passes == 5
        assert sharp < 0.6 * soft

    def test_crossing_keeps_memberships(self):
        rng = np.random.default_rng(0)
        r, other = rng.dirichlet(np.ones(3), (2, 40))
        for _ in range(20):
            out = cross(rng, r, other)
            np.testing.assert_allclose(out.sum(axis=1), 1.0, rtol=1e-12)
            assert (out >= 0).all()
            assert any(np.array_equal(out[:, a], other[:, b]) for a in range(3) for b in range(3))


class TestWiden:
    """Moves from an optimum that was refused, since an expert fits a few rows too closely."""

    def test_the_expert_that_fits_too_closely_gets_the_rows_around_it(self):
        rng = np.random.default_rng(0)
        n = 200
        x = rng.uniform(-2, 2, (n, 1))
        y = np.where(np.arange(n) < 80, x[:, 0] + 0.02 * rng.standard_normal(n), 2 * rng.standard_normal(n))
        y[:6] = x[:6, 0]  # these are fitted exactly
        r = np.zeros((n, 2))
        r[:6, 1] = r[6:, 0] = 1.0
        sizes = set()
        for _ in range(20):
            out = widen(rng, x, y, r, np.zeros(n))
            np.testing.assert_allclose(out.sum(axis=1), 1.0)
            own = out[:, 1] == 1.0
            assert own[:6].all() and 6 <= own.sum() <= 100
            assert np.abs(y - x[:, 0])[own].max() <= np.abs(y - x[:, 0])[~own].min()
            sizes.add(int(own.sum()))
        assert len(sizes) > 10

    def test_refused_optima_are_gone_on_from(self):
        tone = load_dataset("tone")
        strategies = set()
        for seed in range(12):  # a tight line and a wide one, and rows that lie on yet another line exactly
            model = MoERegressor(2, formula="stretchratio ~ tuned", random_state=seed).fit(tone)
            assert model.log_likelihood_ == pytest.approx(-4.7685, abs=1e-4)
            assert model.search_.best_unusable > 70
            strategies |= set(model.starts_["strategy"])
        assert "move: widen" in strategies


class TestSure:
    def stage(self, *counts, refused=(), rows=1000):
        """A search that found usable optima so often, and refused ones."""

        def optimum(kind, i, found):
            best = Candidate("x", None, -float(i), key=(kind, -float(i)))
            return Optimum(best, np.zeros(0), [best] * found, found)

        known = [optimum(2, i, n) for i, n in enumerate(counts)]
        known += [optimum(1, i, n) for i, n in enumerate(refused)]
        problem = SimpleNamespace(n=rows, size=20)
        return SimpleNamespace(optima=SimpleNamespace(known=known), problem=problem)

    def test_a_best_optimum_found_again_and_again_ends_the_search(self):
        assert is_sure(self.stage(5, 4, 3))
        assert not is_sure(self.stage(4, 4, 3))

    def test_runs_that_keep_ending_elsewhere_do_not(self):
        assert not is_sure(self.stage(12, *[1] * 9))
        assert not is_sure(self.stage(12, 4, 3, refused=[1] * 9))
        assert is_sure(self.stage(12, 4, 3, refused=[4] * 9))

    def test_where_none_is_usable_one_may_be_among_those_not_seen(self):
        assert is_sure(self.stage(refused=[12, 4, 3]))
        assert not is_sure(self.stage(refused=[12, 4, 3, 1]))
        assert is_sure(self.stage(12, 4, 3, 1))
        assert is_sure(self.stage(refused=[12, 4, 3, 1], rows=10**6))

    def test_the_cheaper_a_pass_the_longer_it_waits(self):
        def waits(rows):
            return patience(self.stage(1, rows=rows).problem)

        assert [waits(rows) for rows in (10, 100, 170, 250, 1000, 10**6)] == [6, 5, 2, 2, 2, 2]

    def test_the_dearer_a_pass_the_less_is_asked_for(self):
        many_new = [12, *[1] * 9]  # 43 % of the runs ended in an optimum of their own
        assert not is_sure(self.stage(*many_new))
        assert is_sure(self.stage(*many_new, rows=1500))
        assert not is_sure(self.stage(4, 4, 3, rows=10**6))  # the best one is to be found again all the same
        assert not is_sure(self.stage(5, *[1] * 20, rows=10**6))  # nor is more than an even chance accepted


class TestRanking:
    def ranking(self, by="usable", w=None):
        objective, phi = objective_of("gaussian", n=100)
        rows = objective.engine.rows
        from dataclasses import replace

        return Ranking.of(objective.coordinates, replace(rows, w=w), by), phi, objective.coordinates

    def test_rows_that_an_expert_needs(self):
        ranking, phi, c = self.ranking()
        phi = phi.copy()
        phi[c.block == -1] = [0.0, -2.0]  # 4 parameters each: 2 + log(s / sigma) = 2 and 3 rows a parameter
        assert ranking.thin(phi, np.array([8.0, 12.0])).tolist() == [False, False]
        assert ranking.thin(phi, np.array([7.9, 12.0])).tolist() == [True, False]
        assert ranking.thin(phi, np.array([8.0, 11.9])).tolist() == [False, True]
        assert ranking.key(phi, -5.0, np.array([50.0, 50.0])) == (2, -5.0)
        assert ranking.key(phi, 5.0, np.array([90.0, 10.0])) == (1, 5.0)
        phi[c.block == -1] = [0.0, np.log(1e-8)]
        assert ranking.key(phi, 500.0, np.array([50.0, 50.0]))[0] == 0
        assert ranking.key(phi, np.nan, np.array([50.0, 50.0]))[0] == -1
        assert self.ranking("likelihood")[0].key(phi, 500.0, np.array([50.0, 50.0])) == (2, 500.0)

    def test_probability_weights_do_not_make_rows_fewer(self):
        assert self.ranking(w=np.full(100, 0.01))[0].unit == pytest.approx(100.0)
        assert self.ranking(w=np.full(100, 3.0))[0].unit == 1.0

    def test_a_spurious_optimum_does_not_win(self):
        """Ten rows on a line exactly: the likelihood has no bound there, and an analyst does not mean
        them."""
        x, y = two_lines(150)
        y = y.copy()
        y[:5] = 7.0 + 3.0 * x[:5, 0]
        usable = MoERegressor(2, random_state=0).fit(x, y)
        assert usable.status_.usable
        assert min(usable.responsibilities(x, y).sum(axis=0)) > 20
        plain = MoERegressor(2, random_state=0, rank_by="likelihood").fit(x, y)
        assert plain.log_likelihood_ >= usable.log_likelihood_
        with pytest.raises(DataError, match="rank_by"):
            MoERegressor(2, rank_by="best").fit(x, y)

    def test_a_heap_of_rounded_responses_is_no_group(self):
        """Sixty rows beside two lines have one response but for two: a density on them says how it was
        rounded."""
        rng = np.random.default_rng(3)
        x, y = two_lines(400)
        x = np.r_[x, rng.uniform(5.0, 5.5, (60, 1))]
        y = np.r_[np.round(y, 1), np.repeat([7.0, 7.1], [58, 2])]
        plain = MoERegressor(3, random_state=0, rank_by="likelihood").fit(x, y)
        model = MoERegressor(3, random_state=0).fit(x, y)
        assert plain.log_likelihood_ > model.log_likelihood_
        assert model.status_.usable
        assert deviations(model).min() >= 0.1 / np.sqrt(12) > deviations(plain).min()

    def test_an_expert_narrower_than_the_rounding_is_named(self):
        rng = np.random.default_rng(5)
        x = np.sort(rng.standard_normal((200, 1)), axis=0)
        y = np.r_[np.round(40 + 2 * rng.standard_normal(100)), np.full(100, 3.0)]
        y[[110, 150, 190]], y[[120, 160]] = 4.0, 2.0
        rows = Rows.plain(x, None, y, None)
        model = Model(SoftmaxGate(), make_family("gaussian"), k=2, q=2, p=2)
        c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        problem = MixtureProblem(rows, c, Newton())
        with Pool(1) as pool:
            start = problem.begin([np.repeat(np.eye(2), 100, axis=0)], pool)[0]
        end = problem.advance(start, tol=1e-8, max_iter=None, cancel=None)
        status = problem.diagnose(end)
        assert problem.key(end.point, end.value, end.mass)[0] == 0
        assert str(status.kind) == "variance collapsed"
        assert "expert 2 on" in str(status)
        assert "narrower than the response is rounded (standard deviation 0.29)" in str(status)

    def test_spacing_is_that_of_rounded_responses_alone(self):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((300, 1)), rng.standard_normal(300)
        assert Rows.plain(x, None, y, None).spacing == 0
        assert Rows.plain(x, None, np.round(y, 1), None).spacing == pytest.approx(0.1)
        assert Rows.plain(x, None, 2.5 * np.round(y, 1), None).spacing == pytest.approx(0.25)
        twice = Rows.plain(np.r_[x, x], None, np.r_[y, y], None)
        assert twice.merged().spacing == 0
        assert Rows.plain(x, None, np.full(300, 2.0), None).spacing == 0

    def test_values_of_a_few_rows_beside_a_heap_do_not_hide_it(self):
        rng = np.random.default_rng(0)
        y = np.round(rng.uniform(0, 9, 3000))
        odd = rng.random(3000) < 0.2
        y[odd] += np.round(rng.uniform(0, 0.02, odd.sum()), 3)
        rows = Rows.plain(np.zeros((3000, 0)), None, y, None)
        values, count = np.unique(y, return_counts=True)
        gaps = [  # brute force
            min(abs(v - u) for u, c in zip(values, count, strict=True) if u != v and 2 * c >= own)
            for v, own in zip(values, count, strict=True)
        ]
        assert rows.spacing == sorted(np.repeat(gaps, count))[1499] == 1.0
        y[:2000] = 20.0  # no other value is half as common
        assert Rows.plain(np.zeros((3000, 0)), None, y, None).spacing == 20.0 - y[2000:].max()

    def test_a_thin_expert_is_named_with_its_rows(self):
        rng = np.random.default_rng(0)
        model = MoERegressor(4, random_state=0).fit(rng.standard_normal((14, 2)), rng.standard_normal(14))
        note = {"thin expert": "thin", "variance collapsed": "collapsed"}[str(model.status_.kind)]
        assert not model.status_.usable
        own = [e + 1 for e in model.status_.experts]
        rows = [
            r
            for r in model.inference().rows()
            if r["part"] == "expert" and r["component"] in own and r["term"]
        ]
        assert len(rows) >= 3 * len(own) > 0
        assert all(r["z"] is None and r["note"] == note for r in rows)


class TestEvidence:
    def test_chance_falls_with_sightings_and_rises_with_rare_optima(self):
        assert chance([]) == 1.0
        assert chance([1]) == 0.0
        assert chance([1, 3]) >= 0.5
        assert chance([1], [39]) >= 0.5  # the other runs ended in an optimum that is not usable
        assert chance([10, 3, 2]) == 0.0
        often, seldom = chance([20, *[1] * 20]), chance([3, *[1] * 20])
        assert 0 < often < seldom < 1
        assert chance([3, *[1] * 5]) < seldom

    def test_new_optima_that_are_refused_say_that_not_all_were_seen(self):
        counts = [4, 1, 1]
        assert chance(counts, [1] * 45) > 0.8 > 0.1 > chance(counts)
        assert chance(counts, [20, 9]) == chance(counts)  # found again and again: nothing new
        assert chance([12, 1, *[5] * 3], [1]) < 0.05

    @pytest.mark.parametrize("usable", [0.1, 0.3])
    def test_refused_optima_bring_the_estimate_nearer_to_the_share_of_misses(self, usable):
        # 150 draws among 150 optima, basins of very different width, values at random; a lower bound stays.
        rng, with_refused, alone, missed = np.random.default_rng(0), [], [], []
        for _ in range(300):
            width = rng.pareto(1.0, 150) + 0.02
            own, value, seen = (
                rng.random(150) < usable, rng.standard_normal(150), rng.multinomial(150, width / width.sum()),
            )  # fmt: skip
            mine = np.flatnonzero(own & (seen > 0))
            mine = mine[np.argsort(-value[mine])]
            counts, refused = seen[mine].tolist(), seen[~own & (seen > 0)].tolist()
            with_refused.append(chance(counts, refused))
            alone.append(chance(counts))
            missed.append(not len(mine) or value[own].max() > value[mine[0]])
        assert np.mean(alone) < np.mean(with_refused) < np.mean(missed)

    def test_it_is_said_and_kept(self, tmp_path):
        from moestro.fitted import FittedModel

        tone = load_dataset("tone")
        model = MoERegressor.from_formula("tuned ~ stretchratio", tone, n_experts=2, random_state=0)
        found = model.search_
        assert found.found >= ENOUGH
        assert found.runs >= found.found + found.optima - 1
        assert f"best optimum found {found.found} times in {found.runs} runs" in str(found)
        assert str(found) in " ".join(model.summary().split())
        assert found.passes <= found.budget
        model.save(tmp_path / "m.json")
        assert FittedModel.load(tmp_path / "m.json").fit.evidence == found
        said = [replace(found, found=n).how_often.removesuffix(f" {found.runs} runs") for n in (0, 1, 2)]
        assert said == ["found by none of", "found once in", "found 2 times in"]
        one = MoERegressor(1).fit(*two_lines())
        assert str(one.search_) == "one start"
        assert Evidence.from_dict(one.search_.to_dict()) == one.search_

    def test_found_once_is_a_warning(self):
        rng = np.random.default_rng(2)
        x, y = rng.standard_normal((45, 3)), rng.poisson(3, 45)
        with pytest.warns(SearchWarning, match="found once"):  # noise has an optimum a search
            MoERegressor(3, family="poisson", random_state=0).fit(x, y)

    def test_the_search_goes_on_until_it_is_sure_or_its_budget_is_spent(self):
        x, y = noisy()
        for k in (2, 3, 4):
            fit = MoERegressor(k, random_state=0).fit(x, y)
            found = fit.search_
            moves = sum(s.startswith("move") for s in fit.starts_["strategy"])
            sure = found.found >= ENOUGH and moves >= 12 * STALE
            assert sure or found.exhausted
            assert ("is spent" in str(found)) == found.exhausted
            assert found.passes <= found.budget * 1.5  # the last round of moves is finished


class TestEffort:
    def test_more_starts_are_never_worse(self):
        x, y = noisy()
        for seed in range(2):
            values = [
                MoERegressor(3, n_starts=n, random_state=seed).fit(x, y).log_likelihood_ for n in (2, 10, 60)
            ]
            assert (np.diff(values) >= -1e-6).all()

    def test_auto_finds_what_many_starts_find(self):
        x, y = noisy()
        best = max(MoERegressor(3, n_starts=150, random_state=s).fit(x, y).log_likelihood_ for s in range(2))
        for seed in range(3):
            assert MoERegressor(3, random_state=seed).fit(x, y).log_likelihood_ >= best - 1e-3


class TestHopeless:
    """What cannot become usable is not worth a long search."""

    @staticmethod
    def of(n, k=2, family="gaussian", **words):
        model, rows, _ = problem(family, k, n=n)
        c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        return MixtureProblem(rows, c, Newton(), **words)

    def test_a_readable_engine_and_too_few_rows_have_smaller_budgets(self):
        usual = self.of(200).budget
        for engine, less in (("array", 16), ("torch", 8), ("torch:cpu", 8)):
            assert self.of(200, engine=engine).budget == usual / less
        assert self.of(200, family="student").budget == usual / 4
        needed = int(ROWS * self.of(200).ranking._own.sum())
        assert self.of(needed).budget == usual
        assert self.of(needed - 1).budget == usual / 4

    def test_nothing_is_sought_where_nothing_can_be_found(self):
        r = np.random.default_rng(0)
        model = MoERegressor(2, n_starts=1, random_state=0).fit(r.normal(size=(5, 1)), r.normal(size=5))
        assert not model.status_.usable
        assert len(model.starts_) < 20

    @pytest.mark.parametrize("kind", [Newton, LBFGS])
    def test_a_long_run_that_has_lost_a_variance_ends(self, kind):
        objective, phi = objective_of("gaussian")
        asked = []

        class Creeping(kind):
            def step(self, objective, state):
                return state, Info(0.0, 1.0, 0.0)

        def hopeless(at):
            asked.append(at)
            return len(asked) == 2

        end = run(Creeping(), objective, phi, tol=1e-8, hopeless=hopeless)
        assert (end.iterations * kind().inner, end.converged) == (2 * LONG, False)
        part = self.of(60)
        low = np.where(part.coordinates.block == -1, part.coordinates.lower, 0.0)
        assert part.ranking.lost(low) and not part.ranking.lost(np.zeros(part.size))
        assert not replace(part, rank_by="likelihood").ranking.lost(low)

    def test_a_curvature_without_digits_says_nothing_of_rays(self):
        objective, phi = objective_of("gaussian")
        e = objective.evaluate(phi, Order.CURVATURE)
        seen = receding(objective, phi, e)
        own = np.flatnonzero(objective.coordinates.block == 1)
        lost = e.curvature.copy()
        lost[np.ix_(own, own)] = np.nan
        assert np.array_equal(receding(objective, phi, replace(e, curvature=lost)), seen)

    @pytest.mark.parametrize(("solver", "inner"), [("auto", 1), ("lbfgs", LBFGS().inner)])
    def test_refused_optima_are_polished_briefly_beside_one_that_is(self, solver, inner, monkeypatch):
        seen, advance = [], Candidate.advance

        def spy(self, problem, **how):
            seen.append((self.key[0], how["max_iter"]))
            advance(self, problem, **how)

        monkeypatch.setattr(Candidate, "advance", spy)
        x, y = two_lines(12)
        MoERegressor(2, n_starts=8, random_state=0, solver=solver).fit(x, y)
        assert seen[1][1] is None  # after one expert, the best of two
        later = [limit for kind, limit in seen[2:] if kind in (0, 1)]
        assert later
        assert set(later) == {REFUSED // inner}
        seen.clear()  # six columns: no two experts have rows enough, so none waits for one that is usable
        x, y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20.0)
        for most in (None, 2 * REFUSED):
            MoERegressor(2, n_starts=1, random_state=0, solver=solver, max_iter=most).fit(x, y)
        limits = [limit for _, limit in seen]
        assert limits[0] is None and set(limits) == {None, REFUSED // inner, 2 * REFUSED}
        assert limits[1] == REFUSED // inner


class TestNested:
    @pytest.mark.parametrize("name", COMPILED)
    def test_never_below_one_expert_less_and_the_same_in_any_range(self, name):
        model, rows, _ = problem(name, 1, n=120, seed=5)
        options = Options(seed=0, n_starts=8)
        fits = fit_mixtures(model, rows, [1, 2, 3], options)
        assert [f.model.k for f in fits] == [1, 2, 3]
        values = [f.log_likelihood for f in fits if f.status.usable]
        assert len(values) >= 2
        assert (np.diff(values) >= -1e-6).all()
        alone = fit_mixtures(model, rows, [3], options)[0]
        assert np.array_equal(alone.theta, fits[2].theta)

    def test_numbered_starts_that_end_below_go_on_with_moves(self):
        (model, rows, _), few = problem("gaussian", 3, n=120, seed=5), Options(seed=0, n_starts=1)
        smaller = fit_mixture(replace(model, k=2), rows, few)
        one, best = fit_mixture(model, rows, few), fit_mixture(model, rows, Options(seed=0))
        assert one.log_likelihood < best.log_likelihood - 0.5
        wanted = replace(smaller, log_likelihood=best.log_likelihood - 0.1)
        coordinates = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        found = fit_problem(MixtureProblem(rows, coordinates, Newton()), few, wanted)
        assert found.log_likelihood == pytest.approx(best.log_likelihood, abs=0.1)
        assert any(s.startswith("move") for s in found.starts["strategy"])
        assert not any(s.startswith("move") for s in one.starts["strategy"])

    def test_twice_the_same_expert_is_the_same_density(self):
        model, rows, _ = problem("gaussian", 2, n=120)
        fit = fit_mixture(model, rows, Options(seed=0))
        from dataclasses import replace

        theta = duplicated(fit)[0]
        wide = NativeEngine(replace(model, k=3), rows)
        assert wide.evaluate(theta, Order.VALUE).value == pytest.approx(fit.log_likelihood, rel=1e-12)

    def test_sweep_command_and_estimator_agree(self):
        from moestro.api import fit_formula

        tone = load_dataset("tone")
        alone = MoERegressor.from_formula("tuned ~ stretchratio", tone, n_experts=3, random_state=1)
        swept = fit_formula("tuned ~ stretchratio", tone, "gaussian", [1, 2, 3], Options(seed=1))
        assert alone.log_likelihood_ == swept.sweep.fits[2].log_likelihood


class TestBits:
    def test_threads(self):
        x, y = noisy(400)
        a, b = (MoERegressor(3, random_state=0, n_jobs=n).fit(x, y) for n in (1, 3))
        assert a.log_likelihood_ == b.log_likelihood_
        assert a.starts_.columns == b.starts_.columns
        assert a.search_ == b.search_

    @pytest.mark.parametrize("n", [400, 20_000])
    def test_the_order_of_the_rows_does_not_matter(self, n):
        x, y = noisy(n)
        order = np.random.default_rng(3).permutation(n)
        a = MoERegressor(2, random_state=0).fit(x, y)
        b = MoERegressor(2, random_state=0).fit(x[order], y[order])
        assert b.log_likelihood_ == pytest.approx(a.log_likelihood_, rel=1e-9)

    def test_a_sample_follows_what_is_in_the_rows(self):
        _, rows, _ = problem("gaussian", 1, n=500)
        order = np.random.default_rng(0).permutation(500)
        seed = np.random.SeedSequence(7)
        here, there = sample_rows(rows, seed), sample_rows(rows.take(order), seed)
        assert np.array_equal(rows.y[here], rows.take(order).y[there])
        assert sorted(here) == list(range(500))
        twice = rows.take(np.repeat(np.arange(100), 5))  # copies are drawn one by one
        assert len(set(twice.y[sample_rows(twice, seed)[:100]])) > 50


def test_large_data_are_judged_on_other_rows():
    """Ties make narrow experts on any subsample; other rows do not bear them out."""
    rng = np.random.default_rng(0)
    n = 30_000
    x = rng.standard_normal((n, 2))
    y = np.round(np.where(rng.random(n) < 0.3, 2 + x[:, 0], -x[:, 1]) + rng.standard_normal(n), 1)
    for seed in range(2):
        model = MoERegressor(2, random_state=seed).fit(x, y)
        assert str(model.status_.kind) == "converged"
        assert min(model.responsibilities(x, y).sum(axis=0)) > 7_000
        assert model.search_.best == pytest.approx(model.log_likelihood_)


def test_classes_too():
    x, y = three_classes()
    values = [MoEClassifier(2, random_state=s).fit(x, y).log_likelihood_ for s in range(2)]
    assert np.ptp(values) < 0.01


@pytest.fixture(scope="module")
def _aer():
    rscript = shutil.which("Rscript")
    code = 'quit(status = !nzchar(system.file(package = "AER")))'
    if rscript is None or subprocess.run([rscript, "-e", code], capture_output=True, check=False).returncode:
        pytest.skip("needs R with AER: apt-get install r-cran-aer")


@pytest.mark.usefixtures("_aer")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["CPS1985", "RecreationDemand", "PhDPublications", "CPS1988"])
def test_real_data_from_every_seed(name):
    """On each of these, a search of starts alone ends at different optima from different seeds."""
    import json

    from moestro.bench import search

    case = search.CASES[name]
    best = json.loads(search.BEST.read_text())[name]
    frame = search.load(case.source)
    for seed in range(1 if name == "CPS1988" else 5):
        fit = search._fit(case, frame, [case.k], seed)[-1]
        assert fit.log_likelihood >= best["value"] - search.SAME
        assert fit.log_likelihood >= best["smaller"]


def test_what_searches_said_beside_what_they_missed():
    from moestro.bench.search import reliability

    table = reliability([(0.0, False), (0.04, True), (0.2, False), (1.0, True), (1.0, True), (0.75, False)])
    assert table["from"] == [0.0, 0.2, 0.75]
    assert table["fits"] == [2, 1, 3]
    np.testing.assert_allclose(table["said"], [0.02, 0.2, 2.75 / 3])
    np.testing.assert_allclose(table["missed"], [0.5, 0.0, 2 / 3])


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_starts_of_columns_that_no_gate_scales(name):
    """Columns of 1e15, and of 1e153, of which squares are and are no doubles."""
    r = np.random.default_rng(0)
    for size in (1e15, 1e153):
        x = size * np.column_stack([np.ones(6), r.normal(size=6)])
        with np.errstate(over="ignore"):
            memberships = STRATEGIES[name](r, x, r.normal(size=6), np.ones(6), 3)
        assert np.isfinite(memberships).all()

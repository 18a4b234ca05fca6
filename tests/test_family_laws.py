"""What holds for the sums and the steps of every family of experts, {ungrouped, grouped} x {offset, none} x
{weights, none}: one table, so that a new family is one line of `FAMILIES` in conftest.py."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from conftest import FAMILIES, differences, family_of, lengths, moved, problem
from moestro import _core
from moestro.design import ArrayDesign
from moestro.engine import ArrayEngine, Order, TermsEngine, make_engine
from moestro.experts import Mixed
from moestro.gates import TopKGate
from moestro.gates.topk import RelaxedTopKGate
from moestro.measure import from_user, to_user
from moestro.model import Model
from moestro.rows import Groups, Rows, read_rows
from moestro.solvers import EM, Coordinates, Newton, Objective, run

FIELDS = ("value", "mass", "gradient", "information", "curvature")
CASES = [
    pytest.param(name, *how, id="-".join([name, *(w for w, on in zip(WORDS, how, strict=True) if on)]))
    for WORDS in [("grouped", "offset", "weights")]
    for name in FAMILIES
    for how in product((False, True), repeat=3)
    if not how[1] or family_of(name).takes_offset
]
NOTHING = (False, False, False)
# What takes a fit: with nothing beside the columns, and with all that there can be; what is between is slow.
FITTED = [
    pytest.param(*p.values, id=p.id, marks=() if how in (NOTHING, (True, offset, True)) else pytest.mark.slow)
    for p in CASES
    for how, offset in [(p.values[1:], family_of(p.values[0]).takes_offset)]
]


@cache
def case(name, grouped, offset, weights, k=2, n=60):
    """Model, rows and a random theta; groups of 1 to 7 rows."""
    model, rows, theta = problem(name, k, e=1, n=n, weights=weights)
    rng = np.random.default_rng(1)
    if offset:
        trials = [] if rows.known is None else [rows.known[:, 1]]
        rows = replace(rows, known=np.column_stack([rows.y_scale * rng.uniform(-1, 1, n), *trials]))
    if grouped:
        sizes = np.array([3, 1, 4, 2, 5, 1, 7] * (n // 23 + 1))
        sizes = sizes[np.cumsum(sizes) <= n]
        groups = Groups.of_sizes(np.append(sizes, n - sizes.sum()) if sizes.sum() < n else sizes)
        z = rows.z[groups.expand(groups.first)]
        rows = replace(rows, z=z, w=None if rows.w is None else rows.w[groups.first], groups=groups)
    return model, rows, theta


def objective_of(model, rows, engine=make_engine):
    return Objective(engine(model, rows), Coordinates.of(model, rows.x_scaling, rows.z_scaling))


def turned(model):
    """The model whose expert 1 has the family of expert 2."""
    law = model.family
    return replace(model, family=Mixed(law.members[::-1])) if law.members else model


def close(a, b, tolerance):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance * max(np.abs(a).max(), 1.0))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_response_is_checked_each_number_by_itself(name):
    """A block of a file may have one row, or none with a weight."""
    model, rows, _ = case(name, False, False, False)
    for n in (0, 1, rows.n):
        model.family.check_response(rows.y[:n])


@pytest.mark.parametrize(("name", "grouped", "offset", "weights"), CASES)
class TestEveryFamily:
    def test_engines_agree(self, name, grouped, offset, weights):
        model, rows, theta = case(name, grouped, offset, weights)
        a = ArrayEngine(model, rows)
        r = np.random.default_rng(0).dirichlet(np.ones(model.k), rows.n_units)
        for b in (make_engine(model, rows), TermsEngine(model, rows)):
            for order in Order:
                one, other = a.evaluate(theta, order), b.evaluate(theta, order)
                assert all(close(getattr(one, f), getattr(other, f), 1e-10) for f in FIELDS[: 2 + order])
            one, other = (e.evaluate(theta, Order.INFORMATION, r) for e in (a, b))
            assert all(close(getattr(one, f), getattr(other, f), 1e-10) for f in FIELDS[:4])
            one, other = (e.rowwise(theta, scores=True) for e in (a, b))
            assert close(one.log_density, other.log_density, 1e-10)
            assert close(one.responsibilities, other.responsibilities, 1e-10)
            assert close(one.scores, other.scores, 1e-10)

    def test_derivatives_are_those_of_the_value(self, name, grouped, offset, weights):
        objective = objective_of(*case(name, grouped, offset, weights)[:2])
        phi = objective.coordinates.collapse(case(name, grouped, offset, weights)[2])
        e = objective.evaluate(phi, Order.CURVATURE)
        gradient, hessian = differences(objective, phi)
        np.testing.assert_allclose(e.gradient, gradient, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
        np.testing.assert_allclose(e.curvature, hessian, rtol=1e-5, atol=1e-6 * np.abs(hessian).max())

    def test_labels_do_not_matter(self, name, grouped, offset, weights):
        model, rows, theta = case(name, grouped, offset, weights)
        a, b = (
            make_engine(m, rows).evaluate(t, Order.VALUE)
            for m, t in ((model, theta), (turned(model), model.permute(theta, [1, 0])))
        )
        assert a.value == pytest.approx(b.value, rel=1e-12)
        np.testing.assert_allclose(a.mass, b.mass[::-1], rtol=1e-11)

    def test_a_weight_is_a_repeated_unit(self, name, grouped, offset, weights):
        model, rows, theta = case(name, grouped, offset, weights)
        count = np.random.default_rng(0).integers(0, 3, rows.n_units)
        w = np.ones(rows.n_units) if rows.w is None else rows.w
        often = rows.take(np.repeat(np.arange(rows.n_units), count))
        weighted = replace(rows, w=w * count)
        a, b, c = (
            make_engine(model, r).evaluate(theta, Order.CURVATURE) for r in (weighted, often, often.merged())
        )
        for other in (b, c):
            assert all(close(getattr(a, f), getattr(other, f), 1e-10) for f in FIELDS)


@pytest.mark.parametrize(("name", "grouped", "offset", "weights"), FITTED)
class TestEveryFit:
    def test_em_never_falls_and_newton_ends_at_a_zero_score(self, name, grouped, offset, weights):
        binary = name.startswith("binomial")  # two laws of single trials are hardly told apart
        model, rows, theta = case(name, grouped, offset, weights, k=1 if binary else 2, n=120)
        objective = objective_of(model, rows)
        start = objective.coordinates.collapse(0.3 * theta)
        em = run(EM(), objective, start, tol=1e-5, max_iter=60)
        values = [objective.evaluate(start, Order.VALUE).value, *(i.value for i in em.trace)]
        assert (np.diff(values) >= 0).all()
        end = run(Newton(), objective, em.phi, tol=1e-8)
        assert end.value >= em.value - 1e-9 * abs(em.value)
        assert objective.gradient_norm(end.phi, end.evaluation.gradient) <= 1e-8

    def test_units_do_not_matter(self, name, grouped, offset, weights):
        """The same law of the response in other units of the columns and of a response that is scaled."""
        model, rows, _ = case(name, grouped, offset, weights)
        c, d = (30.0, 5.0) if model.family.scales_response else (1.0, 0.0)
        values = []
        for ux, s, c_, d_ in ((1.0, 0.0, 1.0, 0.0), (100.0, -3.0, c, d)):
            x = ux * rows.x + s
            if offset:
                x = np.column_stack([x, c_ * rows.known[:, 0]])
            trials = rows.known[:, 1] if name == "trials" else None
            ids = None if rows.groups is None else rows.groups.expand(np.arange(rows.n_units))
            design = ArrayDesign(("a", "b", "c"), (0, 1), (2,), known=int(offset))
            again, units = read_rows(
                design, x, rows.z, c_ * rows.y + d_, rows.row_weights, model.family, groups=ids, trials=trials
            )
            law = moved(model.family, c_, d_).on(units.y_center, units.y_scale)
            one = Model(model.gate, law, max(len(model.family.members), 1), again.q, again.p)
            objective = objective_of(one, again)
            end = run(Newton(), objective, objective.coordinates.collapse(np.zeros(one.size)), tol=1e-10)
            w = 1.0 if rows.row_weights is None else rows.row_weights
            values.append(end.value + np.log(c_) * np.sum(w * lengths(model.family, rows.y)))
            theta = end.phi if objective.coordinates.is_identity else objective.coordinates.expand(end.phi)
            np.testing.assert_allclose(from_user(one, units, to_user(one, units, theta)), theta, atol=1e-9)
        assert values[0] == pytest.approx(values[1], rel=1e-9)


@pytest.mark.parametrize("name", [n for n in FAMILIES if not family_of(n).members])
class TestEveryLaw:
    """What a family says of one predictor agrees with its own density."""

    def points(self, name):
        """Predictors (40, m + nu) and responses of their laws."""
        law, rng = family_of(name), np.random.default_rng(0)
        low, high = (bound[2 : 2 + law.nuisances] for bound in law.bounds())
        centre = np.clip(0.5 * (low + high), -1, 3)
        eta = 0.5 * rng.standard_normal((40, law.predictors + law.nuisances))
        eta[:, law.predictors :] += centre
        return law, eta, law.sample(eta, rng)

    def test_scores_and_curvatures(self, name):
        law, eta, y = self.points(name)
        h, m = 1e-5, eta.shape[1]
        ends = [(eta + h * e, eta - h * e) for e in np.eye(m)]
        score = np.stack(
            [(law.log_density(a, y) - law.log_density(b, y)) / (2 * h) for a, b in ends], axis=-1
        )
        curvature = np.stack([(law.score(a, y) - law.score(b, y)) / (2 * h) for a, b in ends], axis=-1)
        np.testing.assert_allclose(law.score(eta, y), score, rtol=1e-6, atol=1e-7 * np.abs(score).max())
        np.testing.assert_allclose(
            law.curvature(eta, y), curvature, rtol=1e-6, atol=1e-7 * np.abs(curvature).max()
        )

    def test_mean_variance_and_distribution_are_those_of_draws(self, name):
        law = family_of(name)
        eta = np.broadcast_to(self.points(name)[1][3], (100_000, law.predictors + law.nuisances))
        y = law.sample(eta, np.random.default_rng(1))
        if law.labels:
            for c in range(law.labels):
                assert abs((y == c).mean() - law.mean(eta[0])[c]) < 0.01
        else:
            sd = np.sqrt(law.variance(eta[0]))
            assert abs(y.mean() - law.mean(eta[0])) < 5 * sd / np.sqrt(len(y))
            assert y.var() == pytest.approx(law.variance(eta[0]), rel=0.1)
        for q in (0.1, 0.5, 0.9):
            at = np.quantile(y, q)
            assert abs((y <= at).mean() - law.cdf(eta[0], np.array(at))) < 0.01

    def test_the_information_is_minus_the_mean_curvature(self, name):
        """Of a nuisance it may be an upper bound; between predictors and nuisances it is zero: EM takes one
        after the other."""
        law = family_of(name)
        eta = np.broadcast_to(self.points(name)[1][5], (100_000, law.predictors + law.nuisances))
        y = law.sample(eta, np.random.default_rng(2))
        mean = -law.curvature(eta, y).mean(axis=0)
        m, information = law.predictors, law.information(eta[0])
        assert not information[:m, m:].any()
        own, nuisance = (
            np.linalg.solve(mean[at, at], information[at, at]) for at in (slice(m), slice(m, None))
        )
        np.testing.assert_allclose(np.linalg.eigvals(own), 1, rtol=0.1)
        assert ((np.linalg.eigvals(nuisance).real > 0.85) & (np.linalg.eigvals(nuisance).real < 3)).all()


class TestTermsFromOutside:
    """Families in NumPy over the compiled sums: `engine/terms.py`."""

    def pieces(self, monkeypatch, grouped=False):
        monkeypatch.setattr("moestro.engine.terms.PIECE", 256)
        return case("gamma", grouped, True, True, n=1000)

    @pytest.mark.parametrize("grouped", [False, True])
    def test_pieces_of_rows_are_one_sum_and_threads_change_no_bit(self, monkeypatch, grouped):
        model, rows, theta = self.pieces(monkeypatch, grouped)
        first = TermsEngine(model, rows, 1).evaluate(theta, Order.CURVATURE)
        assert all(
            close(getattr(first, f), getattr(ArrayEngine(model, rows).evaluate(theta, 3), f), 1e-10)
            for f in FIELDS
        )
        for threads in (2, 3, 8):
            other = TermsEngine(model, rows, threads).evaluate(theta, Order.CURVATURE)
            assert all(np.array_equal(getattr(first, f), getattr(other, f)) for f in FIELDS)

    def test_several_thetas_are_each_alone_to_the_last_bit(self):
        model, rows, theta = case("student", True, False, True, n=120)
        thetas = np.array([theta, 0.5 * theta, -theta])
        engine = TermsEngine(model, rows, 2)
        r = np.random.default_rng(0).dirichlet(np.ones(2), (3, rows.n_units))
        for given in (None, r):
            together = engine.evaluate_all(thetas, Order.CURVATURE, given, 3).each()
            for i, one in enumerate(together):
                alone = engine.evaluate(thetas[i], Order.CURVATURE, None if given is None else given[i])
                assert all(np.array_equal(getattr(one, f), getattr(alone, f)) for f in FIELDS)

    def test_instruction_sets_agree(self):
        model, rows, theta = case("beta", False, True, True)
        first = TermsEngine(model, rows, 1, "baseline").evaluate(theta, Order.CURVATURE)
        for isa in _core.instruction_sets():
            other = TermsEngine(model, rows, 1, isa).evaluate(theta, Order.CURVATURE)
            assert all(close(getattr(first, f), getattr(other, f), 1e-12) for f in FIELDS), isa

    @pytest.mark.parametrize("gate", [TopKGate(2), RelaxedTopKGate(2, "score", 0.1)], ids=["sharp", "soft"])
    def test_a_sparse_gate(self, gate):
        model, rows, theta = case("gamma", False, False, True, k=3)
        model = replace(model, gate=gate)
        a, b = (e(model, rows).evaluate(theta, Order.CURVATURE) for e in (ArrayEngine, TermsEngine))
        assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS)

    def test_what_is_no_number_stays_none(self):
        model, rows, theta = case("gamma", False, False, False)
        for at in (0, model.size - 1):
            bad = np.where(np.arange(model.size) == at, np.nan, theta)
            assert np.isnan(TermsEngine(model, rows).evaluate(bad, Order.VALUE).value)


def test_rows_keep_what_is_known():
    rows = case("poisson", False, True, False)[1]
    assert isinstance(rows, Rows)
    np.testing.assert_array_equal(rows.inputs[:, -1], rows.known[:, 0])
    np.testing.assert_array_equal(np.concatenate([p.known for p in rows.parts(7)]), rows.known)
    np.testing.assert_array_equal(np.concatenate([b.known for b in rows.blocks(7)]), rows.scaled_known)

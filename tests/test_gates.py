"""Gates: derivatives, invariances, fits, files; a new gate is a line in the table."""

import warnings
from dataclasses import fields, replace

import numpy as np
import pytest

from conftest import problem, two_lines
from moestro import MixingMeasure, MoERegressor
from moestro.design import ArrayDesign, fit_scaling
from moestro.engine import ArrayEngine, NativeEngine, Order, ScoresEngine, make_engine, scores
from moestro.errors import DataError
from moestro.experts import Binomial, Gamma, Gaussian
from moestro.fitted import FittedModel
from moestro.gates import (
    GATES,
    ActivatedTemperatureGate,
    CosineGate,
    LaplaceGate,
    PerturbedCosineGate,
    SigmoidGate,
    SoftmaxGate,
    TemperatureGate,
    TopKGate,
    log_softmax,
    make_gate,
)
from moestro.gates.topk import RelaxedTopKGate
from moestro.measure import from_user, measure_of, theta_of, to_user
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.problems.boundaries import move_boundaries
from moestro.rows import read_rows
from moestro.rows.groups import Groups
from moestro.search import Options
from moestro.solvers import EM, Coordinates, Objective, run
from moestro.studies import find_study
from moestro.studies.design import read_truth
from moestro.studies.softmax_gaussian import gaussian_measure

TABLE = [
    SoftmaxGate(),
    TopKGate(2),
    TopKGate(2, "logit"),
    SigmoidGate(),
    LaplaceGate(),
    TemperatureGate(),
    ActivatedTemperatureGate(),
    ActivatedTemperatureGate("tanh"),
    CosineGate(),
    PerturbedCosineGate(),
]
SOFT = [RelaxedTopKGate(1, "score", 0.5), RelaxedTopKGate(2, "logit", 0.2)]  # fits pass through them only
IDS = [f"{g.name}-{'-'.join(map(str, g.options().values()))}" for g in TABLE]


def small(gate, k=3, seed=0, n=60):
    """Model, rows, units and a random theta at which no ranking of experts is about to change."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2)) * [1.0, 3.0] + [0.5, -1.0]
    y, w = rng.standard_normal(n), rng.uniform(0, 2, n)
    rows, units = read_rows(
        ArrayDesign(("a", "b"), (0, 1), None), x, None, y, w, Gaussian(), gate_scaling=gate.scaling
    )
    model = Model(gate, Gaussian(), k, rows.q, rows.p)
    theta = 0.6 * rng.standard_normal(model.size)
    theta[: model.gate_size][gate.held(k, model.q)] = 0.0
    return model, rows, units, theta


def derivatives(gate):
    model, rows, _, theta = small(gate)
    engine = ArrayEngine(model, rows)
    at = engine.evaluate(theta, Order.CURVATURE)
    h = 1e-5
    step = h * np.eye(model.size)
    up = [engine.evaluate(theta + s, Order.GRADIENT) for s in step]
    down = [engine.evaluate(theta - s, Order.GRADIENT) for s in step]
    slope = np.array([a.value - b.value for a, b in zip(up, down, strict=True)]) / (2 * h)
    bend = np.array([a.gradient - b.gradient for a, b in zip(up, down, strict=True)]) / (2 * h)
    np.testing.assert_allclose(at.gradient, slope, atol=2e-6 * np.abs(slope).max())
    np.testing.assert_allclose(at.curvature, bend, atol=2e-6 * np.abs(bend).max())
    assert np.linalg.eigvalsh(at.information).min() >= -1e-9 * np.abs(at.information).max()


def test_every_gate_is_in_the_table():
    assert {g.name for g in TABLE} == set(GATES)


@pytest.mark.parametrize("gate", TABLE, ids=IDS)
class TestEveryGate:
    def test_derivatives_are_those_of_the_value(self, gate):
        derivatives(gate)

    def test_units_come_back(self, gate):
        model, rows, units, theta = small(gate)
        np.testing.assert_allclose(from_user(model, units, to_user(model, units, theta)), theta, atol=1e-12)
        measure = measure_of(model, units, theta)
        np.testing.assert_allclose(theta_of(measure, units), theta, atol=1e-10)
        value = float(rows.w @ measure.log_density(rows.x, rows.y))
        assert value == pytest.approx(ArrayEngine(model, rows).evaluate(theta, Order.VALUE).value, rel=1e-10)
        again = MixingMeasure.from_json(measure.to_json())
        np.testing.assert_array_equal(again.log_density(rows.x, rows.y), measure.log_density(rows.x, rows.y))

    def test_declared_translations_leave_the_density(self, gate):
        model, rows, units, theta = small(gate)
        measure = measure_of(model, units, theta)
        before = measure.log_density(rows.x, rows.y)
        moved = {
            "weights": measure.translate(1.3, 0.0),
            "slopes": measure.translate(0.0, np.array([0.4, -0.2])),
        }
        for name, other in moved.items():
            same = np.allclose(other.log_density(rows.x, rows.y), before, rtol=1e-10)
            assert same == (name in measure.gate_translations)

    def test_em_never_lowers_the_likelihood(self, gate):
        model, rows, _, theta = small(gate)
        c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        objective, phi = Objective(ArrayEngine(model, rows), c), c.collapse(theta)
        trace = run(EM(), objective, phi, tol=1e-9, max_iter=25).trace
        values = [objective.evaluate(phi, Order.VALUE).value, *(i.value for i in trace)]
        assert len(values) > 5
        assert (np.diff(values) >= 0).all()
        assert values[-1] > values[0] + 1

    def test_files(self, gate, tmp_path):
        x, y = two_lines(80)
        model = MoERegressor(2, gate=gate, n_starts=2, random_state=0, max_iter=30).fit(x, y)
        model.save(tmp_path / "model.json")
        again = FittedModel.load(tmp_path / "model.json")
        np.testing.assert_array_equal(again.mean(x, None), model.predict(x))


class TestTopK:
    @pytest.mark.parametrize("rank", ["score", "logit"])
    @pytest.mark.parametrize("name", ["gaussian", "multinomial", "poisson"])
    @pytest.mark.parametrize("e", [None, 0, 1, 2])
    def test_native_is_the_twin_of_array(self, name, rank, e):
        """With sharp boundaries and with soft ones, of any width."""
        for k, top in ((2, 1), (4, 2), (4, 3), (3, 3)):
            model, rows, theta = problem(name, k, e=e, n=333)
            soft = [RelaxedTopKGate(top, rank, tau) for tau in (1.0, 0.01)] if top < k else []
            for gate in (TopKGate(top, rank), *soft):
                model = replace(model, gate=gate)
                engines = ArrayEngine(model, rows), NativeEngine(model, rows)
                a, b = (engine.evaluate(theta, Order.CURVATURE) for engine in engines)
                assert a.value == pytest.approx(b.value, rel=1e-12)
                for part in ("mass", "gradient", "information", "curvature"):
                    u, v = getattr(a, part), getattr(b, part)
                    np.testing.assert_allclose(u, v, rtol=1e-9, atol=1e-10 * np.abs(u).max())
                u, v = (engine.rowwise(theta, scores=True).scores for engine in engines)
                np.testing.assert_allclose(u, v, rtol=1e-9, atol=1e-10 * np.abs(u).max())

    @pytest.mark.parametrize("rank", ["score", "logit"])
    @pytest.mark.parametrize("size", [30.0, 400.0, 5000.0])
    def test_soft_boundaries_of_extreme_gates(self, size, rank):
        model, rows, theta = problem("poisson", 3, n=100)
        model = replace(model, gate=RelaxedTopKGate(2, rank, 0.001))
        theta[: model.gate_size] *= size
        a, b = (kind(model, rows).evaluate(theta, Order.CURVATURE) for kind in (ArrayEngine, NativeEngine))
        for part in ("value", "mass", "gradient", "information", "curvature"):
            u, v = getattr(a, part), getattr(b, part)
            assert np.isfinite(v).all()
            # Exponents near 1e7 carry 1e-9 of their argument.
            np.testing.assert_allclose(u, v, rtol=1e-8, atol=1e-8 * np.abs(u).max())

    def test_only_k_experts_have_weight_and_all_of_them_make_the_dense_gate(self):
        x, y = two_lines(150)
        sparse = MoERegressor(3, top_k=2, n_starts=4, random_state=0).fit(x, y)
        assert ((sparse.gate_proba(x) > 0).sum(axis=1) == 2).all()
        z, rows = np.column_stack([np.ones(9), np.linspace(-1, 1, 9)]), np.array([[0.3, 1.0], [-0.2, 2.0]])
        np.testing.assert_array_equal(
            TopKGate(3).scores(rows, np.zeros(0), z), SoftmaxGate().scores(rows, np.zeros(0), z)
        )

    def test_the_two_rankings_differ_where_the_bias_decides(self):
        rows, z = np.array([[-8.0, 25.0]]), np.column_stack([np.ones(5), np.linspace(0.1, 0.9, 5)])
        assert TopKGate(1, "score").selected(rows, z)[:, 0].all()
        np.testing.assert_array_equal(TopKGate(1, "logit").selected(rows, z)[:, 0], z[:, 1] > 0.32)

    def test_annealing_finds_a_switch(self):
        rng = np.random.default_rng(0)
        x = rng.uniform(size=(600, 1))
        right = x[:, 0] > 0.32
        y = np.where(right, 15 - 20 * x[:, 0], -5 + 20 * x[:, 0]) + rng.standard_normal(600) * np.where(
            right, 0.3, 0.4
        )
        model = MoERegressor(2, top_k=1, rank_on="logit", random_state=0).fit(x, y)
        np.testing.assert_allclose(sorted(model.measure_.slopes[:, 0, 0]), [-20, 20], atol=0.5)
        m = model.measure_
        switch = -(m.log_weights[0] - m.log_weights[1]) / (m.gate_slopes[0, 0] - m.gate_slopes[1, 0])
        assert switch == pytest.approx(0.32, abs=0.02)
        assert model.search_.found >= 5


@pytest.mark.parametrize("gate", SOFT, ids=["top-1 by score", "top-2 by logit"])
def test_soft_boundaries(gate):
    """Their derivatives, and their limits: the dense gate where they are wide, the sparse one where not."""
    derivatives(gate)
    rng = np.random.default_rng(1)
    rows, z = rng.standard_normal((2, 3)), np.column_stack([np.ones(50), rng.standard_normal((50, 2))])
    nothing = np.zeros(0)

    def shares(gate):
        return np.exp(log_softmax(gate.scores(rows, nothing, z)))

    wide, hard = replace(gate, tau=1e9), replace(gate, tau=1e-9)
    np.testing.assert_allclose(shares(wide), shares(SoftmaxGate()), atol=1e-8)
    np.testing.assert_allclose(shares(hard), shares(TopKGate(gate.top_k, gate.rank_on)), atol=1e-8)


def test_boundaries_are_moved_although_the_gradient_does_not_see_them():
    """With one expert selected the gate has no gradient: from a wrong switch EM and Newton alone would stay
    there."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(400, 1))
    y = np.where(x[:, 0] > 0.4, 2 - x[:, 0], x[:, 0]) + 0.1 * rng.standard_normal(400)
    gate = TopKGate(1, "logit")
    rows, units = read_rows(
        ArrayDesign(("x",), (0,), None), x, None, y, None, Gaussian(), gate_scaling=gate.scaling
    )
    start = MixingMeasure([-5.0, 0.0], [[10.0], [0.0]], [[2.0], [0.0]], [[[-1.0]], [[1.0]]],
                          np.log([[0.01], [0.01]]), "gaussian", "top-k",
                          gate_options=gate.options())  # fmt: skip
    theta = theta_of(start, units)
    model = Model(gate, Gaussian(), 2, rows.q, rows.p)
    before = ArrayEngine(model, rows).evaluate(theta, Order.VALUE).value
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling)
    phi = move_boundaries(Objective(ArrayEngine(model, rows), c), c.collapse(theta))
    moved = c.expand(phi)
    found = measure_of(model, units, moved)
    assert ArrayEngine(model, rows).evaluate(moved, Order.VALUE).value > before + 50
    switch = -(found.log_weights[0] - found.log_weights[1]) / (
        found.gate_slopes[0, 0] - found.gate_slopes[1, 0]
    )
    assert switch == pytest.approx(0.4, abs=0.02)


def test_a_maximum_at_a_jump_ends_converged():
    """The experts are at rest, no boundary can be moved uphill, and the sentence says where the gate is."""
    study = find_study("topk")
    arm = study.plan("as_defined", "paper", only="K=2").arms[0]
    rng = np.random.default_rng(5)
    truth = read_truth(arm, gaussian_measure, gate="top-k")
    x = rng.uniform(size=(1500, 1))
    y, _ = truth.sample(x, rng)
    gate = TopKGate(2, "logit")
    design = ArrayDesign(("x",), (0,), None)
    rows, _ = read_rows(design, x, None, y, None, Gaussian(), gate_scaling=gate.scaling)
    model = Model(gate, Gaussian(), 3, rows.q, rows.p)
    kinds = set()
    for seed in range(3):
        fit = fit_mixture(model, rows, Options(seed=seed, n_starts=4))
        kinds.add(str(fit.status.kind))
        c = fit.coordinates
        assert move_boundaries(Objective(ArrayEngine(model, rows), c), c.collapse(fit.theta)) is None
    assert "stopped at the limit" not in kinds


class TestCompiledSums:
    """Sums of a gate that is written in NumPy are the array engine's, but for rounding."""

    GATES = pytest.mark.parametrize("gate", TABLE[3:], ids=IDS[3:])

    @GATES
    @pytest.mark.parametrize("family", ["gaussian", "multinomial", Gamma(), Binomial()], ids=str)
    @pytest.mark.parametrize("sizes", [None, 4], ids=["rows", "groups"])
    def test_are_those_of_the_reference(self, gate, family, sizes, monkeypatch):
        monkeypatch.setattr(scores, "PIECE", 200)
        monkeypatch.setattr(scores, "BLOCK", 64)
        name = family if isinstance(family, str) else "poisson"
        for k in (1, 3):
            model, rows, theta = problem(name, k, n=332, e=2)
            if name == "poisson":
                y = rows.y + 1.0 if isinstance(family, Gamma) else np.minimum(rows.y, 1.0)
                model, rows = replace(model, family=family), replace(rows, y=y)
            model = replace(model, gate=gate)
            theta = 0.4 * np.random.default_rng(k).standard_normal(model.size)
            if sizes is not None:
                groups = Groups.of_sizes(np.r_[np.full(80, sizes), 12])
                z = groups.expand(rows.z[groups.first])
                rows = replace(rows, z=z, groups=groups, w=np.random.default_rng(0).random(81))
            ours, reference = make_engine(model, rows), ArrayEngine(model, rows)
            assert isinstance(ours, ScoresEngine)
            given = np.random.default_rng(1).random((rows.n_units, k))
            for order in Order:
                for r in (None, given):
                    close(ours.evaluate(theta, order, r), reference.evaluate(theta, order, r))
            close(ours.rowwise(theta, scores=True), reference.rowwise(theta, scores=True))
            several = np.stack([theta, 0.5 * theta])
            close(
                ours.evaluate_all(several, Order.CURVATURE), reference.evaluate_all(several, Order.CURVATURE)
            )

    @GATES
    def test_do_not_depend_on_the_number_of_threads(self, gate):
        model, rows, _, theta = small(gate, n=700)
        one, two = (make_engine(model, rows, threads=n).evaluate(theta, Order.CURVATURE) for n in (1, 2))
        for part in ("value", "mass", "gradient", "information", "curvature"):
            np.testing.assert_array_equal(getattr(one, part), getattr(two, part))

    def test_of_no_number_and_of_large_ones(self):
        model, rows, _, theta = small(SigmoidGate())
        engine = make_engine(model, rows)
        for size in (1e3, 1e6):
            large = theta * np.where(np.arange(model.size) < model.gate_size, size, 1.0)
            close(
                engine.evaluate(large, Order.CURVATURE),
                ArrayEngine(model, rows).evaluate(large, Order.CURVATURE),
            )
        theta[0] = np.nan
        assert np.isnan(engine.evaluate(theta, Order.VALUE).value)


def close(ours, reference):
    """Each part to 1e-10 of its largest entry."""
    for field in fields(ours):
        a, b = getattr(ours, field.name), getattr(reference, field.name)
        assert (a is None) == (b is None), field.name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max(), err_msg=field.name)


def test_a_gate_of_ones_own_runs():
    """Documented: three methods are enough."""

    class QuadraticGate(SoftmaxGate):
        name = "quadratic"
        scaling = "none"
        translations = ("weights", "slopes")

        def _z(self, z):
            return np.column_stack([z[:, :1], z[:, 1:] ** 2])

        def scores(self, rows, shared, z):
            return super().scores(rows, shared, self._z(z))

        def features(self, rows, shared, z):
            return super().features(rows, shared, self._z(z))

    model, rows, _, theta = small(QuadraticGate())
    fit = fit_mixture(model, rows, Options(seed=0, n_starts=3))
    assert fit.log_likelihood >= ArrayEngine(model, rows).evaluate(theta, Order.VALUE).value


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"gate": "soft"}, "unknown"),
        ({"top_k": 0}, "at least 1"),
        ({"top_k": 1.5}, "whole number"),
        ({"top_k": 1, "rank_on": "bias"}, "rank_on"),
        ({"gate": "laplace", "top_k": 1}, "belongs to"),
        ({"gate": TopKGate(1), "top_k": 1}, "TopKGate"),
        ({"gate": "softmax", "sharpness": 2}, "no such options"),
    ],
)
def test_wrong_gates_are_refused(how, words):
    with pytest.raises(DataError, match=words):
        make_gate(**{"gate": "softmax", **how})


def test_parameters_of_a_gate_are_checked():
    with pytest.raises(DataError, match="activation"):
        ActivatedTemperatureGate("step")
    with pytest.raises(DataError, match="positive"):
        PerturbedCosineGate(tau_1=0.0)
    with pytest.raises(DataError, match="shared parameters"):
        MixingMeasure([0.0], [[0.0]], [[0.0]], [[[0.0]]], [[0.0]], "gaussian", gate_parameters=[1.0])


def test_a_temperature_is_only_known_with_its_slopes():
    x, y = two_lines(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MoERegressor(2, gate="temperature", n_starts=4, random_state=0).fit(x, y)
    dense = MoERegressor(2, n_starts=4, random_state=0).fit(x, y)
    assert model.log_likelihood_ == pytest.approx(dense.log_likelihood_, abs=1e-6)
    assert model.status_.kind == "flat"


def test_columns_that_may_not_be_centred_are_measured_from_zero():
    """A column that hardly varies beside its size is what a constant is, and a second one adds nothing."""
    r = np.random.default_rng(0)
    x = np.column_stack([1 + 1e-13 * r.normal(size=50), 1e9 + 1e3 * r.normal(size=50), r.normal(size=50)])
    scaling = fit_scaling(x, ("one", "far", "near"), None, "scale")
    np.testing.assert_allclose(scaling.scale[[0, 2]], np.sqrt((x[:, [0, 2]] ** 2).mean(axis=0)), rtol=1e-12)
    assert not scaling.center.any()
    assert scaling.aliased == ((1, "repeats 'one'"),)


@pytest.mark.parametrize("gate", ["perturbed-cosine", "cosine"])
def test_scores_that_bend_do_not_slow_a_step_down(gate):
    """Where two rows move against each other no score does to first order: information alone holds no step
    there, and a run crept for hundreds."""
    r = np.random.default_rng(1)
    x = r.normal(size=(150, 2))
    y = np.where(x.sum(axis=1) > 0.3, 1 + x[:, 0], -1 - x[:, 1]) + 0.4 * r.normal(size=150)
    model = MoERegressor(2, gate=gate, n_starts=4, random_state=0).fit(x, y)
    assert model.status_.kind != "stopped at the limit"
    assert model.n_iter_ < 100


def test_gates_from_the_shell(tmp_path):
    pytest.importorskip("formulaic")
    from click.testing import CliRunner

    from moestro.cli import main

    x, y = two_lines(80)
    data, model = tmp_path / "d.csv", tmp_path / "m.json"
    data.write_text("x,y\n" + "".join(f"{a},{b}\n" for a, b in zip(x[:, 0], y, strict=True)))
    how = ["fit", str(data), "-f", "y ~ x", "-k", "2", "--starts", "2", "-q", "--cov", "none"]
    done = CliRunner().invoke(main, [*how, "--top-k", "1", "--rank-on", "logit", "--out", str(model)])
    assert done.exit_code == 0, done.output
    assert "top-k gate" in done.output
    assert ((np.exp(FittedModel.load(model).log_gate(x, None)) > 0).sum(axis=1) == 1).all()
    for wrong, words in (
        (["--gate", "hard"], "unknown"),
        (["--top-k", "0"], "at least 1"),
        (["--gate", "laplace", "--top-k", "1"], "belongs"),
    ):
        refused = CliRunner().invoke(main, [*how, *wrong])
        assert refused.exit_code == 2
        assert words in refused.output

"""How fits end: each status where it is due, with a sentence that names the expert."""

import numpy as np
import pytest

from conftest import three_classes, two_lines
from moestro import MixingMeasure, MoEClassifier, MoERegressor
from moestro.measure import theta_of
from moestro.problems import fit_mixture
from moestro.search import Options


def test_well_posed_fits_converge(lines):
    x, y = lines
    model = MoERegressor(n_experts=2, random_state=0).fit(x, y)
    assert str(model.status_.kind) == "converged"
    assert model.history_["gradient"][-1] <= 1e-8
    assert model.status_.experts == ()


def test_too_many_experts_are_called_flat():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    y = np.array(["a", "b"])[(rng.random(200) < 0.5).astype(int)]
    model = MoEClassifier(n_experts=2, random_state=0, expert_features=[], gate_features=[]).fit(x, y)
    # constant experts and a constant gate: any split of the class share is the same law
    assert str(model.status_.kind) == "flat"
    assert model.status_.experts
    assert "experts" in model.status_.sentence


def test_variance_collapse_is_named_and_ranked_last():
    x = np.arange(60.0)[:, None]
    y = np.repeat([1.0, 5.0], 30)  # two values: a pair of experts can fit both exactly
    model = MoERegressor(n_experts=2, random_state=0, expert_features=[], gate_features=[]).fit(x, y)
    assert str(model.status_.kind) == "flat"  # the regular fit, though its likelihood is lower
    zero = np.zeros((2, 0))
    start = MixingMeasure([0, 0], zero, [[1.0], [5.0]], zero[:, None], np.log([[1e-3], [1e-3]]), "gaussian")
    options = Options(initial=(theta_of(start, model._fitted().units),), only_initial=True)
    collapsed = fit_mixture(model._fitted().fit.model, model._found.rows, options)
    assert str(collapsed.status.kind) == "variance collapsed"
    assert collapsed.status.experts == (0, 1)
    assert "lower bound" in collapsed.status.sentence
    assert np.isfinite(collapsed.log_likelihood)
    assert collapsed.log_likelihood > model.log_likelihood_


def test_the_limit_is_reported():
    x, y = three_classes()
    model = MoEClassifier(n_experts=3, solver="em", max_iter=1, random_state=0, n_starts=1).fit(x, y)
    assert str(model.status_.kind) == "stopped at the limit"
    assert model.history_["iteration"] == [1]


def test_em_ends_where_coefficients_run_off_and_nothing_is_left_to_gain():
    """A column that separates an expert's classes; EM's five thousand iterations ended in the same status."""
    r = np.random.default_rng(1)
    x = r.integers(-2, 3, (60, 2)).astype(float)
    y = np.digitize(x[:, 0] + r.logistic(size=60), [-1, 1])
    words = {"n_experts": 2, "family": "ordinal", "n_starts": 2, "random_state": 0}
    by_em, by_newton = (MoEClassifier(solver=s, **words).fit(x, y) for s in ("em", "newton"))
    assert str(by_em.status_.kind) == str(by_newton.status_.kind) == "separated"
    assert by_em.n_iter_ < 2000
    assert by_em.log_likelihood_ == pytest.approx(by_newton.log_likelihood_, abs=0.01)


def test_every_start_is_on_record():
    x, y = two_lines()
    model = MoERegressor(n_experts=2, n_starts=7, random_state=0).fit(x, y)
    starts = model.starts_
    assert sum(s != "smaller fit" for s in starts["strategy"]) == 7
    assert len(set(starts["strategy"])) >= 4
    assert all(np.isfinite(v) for v in starts["log_likelihood"])
    assert sum(s.startswith("best") for s in starts["status"]) == 1
    best = next(r for r in starts.rows() if r["status"].startswith("best"))
    assert best["log_likelihood"] == model.log_likelihood_


def test_experts_come_in_decreasing_order_of_share(lines):
    x, y = lines
    model = MoERegressor(n_experts=2, random_state=0).fit(x, y)
    share = model.responsibilities(x, y).sum(axis=0)
    assert share[0] >= share[1]


def test_large_data_start_on_a_subsample_and_finish_on_all_rows():
    x, y = two_lines(40_000)
    model = MoERegressor(n_experts=2, random_state=0).fit(x, y)
    rows = set(model.starts_["rows"])
    assert min(rows) < 40_000
    assert max(rows) == 40_000
    assert model.log_likelihood_ == pytest.approx(model.log_density(x, y).sum(), rel=1e-10)


def test_many_parameters_go_to_lbfgs():
    from moestro.problems import choose_solver

    assert choose_solver("auto", 50).name == "newton"
    assert choose_solver("auto", 5000).name == "lbfgs"

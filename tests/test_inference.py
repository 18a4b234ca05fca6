"""Standard errors: against closed forms and statsmodels' formulas, by coverage, and where there are none."""

import numpy as np
import pytest

from conftest import three_classes, two_lines
from moestro import DataError, MoEClassifier, MoERegressor


def rows_of(table, **where):
    return [r for r in table.rows() if all(r[k] == v for k, v in where.items())]


def test_one_gaussian_expert_has_the_textbook_errors():
    x, y = two_lines()
    model = MoERegressor(n_experts=1).fit(x, y)
    x1 = np.column_stack([np.ones(len(y)), x])
    s2 = model.measure_.variances[0]
    expected = np.sqrt(np.diag(s2 * np.linalg.inv(x1.T @ x1)))
    table = model.inference()
    got = [r["std_error"] for r in rows_of(table, part="expert")]
    np.testing.assert_allclose(got[:2], expected, rtol=1e-7)
    assert got[2] == pytest.approx(np.sqrt(2 / len(y)), rel=1e-7)  # of log variance


def test_sandwich_of_least_squares_is_hc0():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 1))
    y = x[:, 0] + np.abs(x[:, 0]) * rng.standard_normal(300)
    model = MoERegressor(n_experts=1).fit(x, y)
    x1 = np.column_stack([np.ones(300), x])
    e = y - model.predict(x)
    bread = np.linalg.inv(x1.T @ x1)
    expected = np.sqrt(np.diag(bread @ (x1 * e[:, None] ** 2).T @ x1 @ bread))
    got = [r["std_error"] for r in rows_of(model.inference("sandwich"), part="expert")][:2]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_logistic_errors_are_the_inverse_fisher_information():
    x, y = three_classes()
    y = (y == "a").astype(int)
    model = MoEClassifier(n_experts=1, tol=1e-10).fit(x, y)
    p = model.predict_proba(x)[:, 0]
    x1 = np.column_stack([np.ones(len(y)), x])
    expected = np.sqrt(np.diag(np.linalg.inv((x1 * (p * (1 - p))[:, None]).T @ x1)))
    np.testing.assert_allclose([r["std_error"] for r in model.inference().rows()], expected, rtol=1e-6)


def test_intervals_cover_the_truth():
    """95 % intervals of the slopes of two lines, 60 data sets: binomial bounds at one in a thousand."""
    covered = []
    for seed in range(60):
        x, y = two_lines(400, seed)
        table = MoERegressor(n_experts=2, random_state=0, n_starts=1).fit(x, y).inference()
        slopes = rows_of(table, part="expert", term="x0")
        truth = sorted([2.0, -1.0])
        for r, t in zip(sorted(slopes, key=lambda r: r["estimate"]), truth, strict=True):
            covered.append(r["low"] <= t <= r["high"])
    assert 0.87 <= np.mean(covered) <= 0.995


def test_bootstrap_agrees_with_the_information():
    x, y = two_lines(400)
    model = MoERegressor(n_experts=2, random_state=0, n_starts=2).fit(x, y)
    a = [r["std_error"] for r in model.inference().rows()]
    b = [r["std_error"] for r in model.inference("bootstrap", n_bootstrap=120, random_state=0).rows()]
    np.testing.assert_allclose(b, a, rtol=0.35)


def test_singular_information_prints_no_number():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    y = np.array(["a", "b"])[(rng.random(200) < 0.5).astype(int)]
    model = MoEClassifier(n_experts=2, random_state=0, expert_features=[], gate_features=[]).fit(x, y)
    table = model.inference()
    assert "singular" in table["note"]
    assert all((r["std_error"] is None) == (r["note"] != "") for r in table.rows())
    assert "singular" in model.summary("observed")
    assert "nan" not in str(table)


def test_separated_coefficients_have_no_error():
    x = np.linspace(-1, 1, 40)[:, None]
    model = MoEClassifier(n_experts=1).fit(x, x[:, 0] > 0)
    assert all(r["std_error"] is None for r in model.inference().rows())


def test_aliased_columns_are_named_and_left_out():
    x, y = two_lines()
    wide = np.column_stack([x, np.ones(len(y)), 2 * x - 3, np.random.default_rng(0).standard_normal(len(y))])
    model = MoERegressor(n_experts=2, random_state=0).fit(wide, y)
    text = model.summary("observed")
    assert "'x1' is constant" in text
    assert "'x2' repeats 'x0'" in text
    notes = {r["term"]: r["note"] for r in model.inference().rows()}
    assert notes["x1"] == notes["x2"] == "aliased"
    assert notes["x0"] == ""
    narrow = MoERegressor(n_experts=2, random_state=0).fit(wide[:, [0, 3]], y)
    assert model.log_likelihood_ == pytest.approx(narrow.log_likelihood_, abs=1e-8)
    assert model.n_parameters_ == narrow.n_parameters_


def test_errors_do_not_depend_on_units():
    x, y = two_lines()
    a = MoERegressor(n_experts=2, random_state=0).fit(x, y).inference()
    b = MoERegressor(n_experts=2, random_state=0).fit(1e6 * x, 1e-3 * y).inference()
    z = [(r["z"], s["z"]) for r, s in zip(a.rows(), b.rows(), strict=True) if r["term"] == "x0"]
    np.testing.assert_allclose(*zip(*z, strict=True), rtol=1e-5)


def test_a_pickled_estimator_says_why_it_has_no_errors():
    import pickle

    x, y = two_lines()
    model = pickle.loads(pickle.dumps(MoERegressor(n_experts=1).fit(x, y)))
    assert model.predict(x).shape == (200,)
    with pytest.raises(DataError, match="training data"):
        model.inference()


def test_unknown_covariances_are_refused(lines):
    model = MoERegressor(n_experts=1).fit(*lines)
    with pytest.raises(DataError, match="observed, expected, sandwich"):
        model.inference("magic")


def test_data_changed_since_the_fit_are_noticed():
    x, y = two_lines()
    model = MoERegressor(n_experts=1).fit(x, y)
    x[:, 0] *= 2
    with pytest.raises(DataError, match="changed since"):
        model.inference()


def test_the_sandwich_is_right_with_weights_and_repeated_rows():
    """Merging equal rows inside the fit must not change the meat: it is a sum over rows as given."""
    x, y = two_lines(150)
    x, y = np.vstack([x, x[:50]]), np.concatenate([y, y[:50]])
    model = MoERegressor(n_experts=1).fit(x, y)
    x1 = np.column_stack([np.ones(200), x])
    e = y - model.predict(x)
    bread = np.linalg.inv(x1.T @ x1)
    expected = np.sqrt(np.diag(bread @ (x1 * e[:, None] ** 2).T @ x1 @ bread))
    got = [r["std_error"] for r in rows_of(model.inference("sandwich"), part="expert")][:2]
    np.testing.assert_allclose(got, expected, rtol=1e-6)

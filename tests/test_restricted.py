"""Fits under hypotheses: against refits of smaller models, statsmodels, closed forms and a grid."""

import numpy as np
import pytest
from scipy.stats import chi2

from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model

FEW = {"random_state": 0, "n_starts": 2, "n_jobs": 1, "tol": 1e-10}


def wide(n=120):
    x, y = two_lines(n)
    return np.column_stack([x, np.random.default_rng(1).standard_normal(n)]), y


def test_no_slopes_of_a_column_is_the_fit_without_it():
    x, y = wide()
    moe = MoERegressor(2, gate_features=[0], **FEW).fit(x, y)
    small = MoERegressor(2, gate_features=[0], expert_features=[0], **FEW).fit(x, y)
    test = moe.likelihood_ratio_test("*:x1 = 0")
    assert test.statistic == pytest.approx(2 * (moe.log_likelihood_ - small.log_likelihood_), rel=1e-6)
    assert test.p == pytest.approx(chi2.sf(test.statistic, 2))
    for other in (moe.wald_test("*:x1 = 0"), moe.score_test("*:x1 = 0")):
        assert other.statistic == pytest.approx(test.statistic, rel=0.3)  # the same to first order


def test_equal_slopes_are_one_slope():
    """Experts with one slope and a constant gate: a mixture of two levels of the residual."""
    x, y = two_lines(120)
    moe = MoERegressor(2, gate_features=[], **FEW).fit(x, y)
    test = moe.likelihood_ratio_test(equal="x0")

    def value(b):
        return (
            MoERegressor(2, gate_features=[], expert_features=[], **FEW)
            .fit(x, y - b * x[:, 0])
            .log_likelihood_
        )

    grid = np.linspace(-2, 3, 11)
    best = max(grid, key=value)
    from scipy.optimize import minimize_scalar

    top = -minimize_scalar(lambda b: -value(b), bounds=(best - 0.5, best + 0.5), method="bounded").fun
    restricted = moe.log_likelihood_ - test.statistic / 2
    assert restricted == pytest.approx(top, abs=1e-4)
    assert test.df == 1


def test_as_statsmodels_has_them():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2))
    y = rng.poisson(np.exp(0.3 + x @ [0.2, -0.1]))
    moe = MoERegressor(1, family="poisson", tol=1e-10).fit(x, y)
    family = sm.families.Poisson()
    full, small = (sm.GLM(y, sm.add_constant(a), family=family).fit(tol=1e-12) for a in (x, x[:, :1]))
    assert moe.likelihood_ratio_test("1:x1").statistic == pytest.approx(2 * (full.llf - small.llf), rel=1e-5)
    expected = small.model.score_test(small.params, exog_extra=x[:, 1:])
    assert moe.score_test("1:x1 = 0").statistic == pytest.approx(float(np.ravel(expected[0])[0]), rel=1e-5)


def located_lines():
    x, y = two_lines(60)
    return LocatedMoERegressor(2, **{**FEW, "tol": 1e-8}).fit(x, y), x, y


def brute(moe, x, y, hold):
    """The largest log-likelihood of two located experts of one column where `hold` (A, b, c) changes the
    parameters, by a quasi-Newton method that knows no derivatives."""
    from scipy.optimize import minimize
    from scipy.stats import norm

    m = moe.measure_

    def value(p):
        w, c, g, A, b, s = np.split(p, [1, 3, 5, 7, 9])
        A, b, c = hold(A, b, c)
        pi = 1 / (1 + np.exp(-np.array([w[0], -w[0]])))
        parts = pi * norm.pdf(x, c, np.exp(g)) * norm.pdf(y[:, None], A * x + b, np.exp(s))
        return -np.log(parts.sum(axis=1)).sum()

    start = np.concatenate([
        np.log(m.weights[:1] / m.weights[1:]), m.means.ravel(), np.log(m.covariances.ravel()) / 2,
        m.slopes.ravel(), m.intercepts.ravel(), np.log(m.noise.ravel()) / 2,
    ])  # fmt: skip
    return -minimize(value, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000}).fun


class TestLocated:
    @pytest.mark.parametrize(
        ("hypothesis", "hold", "df"),
        [
            pytest.param(
                "2:x0 = -0.8", lambda A, b, c: (np.array([A[0], -0.8]), b, c), 1, marks=pytest.mark.slow
            ),
            ("1:x0 = 2:x0 + 2.8", lambda A, b, c: (np.array([A[0], A[0] - 2.8]), b, c), 1),
            pytest.param(
                "gate:1:mean(x0) = gate:2:mean(x0), 1:(intercept) = 2",
                lambda A, b, c: (A, np.array([2, b[1]]), np.full(2, c[0])), 2, marks=pytest.mark.slow,
            ),
        ],
    )  # fmt: skip
    def test_against_a_search_without_derivatives(self, hypothesis, hold, df):
        moe, x, y = located_lines()
        test = moe.likelihood_ratio_test(hypothesis)
        assert test.df == df
        assert test.statistic == pytest.approx(2 * (moe.log_likelihood_ - brute(moe, x, y, hold)), abs=2e-4)

    def test_equal_variances_are_one_variance(self):
        """Columns far from zero: the fit with tied covariances of the response is the restricted one."""
        x, y = two_lines(60)
        how = {**FEW, "tol": 1e-8}
        moe, tied = (LocatedMoERegressor(2, tied=t, **how).fit(x + 5, y) for t in (False, True))
        expected = 2 * (moe.log_likelihood_ - tied.log_likelihood_)
        assert moe.likelihood_ratio_test(equal="variance(y)").statistic == pytest.approx(expected, rel=1e-6)
        assert moe.profile("x0", expert=1)[0]["low"] < moe.measure_.slopes[0, 0, 0]

    def test_ends_tests_and_first_order(self):
        moe, _, _ = located_lines()
        row = moe.profile("x0", expert=2, level=0.9)[0]
        for end in (row["low"], row["high"]):
            assert moe.likelihood_ratio_test(f"2:x0 = {end!r}").p == pytest.approx(0.1, rel=1e-4)
        near = row["estimate"] + 0.1 * (row["high"] - row["estimate"])
        three = [
            test(f"2:x0 = {near!r}").statistic
            for test in (moe.wald_test, moe.score_test, moe.likelihood_ratio_test)
        ]
        np.testing.assert_allclose(three, three[0], rtol=0.1)

    @pytest.mark.slow
    def test_weight_two_is_a_row_written_twice(self):
        x, y = two_lines(60)
        how = {**FEW, "tol": 1e-8}
        a = LocatedMoERegressor(2, **how).fit(x, y, np.full(60, 2.0))
        b = LocatedMoERegressor(2, **how).fit(np.r_[x, x], np.r_[y, y])
        two = (m.likelihood_ratio_test("1:x0 = 2:x0").statistic for m in (a, b))
        assert next(two) == pytest.approx(next(two), rel=1e-6)

    def test_what_is_refused(self):
        moe, x, y = located_lines()
        inverse, factors = (
            LocatedMoERegressor(1, **how).fit(np.column_stack([x, x**2, x**3]), y)
            for how in ({"direction": "inverse"}, {"direction": "inverse", "covariance": "factors"})
        )
        for fit, hypothesis, words in (
            (moe, "gate:1:share = 0.5", "for a share: use wald_test"),
            (moe, "1:x0 = 0, 2*1:x0 = 0", "not independent"),
            (moe, "1:variance(y) = -1", "no maximum under these"),
            (inverse, "1:x0 = 0", "under inverse regression"),
            (factors, "1:x0 = 0", "under inverse regression"),
        ):
            with pytest.raises(DataError, match=words):
                fit.likelihood_ratio_test(hypothesis)


class TestProfile:
    @pytest.mark.parametrize(
        "kind", [MoERegressor, pytest.param(LocatedMoERegressor, marks=pytest.mark.slow)]
    )
    def test_of_least_squares_has_a_closed_form(self, kind):
        """2 (L - L(b)) = n log(1 + (b - b_hat)^2 / (S s2 / n)): of the slope and of the intercept."""
        x, y = two_lines(80)
        x = x + 3
        moe = kind(1, tol=1e-10).fit(x, y)
        x1 = np.column_stack([np.ones(80), x])
        s2 = np.mean((y - moe.predict(x)) ** 2)
        V = s2 * np.linalg.inv(x1.T @ x1)
        for j, label in enumerate(("1:(intercept)", "1:x0")):
            half = np.sqrt(80 * V[j, j] * np.expm1(chi2.isf(0.05, 1) / 80))
            row = moe.profile(label)[0]
            assert row["high"] - row["estimate"] == pytest.approx(half, rel=1e-5)
            assert row["estimate"] - row["low"] == pytest.approx(half, rel=1e-5)
            assert row["wald_high"] - row["wald_low"] == pytest.approx(
                2 * 1.959964 * np.sqrt(V[j, j]), rel=1e-5
            )

    def test_its_ends_are_where_the_likelihood_ratio_says(self):
        x, y = wide()
        moe = MoERegressor(2, gate_features=[0], **FEW).fit(x, y)
        row = moe.profile("x1", expert=2, level=0.9)[0]
        for end in (row["low"], row["high"]):
            test = moe.likelihood_ratio_test(f"2:x1 = {end!r}")
            assert test.p == pytest.approx(0.1, rel=1e-4)
        assert moe.profile("gate:1:x0")[0]["low"] < moe.profile("gate:1:x0")[0]["estimate"]

    def test_what_is_refused(self, tmp_path):
        x, y = two_lines(60)
        moe = MoERegressor(2, **FEW).fit(x, y)
        with pytest.raises(DataError, match="'3:x0' is no parameter"):
            moe.profile("x0", expert=3)
        with pytest.raises(DataError, match="not independent"):
            moe.likelihood_ratio_test("1:x0 = 0, 2*1:x0 = 0")
        line = np.linspace(-1, 1, 40)[:, None]
        separated = MoEClassifier(1).fit(line, line[:, 0] > 0)
        with pytest.raises(DataError, match="no interval is profiled"):
            separated.profile("1:False:x0")
        moe.save(tmp_path / "m.json", cov=["observed"])
        with pytest.raises(DataError, match="needs the training data"):
            load_model(tmp_path / "m.json").profile("x0", expert=1)

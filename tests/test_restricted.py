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


class TestProfile:
    def test_of_least_squares_has_a_closed_form(self):
        """2 (L - L(b)) = n log(1 + (b - b_hat)^2 / (S s2 / n)): of the slope and of the intercept."""
        x, y = two_lines(80)
        x = x + 3
        moe = MoERegressor(1, tol=1e-10).fit(x, y)
        x1 = np.column_stack([np.ones(80), x])
        s2 = moe.measure_.variances[0]
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
        located = LocatedMoERegressor(1).fit(x, y)
        with pytest.raises(DataError, match="use wald_test"):
            located.profile("x0", expert=1)
        moe.save(tmp_path / "m.json", cov=["observed"])
        with pytest.raises(DataError, match="needs the training data"):
            load_model(tmp_path / "m.json").profile("x0", expert=1)

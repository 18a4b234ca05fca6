"""Vuong's test between numbers of experts: its law against chi-squared ones and simulation, its weights where
a model is regular."""

import numpy as np
import pytest
from scipy.stats import chi2

from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MoERegressor, vuong_test
from moestro.inference import covariance
from moestro.inference.covariance import row_scores
from moestro.inference.vuong import exceeds, vuong_weights

FEW = {"random_state": 0, "n_starts": 2}


@pytest.mark.parametrize(("d", "q"), [(1, 3.84), (3, 7.81), (5, 20.0), (2, 60.0), (40, 55.0)])
def test_equal_weights_are_chi_squared(d, q):
    assert exceeds(np.ones(d), q) == pytest.approx(chi2.sf(q, d), abs=1e-6)
    assert exceeds(np.full(d, 3.0), 3 * q) == pytest.approx(chi2.sf(q, d), abs=1e-6)


def test_other_weights_by_simulation():
    weights = np.array([2.0, 1.0, 0.5, -0.3])
    drawn = np.random.default_rng(0).standard_normal((200_000, 4)) ** 2 @ weights
    for q in (-1.0, 1.0, 5.0, 15.0):
        share = (drawn > q).mean()
        assert abs(exceeds(weights, q) - share) <= 4 * np.sqrt(share * (1 - share) / 200_000)


def test_two_nested_regressions():
    """Of a regression with three columns that are not needed the weights are three ones: Wilks' law."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 4))
    y = x[:, 0] + rng.standard_normal(20_000)
    parts = []
    for columns in (x, x[:, :1]):
        moe = MoERegressor(1).fit(columns, y)
        rows = moe._found.rows
        scores = np.concatenate(list(row_scores(moe.fit_, rows, "auto", 1)))
        parts += [scores, covariance(moe.fit_, rows).matrix]
    weights = np.sort(vuong_weights(*parts))
    np.testing.assert_allclose(weights[-3:], 1.0, atol=0.1)
    assert np.abs(weights[:-3]).max() < 0.1
    assert exceeds(weights, 7.81) == pytest.approx(0.05, abs=0.01)


def test_two_lines_are_two():
    x, y = two_lines(150)
    one, two, three = (MoERegressor(k, gate_features=[], **FEW).fit(x, y) for k in (1, 2, 3))
    test = vuong_test(one, two)
    assert test.p < 0.001
    assert test.statistic == pytest.approx(2 * (two.log_likelihood_ - one.log_likelihood_))
    assert test.df == two.n_parameters_ - one.n_parameters_
    assert test.adjusted == pytest.approx(test.statistic / (1 + 1 / (test.df * np.log(150))))
    assert "prefer bootstrap_test" in str(test)
    more = vuong_test(two, three)
    assert more.p > test.p
    assert more.p_adjusted >= more.p


def test_what_is_refused():
    x, y = two_lines(60)
    two = MoERegressor(2, **FEW).fit(x, y)
    for words, a, b in (
        ("it must have more", two, two),
        ("takes no weights", MoERegressor(1).fit(x, y, np.ones(60)), two),
        ("no Vuong test", *(LocatedMoERegressor(k, **FEW).fit(x, y) for k in (1, 2))),
    ):
        with pytest.raises(DataError, match=words):
            vuong_test(a, b)

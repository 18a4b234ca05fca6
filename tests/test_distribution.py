"""Predictive distributions against scipy, quadrature and their own samples."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, poisson

from conftest import two_lines
from moestro import DataError, MoERegressor


@pytest.fixture(scope="module")
def gaussian():
    x, y = two_lines()
    return MoERegressor(n_experts=2, random_state=0).fit(x, 100 + 10 * y), x


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 1))
    y = rng.poisson(np.where(rng.random(400) < 0.5, 1.0, 9.0 * np.exp(0.5 * x[:, 0])))
    return MoERegressor(n_experts=2, family="poisson", random_state=0).fit(x, y), x


def test_density_is_the_mixture_of_normals(gaussian):
    model, x = gaussian
    law = model.predict_distribution(x[:5])
    m = model.measure_
    mean = m.intercepts[:, 0] + x[:5] * m.slopes[:, 0, 0]
    expected = (model.gate_proba(x[:5]) * norm.pdf(105.0, mean, np.sqrt(m.variances))).sum(axis=1)
    np.testing.assert_allclose(law.pdf(105.0), expected, rtol=1e-9)
    np.testing.assert_allclose(
        law.log_pdf(np.full(5, 105.0)), model.log_density(x[:5], np.full(5, 105.0)), rtol=1e-9
    )


def test_moments_by_quadrature(gaussian):
    model, x = gaussian
    law = model.predict_distribution(x[:1])
    for power, value in ((0, 1.0), (1, law.mean()[0]), (2, law.variance()[0] + law.mean()[0] ** 2)):
        integral = quad(
            lambda t, p=power: t**p * law.pdf(t)[0], 0, 200, points=[60, 80, 100, 120, 140], limit=400
        )[0]
        assert integral == pytest.approx(value, rel=1e-7)
    np.testing.assert_allclose(model.predict(x[:1]), law.mean(), rtol=1e-12)


@pytest.mark.parametrize("which", ["gaussian", "counts"])
def test_quantiles_invert_the_cdf(which, request):
    model, x = request.getfixturevalue(which)
    law = model.predict_distribution(x[:20])
    levels = np.array([0.001, 0.1, 0.5, 0.9, 0.999])
    q = law.quantile(levels)
    assert q.shape == (20, 5)
    assert (np.diff(q, axis=1) >= 0).all()
    assert (law.cdf(q) >= levels - 1e-12).all()
    below = law.cdf(q - 1 if which == "counts" else q - 1e-6 * np.abs(q))
    assert (below < levels).all()
    np.testing.assert_allclose(law.quantile(0.5), q[:, 2], rtol=1e-11)  # bisection stops at 1e-12


def test_counts_sum_to_one(counts):
    model, x = counts
    law = model.predict_distribution(x[:3])
    support = np.tile(np.arange(200.0), (3, 1))
    np.testing.assert_allclose(law.pdf(support).sum(axis=1), 1, rtol=1e-10)
    np.testing.assert_allclose((support * law.pdf(support)).sum(axis=1), law.mean(), rtol=1e-9)
    rate = np.exp(model.measure_.intercepts[:, 0] + x[:3] * model.measure_.slopes[:, 0, 0])
    expected = (model.gate_proba(x[:3]) * poisson.cdf(4, rate)).sum(axis=1)
    np.testing.assert_allclose(law.cdf(4.0), expected, rtol=1e-9)


@pytest.mark.parametrize("which", ["gaussian", "counts"])
def test_samples_have_the_moments(which, request):
    model, x = request.getfixturevalue(which)
    law = model.predict_distribution(x[:2])
    draws = law.sample(200_000, random_state=0)
    assert draws.shape == (2, 200_000)
    error = law.std() / np.sqrt(draws.shape[1])
    assert (np.abs(draws.mean(axis=1) - law.mean()) < 5 * error).all()
    np.testing.assert_allclose(draws.var(axis=1), law.variance(), rtol=0.03)
    assert model.sample(x, random_state=1).shape == (len(x),)


def test_intervals_cover(gaussian):
    model, x = gaussian
    low, high = model.predict_distribution(x).interval(0.9)
    y = 100 + 10 * two_lines()[1]
    assert 0.85 <= ((y >= low) & (y <= high)).mean() <= 0.95


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, np.nan])
def test_levels_outside_are_refused(gaussian, level):
    model, x = gaussian
    with pytest.raises(DataError, match="between 0 and 1"):
        model.predict_distribution(x[:2]).quantile(level)


OUTSIDE = {
    "gamma": (-1.0, 0.0),
    "inverse-gaussian": (-1.0, 0.0),
    "lognormal": (-1.0, 0.0),
    "weibull": (-1.0, 0.0),
    "beta": (-1.0, 0.0, 1.0, 2.0),
    "poisson": (-1.0, 0.5),
    "negative-binomial": (-1.0, 0.5),
    "truncated-poisson": (-1.0, 0.0, 1.5),
    "binomial": (-1.0, 0.5, 2.0),
}


@pytest.mark.parametrize("family", OUTSIDE)
def test_nothing_is_outside_the_support(family):
    rng = np.random.default_rng(0)
    x, counts = rng.normal(size=(60, 1)), rng.poisson(2.0, 60).astype(float)
    y = {
        "beta": rng.beta(2, 2, 60),
        "poisson": counts,
        "negative-binomial": counts,
        "truncated-poisson": counts + 1,
        "binomial": (counts > 2).astype(float),
    }.get(family, rng.gamma(2.0, 1.0, 60))
    law = MoERegressor(1, family=family).fit(x, y).predict_distribution(x[:2])
    points = np.array(OUTSIDE[family])
    np.testing.assert_array_equal(law.pdf(np.tile(points, (2, 1))), 0.0)
    assert (law.cdf(np.full(2, -1.0)) == 0).all()
    above = points[points > y.max()]
    assert (law.cdf(np.tile(above, (2, 1))) == 1).all()
    assert np.isnan(law.pdf(np.full(2, np.nan))).all()

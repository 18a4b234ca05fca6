"""Likelihoods at extreme scales, against fifty digits of the same parameters in the user's units."""

import math
from decimal import Decimal, getcontext, localcontext

import numpy as np
import pytest

from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.experts import Binomial, NegativeBinomial

TAU = 2 * Decimal("3.14159265358979323846264338327950288419716939937511")


def dot(row, column):
    return sum((Decimal(float(a)) * Decimal(float(b)) for a, b in zip(row, column, strict=True)), Decimal(0))


def log_sum(terms):
    top = max(terms)
    return top + sum((t - top).exp() for t in terms).ln()


def gate(measure, x):
    scores = [
        Decimal(float(b)) + dot(s, x) for b, s in zip(measure.log_weights, measure.gate_slopes, strict=True)
    ]
    total = log_sum(scores)
    return [s - total for s in scores]


def log_factorial(n):
    """Stirling's series; for n above 10^8 what follows is below 1e-60."""
    series = 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5)
    return (n + Decimal("0.5")) * n.ln() - n + TAU.ln() / 2 + series


def expert(measure, e, x, y):
    """log f_e(y | x) to fifty digits."""
    eta = [
        Decimal(float(b)) + dot(s, x) for b, s in zip(measure.intercepts[e], measure.slopes[e], strict=True)
    ]
    if measure.family == "gaussian":
        variance = Decimal(float(measure.variances[e]))
        return -((TAU * variance).ln() + (Decimal(float(y)) - eta[0]) ** 2 / variance) / 2
    if measure.family == "poisson":
        count = Decimal(float(y))
        return count * eta[0] - eta[0].exp() - log_factorial(count)
    scores = [*eta, Decimal(0)]
    return scores[int(y)] - log_sum(scores)


def exact(model, X, y, w=None):
    measure, total = model.measure_, Decimal(0)
    with localcontext() as context:
        context.prec = 50
        assert getcontext().prec == 50
        for i in range(len(X)):
            g = gate(measure, X[i])
            density = log_sum([g[e] + expert(measure, e, X[i], y[i]) for e in range(measure.k)])
            total += density * Decimal(1.0 if w is None else float(w[i]))
    return float(total)


def lines(n=60):
    r = np.random.default_rng(3)
    x = r.normal(size=(n, 1))
    y = np.where(x[:, 0] + 0.3 * r.normal(size=n) > 0, 1 + 2 * x[:, 0], -1 - x[:, 0]) + 0.2 * r.normal(size=n)
    return x, y


@pytest.mark.parametrize(
    ("a", "scale", "b", "unit", "digits"),
    [
        (0.0, 1.0, 0.0, 1.0, 1e-10),
        (1e8, 1.0, 0.0, 1.0, 1e-6),  # an intercept in the user's units is rounded to 1e-8
        (0.0, 1.0, 1e8, 1.0, 1e-5),  # and so is the response itself
        (0.0, 1e-150, 0.0, 1e100, 1e-9),
        (0.0, 1e120, 0.0, 1e-120, 1e-9),
        (1e4, 1e-3, -1e3, 1e-3, 1e-5),
    ],
)
def test_gaussian_experts_of_any_offset_and_unit(a, scale, b, unit, digits):
    x, y = lines()
    X, Y = a + scale * x, b + unit * y
    model = MoERegressor(2, n_starts=3, random_state=0).fit(X, Y)
    value = exact(model, X, Y)
    assert model.log_likelihood_ == pytest.approx(value, abs=digits * len(y))
    assert model.log_density(X, Y).sum() == pytest.approx(value, abs=digits * len(y))
    plain = MoERegressor(2, n_starts=3, random_state=0).fit(x, y).log_likelihood_
    assert model.log_likelihood_ == pytest.approx(plain - len(y) * np.log(unit), abs=1e-6 * len(y))


def test_counts_of_a_thousand_million():
    x, _ = lines(40)
    r = np.random.default_rng(5)
    mean = 1e9 * np.exp(np.where(x[:, 0] > 0, 0.5 * x[:, 0], -0.3 * x[:, 0]))
    y = r.poisson(mean).astype(float)
    model = MoERegressor(2, family="poisson", n_starts=1, random_state=0).fit(x, y)
    # an intercept of 20.7 is rounded by 4e-15, a residual of 3e4 times that a row
    assert model.log_likelihood_ == pytest.approx(exact(model, x, y), abs=40 * 1e-9)


def stirling(z):
    """ln z! of any whole number, to 20 digits."""
    return log_factorial(z) - 1 / (1680 * z**7) if z > 200 else Decimal(math.factorial(int(z))).ln()


@pytest.mark.parametrize("count", [66_000, 10**9, 10**12, 9 * 10**15])
@pytest.mark.parametrize("t", [1, 4, 250, 10**6])
def test_overdispersed_counts_of_any_size(count, t):
    """At 10^15 the three gamma functions of a row lose the number before the point."""
    law, y = NegativeBinomial(), np.array([0.0, 3.0, 70.0, count, 0.9 * count]).round()
    eta = np.column_stack([np.log(count) + np.array([-3.0, 0.0, 1.0, 1e-6, 0.2]), np.full(5, -np.log(t))])
    found = law.log_density(eta, y) + law.log_base(y)
    with localcontext() as context:
        context.prec = 60
        for (at, log_alpha), v, got in zip(eta.tolist(), y.tolist(), found.tolist(), strict=True):
            mu, T, Y = Decimal(at).exp(), (-Decimal(log_alpha)).exp(), Decimal(v)
            series = (T - t) * (Decimal(v + t).ln() - Decimal(t).ln())  # t is rounded too, by 1e-16 of it
            exact = stirling(Y + t - 1) - stirling(Decimal(t - 1)) - stirling(Y) + series
            exact += Y * (mu / (mu + T)).ln() + T * (T / (mu + T)).ln()
            assert abs(got - float(exact)) < 1e-9 * (1 + abs(float(exact)))


@pytest.mark.parametrize("trials", [66_000, 10**9, 10**12, 9 * 10**15])
def test_trials_of_any_number(trials):
    law = Binomial()
    y = np.array([0.0, 1.0, 50.0, 0.3 * trials, trials - 1.0, trials]).round()
    eta = np.column_stack([np.log((y + 0.5) / (trials - y + 0.5)) + 1e-7, np.full(6, float(trials))])
    found = law.log_density(eta, y)
    with localcontext() as context:
        context.prec = 60
        for (u, n), v, got in zip(eta.tolist(), y.tolist(), found.tolist(), strict=True):
            N, Y = Decimal(n), Decimal(v)
            exact = stirling(N) - stirling(Y) - stirling(N - Y)
            exact -= Y * (1 + (-Decimal(u)).exp()).ln() + (N - Y) * (1 + Decimal(u).exp()).ln()
            assert abs(got - float(exact)) < 3e-9 * (1 + abs(float(exact)))


@pytest.mark.parametrize("family", ["negative-binomial", "binomial"])
def test_fits_of_counts_of_any_size_agree_with_their_rows(family):
    r = np.random.default_rng(0)
    X = r.normal(size=(40, 1))
    for size in (1e9, 1e15):
        y = np.where(r.random(40) < 0.3, size, 1.0)
        if family == "binomial":
            y = np.column_stack([np.floor(y * r.random(40)), np.full(40, size)])
        model = MoERegressor(2, family=family, n_starts=1, random_state=0).fit(X, y)
        assert model.status_.kind != "imprecise" and "log-likelihood hold" not in model.status_.sentence
        assert model.log_density(X, y).sum() == pytest.approx(model.log_likelihood_, rel=1e-9)


@pytest.mark.parametrize("family", ["poisson", "negative-binomial", "truncated-poisson", "binomial"])
def test_counts_that_doubles_do_not_hold_are_refused(family):
    y = np.full(40, 2.0**53 + 2)
    with pytest.raises(DataError, match=r"above 2\^53"):
        MoERegressor(1, family=family).fit(
            np.arange(40.0)[:, None], np.column_stack([np.ones(40), y]) if family == "binomial" else y
        )


@pytest.mark.parametrize("spread", [1.0, 1e6, 1e12])
@pytest.mark.parametrize("kind", ["gaussian", "multinomial"])
def test_weights_of_all_sizes(spread, kind):
    """A weighted sum is held to its own size: weights differ by up to 24 digits."""
    x, y = lines()
    w = spread ** np.random.default_rng(0).uniform(-1, 1, len(y))
    if kind == "multinomial":
        y = (y > np.median(y)).astype(int)
        model = MoEClassifier(2, n_starts=3, random_state=0).fit(x, y, sample_weight=w)
    else:
        model = MoERegressor(2, n_starts=3, random_state=0).fit(x, y, sample_weight=w)
    value = exact(model, x, y, w)
    reach = float(w @ (1 + np.abs(model.log_density(x, y))))
    assert abs(model.log_likelihood_ - value) <= 1e-9 * reach


def test_a_located_fit_far_from_zero():
    x, y = lines()
    near = LocatedMoERegressor(2, n_starts=3, random_state=0).fit(x, y)
    for offset in (1e6, 1e8):
        far = LocatedMoERegressor(2, n_starts=3, random_state=0).fit(x + offset, y)
        assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, abs=1e-5)
        np.testing.assert_allclose(far.predict(x + offset), near.predict(x), atol=1e-5)

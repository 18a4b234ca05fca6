"""The last gate of every fit: its numbers are those of its rows, or its status says otherwise."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest

from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.experts import Poisson
from moestro.search import audited


def one_fit():
    x, y = two_lines(60)
    model = MoERegressor(2, n_starts=2, random_state=0).fit(x, y)
    return model.fit_, model.log_density(x, y), model.responsibilities(x, y)


def test_a_fit_that_agrees_with_its_rows_passes_unchanged():
    fit, density, r = one_fit()
    assert audited(fit, [(None, density[:20], r[:20]), (np.ones(40), density[20:], r[20:])]) is fit
    assert audited(
        replace(fit, log_likelihood=fit.log_likelihood + 1e-10), [(None, density, r)]
    ).status.usable


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (3e-5, "6 digits of the log-likelihood hold"),
        (3.0, "1 digit of the log-likelihood holds"),
        (1e9, "0 digits"),
    ],
)
def test_digits_that_hold(error, sentence):
    fit, density, r = one_fit()
    assert 10 < abs(fit.log_likelihood) < 99
    status = audited(replace(fit, log_likelihood=fit.log_likelihood + error), [(None, density, r)]).status
    assert str(status.kind) == "imprecise" and not status.usable
    assert sentence in status.sentence and f"{density.sum():.10g}" in status.sentence
    assert str(fit.status) in status.sentence  # how the solver ended is still said


def test_shares_that_do_not_sum_to_one_and_numbers_that_are_none():
    fit, density, r = one_fit()
    assert "within 2.0e+00" in audited(fit, [(None, density, r * 3)]).status.sentence
    assert str(audited(fit, [(None, density, r * np.nan)]).status.kind) == "imprecise"
    for bad in (np.nan, np.inf):
        status = audited(replace(fit, log_likelihood=bad), [(None, density, r)]).status
        assert str(status.kind) == "not finite"
    assert str(audited(fit, [(None, density - np.inf, r)]).status.kind) == "not finite"


def test_what_is_no_estimate_keeps_its_kind():
    r = np.random.default_rng(1)
    x = r.normal(size=(60, 1))
    y = np.where(x[:, 0] > 0, x[:, 0], -2 * x[:, 0])  # both covariances are singular
    model = LocatedMoERegressor(2, n_starts=3, random_state=0).fit(x, y)
    apart = abs(model.log_likelihood_ - model.joint_log_density(x, y).sum())
    assert str(model.status_.kind) == "variance collapsed"
    assert apart > 1e-3 and "digits of the log-likelihood hold" in model.status_.sentence


@pytest.mark.parametrize(("offset", "kind"), [(1e4, "converged"), (1e12, "imprecise")])
def test_located_columns_far_from_zero(offset, kind):
    r = np.random.default_rng(0)
    x = r.normal(size=(60, 1))
    X, y = x + offset, x[:, 0] + 0.1 * r.normal(size=60) + offset
    model = LocatedMoERegressor(2, n_starts=3, random_state=0).fit(X, y)
    assert str(model.status_.kind) == kind
    reach = 60 + np.abs(model.joint_log_density(X, y)).sum()
    close = abs(model.log_likelihood_ - model.joint_log_density(X, y).sum()) <= 1e-9 * reach
    assert close == (kind == "converged")


def exact_poisson(y, eta):
    """log f by Stirling's series to 50 digits."""
    with localcontext() as context:
        context.prec = 50
        n, e = Decimal(y), Decimal(eta)
        pi = Decimal("3.14159265358979323846264338327950288419716939937511")
        log_factorial = n * n.ln() - n + (2 * pi * n).ln() / 2
        log_factorial += 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5) - 1 / (1680 * n**7)
        return float(n * e - e.exp() - log_factorial)


@pytest.mark.parametrize("count", [1e4, 65536.0, 65537.0, 1e6, 1e9, 1e12, 9e15])
@pytest.mark.parametrize("sd", [-40.0, -1.0, 0.0, 3.0])
def test_poisson_densities_of_large_counts_to_fifty_digits(count, sd):
    eta = np.log(count) + sd / np.sqrt(count)
    family = Poisson()
    found = family.log_density(np.array([[eta]]), np.array([count])) + family.log_base(np.array([count]))
    # eta is rounded to 4e-15, which moves log f by sqrt(count) sd of it
    assert found[0] == pytest.approx(
        exact_poisson(count, eta), abs=1e-9 + 1e-14 * np.sqrt(count) * (1 + abs(sd))
    )


@pytest.mark.parametrize("count", [1e3, 1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("engine", ["array", "native"])
def test_fits_of_counts_of_any_size(count, engine):
    r = np.random.default_rng(0)
    x, y = r.normal(size=(60, 1)), np.where(r.random(60) < 0.3, count, 1.0)
    model = MoERegressor(2, family="poisson", engine=engine, n_starts=3, random_state=0).fit(x, y)
    assert model.status_.usable
    assert model.log_density(x, y).sum() == pytest.approx(model.log_likelihood_, rel=1e-9)
    np.testing.assert_allclose(model.responsibilities(x, y).sum(axis=1), 1.0, atol=1e-12)
    measure, large = model.measure_, y > 1
    eta = measure.intercepts[:, 0] + x * measure.slopes[:, 0, 0]
    own = np.argmax(np.abs(eta - np.log(count)) < 1.0, axis=1)[large]  # no Poisson law confuses the two sizes
    exact = [exact_poisson(count, e) for e in eta[large, own]]
    found = model.log_density(x, y)[large] - np.log(model.gate_proba(x)[large, own])
    np.testing.assert_allclose(found, exact, atol=1e-9 + 1e-13 * np.sqrt(count))


@pytest.mark.parametrize("gate", ["laplace", "cosine", "perturbed-cosine"])
@pytest.mark.parametrize("estimator", [MoERegressor, MoEClassifier])
def test_gates_refuse_columns_whose_distances_are_no_doubles(gate, estimator):
    x, y = two_lines(40)
    y = np.where(y > np.median(y), "a", "b") if estimator is MoEClassifier else y
    with pytest.raises(DataError, match="'x0' in its own units, in which it is too large"):
        estimator(2, gate=gate).fit(1e155 * x, y)

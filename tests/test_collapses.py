"""Special cases that other libraries know: independent witnesses of the whole path."""

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import multinomial, norm, poisson
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.mixture import GaussianMixture

from conftest import three_classes, two_lines
from moestro import MoEClassifier, MoERegressor


def test_one_multinomial_expert_is_logistic_regression():
    x, y = three_classes()
    ours = MoEClassifier(n_experts=1, tol=1e-10).fit(x, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-6)
    contrast = theirs.coef_[:-1] - theirs.coef_[-1]
    np.testing.assert_allclose(ours.measure_.slopes[0], contrast, atol=1e-5)
    proba = theirs.predict_proba(x)
    one = (y[:, None] == theirs.classes_).astype(int)
    assert ours.log_likelihood_ == pytest.approx(multinomial.logpmf(one, 1, proba).sum(), abs=1e-6)


def test_weighted_logistic_regression():
    x, y = three_classes()
    w = np.random.default_rng(0).uniform(0, 3, len(y))
    ours = MoEClassifier(n_experts=1, tol=1e-10).fit(x, y, sample_weight=w)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-6)


def test_one_gaussian_expert_is_least_squares():
    x, y = two_lines()
    ours = MoERegressor(n_experts=1).fit(x, y)
    theirs = LinearRegression().fit(x, y)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-9)
    rss = ((y - theirs.predict(x)) ** 2).sum()
    assert ours.measure_.variances[0] == pytest.approx(rss / len(y), rel=1e-8)
    assert ours.log_likelihood_ == pytest.approx(
        norm.logpdf(y, theirs.predict(x), np.sqrt(rss / len(y))).sum(), abs=1e-8
    )


def test_one_poisson_expert_is_poisson_regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2))
    y = rng.poisson(np.exp(0.5 + x @ [0.3, -0.4]))
    w = rng.uniform(0, 2, 300)
    ours = MoERegressor(n_experts=1, family="poisson", tol=1e-10).fit(x, y, sample_weight=w)
    theirs = PoissonRegressor(alpha=0, tol=1e-12, max_iter=1000).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(ours.measure_.slopes[0, 0], theirs.coef_, atol=1e-6)
    assert ours.log_likelihood_ == pytest.approx((w * poisson.logpmf(y, ours.predict(x))).sum(), abs=1e-8)


def test_no_covariates_at_all_is_a_gaussian_mixture():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(-2, 0.5, 150), rng.normal(1, 1, 250)])
    x = rng.standard_normal((400, 1))
    ours = MoERegressor(n_experts=2, gate_features=[], expert_features=[]).fit(x, y)
    theirs = GaussianMixture(2, tol=1e-12, max_iter=100_000, reg_covar=0, n_init=5, random_state=0).fit(
        y[:, None]
    )
    assert ours.log_likelihood_ == pytest.approx(theirs.score(y[:, None]) * 400, abs=1e-6)
    order = np.argsort(theirs.means_[:, 0])
    mine = np.argsort(ours.measure_.intercepts[:, 0])
    np.testing.assert_allclose(ours.measure_.intercepts[mine, 0], theirs.means_[order, 0], atol=1e-4)
    np.testing.assert_allclose(ours.gate_proba(x)[0][mine], theirs.weights_[order], atol=1e-4)
    np.testing.assert_allclose(ours.measure_.variances[mine], theirs.covariances_[order, 0, 0], atol=1e-4)


def test_constant_gate_is_a_mixture_of_regressions():
    """Against EM for mixture regression, written out here."""
    x, y = two_lines()
    ours = MoERegressor(n_experts=2, gate_features=[], random_state=0).fit(x, y)
    x1 = np.column_stack([np.ones(len(y)), x])
    weight, beta, s2 = np.full(2, 0.5), ours.measure_.slopes[:, 0, :] * 0.8, np.full(2, 0.5)
    beta = np.column_stack([ours.measure_.intercepts[:, 0] + 0.1, beta])
    for _ in range(3000):
        density = weight * norm.pdf(y[:, None], x1 @ beta.T, np.sqrt(s2))
        r = density / density.sum(axis=1, keepdims=True)
        weight = r.mean(axis=0)
        for e in range(2):
            beta[e] = np.linalg.solve((x1 * r[:, [e]]).T @ x1, (x1 * r[:, [e]]).T @ y)
            s2[e] = (r[:, e] @ (y - x1 @ beta[e]) ** 2) / r[:, e].sum()
    value = np.log((weight * norm.pdf(y[:, None], x1 @ beta.T, np.sqrt(s2))).sum(axis=1)).sum()
    assert ours.log_likelihood_ == pytest.approx(value, abs=1e-7)
    np.testing.assert_allclose(ours.measure_.variances, s2, rtol=1e-5)


def test_shared_variance_is_nested_in_own_variances():
    x, y = two_lines()
    own = MoERegressor(n_experts=2, random_state=0).fit(x, y)
    shared = MoERegressor(n_experts=2, shared_variance=True, random_state=0).fit(x, y)
    assert shared.n_parameters_ == own.n_parameters_ - 1
    assert shared.log_likelihood_ <= own.log_likelihood_ + 1e-8
    assert np.ptp(shared.measure_.variances) == 0


def test_constants_of_the_poisson_likelihood_are_there():
    y = np.array([0, 1, 5, 40, 3, 2])
    model = MoERegressor(n_experts=1, family="poisson", expert_features=[]).fit(np.arange(6.0)[:, None], y)
    expected = (y * np.log(y.mean()) - y.mean() - gammaln(y + 1)).sum()
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-9)

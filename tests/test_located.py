"""Located experts: the joint Gaussian mixture against other implementations and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from moestro import MixingMeasure, _core
from moestro.engine import Order
from moestro.errors import DataError
from moestro.located import LocatedMeasure, fit_located, to_located, to_softmax
from moestro.located.natural import Monomials
from moestro.located.polish import Point, ascend
from moestro.located.problem import JointProblem
from moestro.located.starts import seeded
from moestro.solvers.accelerated import accelerated_em


def measure(k=3, d=2, q=1, seed=0):
    rng = np.random.default_rng(seed)

    def spd(size):
        root = rng.standard_normal((k, size, size))
        return root @ root.transpose(0, 2, 1) / size + 0.2 * np.eye(size)

    return LocatedMeasure(
        weights=rng.dirichlet(np.full(k, 3.0)),
        means=2 * rng.standard_normal((k, d)),
        covariances=spd(d),
        slopes=rng.standard_normal((k, q, d)),
        intercepts=rng.standard_normal((k, q)),
        noise=0.3 * spd(q),
    )


def test_joint_density_is_scipys():
    m = measure(q=2)
    x, y, _ = m.sample(50, np.random.default_rng(0))
    mean, covariance = m.joint()
    expected = sum(
        w * stats.multivariate_normal(a, b).pdf(np.column_stack([x, y]))
        for w, a, b in zip(m.weights, mean, covariance, strict=True)
    )
    np.testing.assert_allclose(np.exp(m.joint_log_density(x, y)), expected, rtol=1e-10)


def test_inverse_regression_leaves_the_joint_law():
    m = measure(d=3, q=2)
    x, y, _ = m.sample(40, np.random.default_rng(0))
    turned = m.inverse()
    assert (turned.d, turned.q) == (2, 3)
    np.testing.assert_allclose(
        turned.joint_log_density(y, x), m.joint_log_density(x, y), rtol=1e-11, atol=1e-11
    )
    back = turned.inverse()
    for name, value in m.components().items():
        np.testing.assert_allclose(getattr(back, name), value, rtol=1e-10, atol=1e-11)


def test_a_precision_that_is_singular_to_rounding_is_no_measure():
    """It has a Cholesky factor, and no inverse."""
    precision = np.array(
        [[182.77346595950564, 4.290214720479293e-06], [4.290214720479293e-06, 1.00703579981873e-13]]
    )
    np.linalg.cholesky(precision)
    mono = Monomials(2)
    i, j = mono.pairs
    theta = np.concatenate([np.zeros(3), -precision[i, j] * np.where(i == j, 0.5, 1.0)])
    assert mono.gaussians(theta[None]) is None


def test_softmax_and_gaussian_gates_are_one_with_a_common_covariance():
    rng = np.random.default_rng(1)
    m = MixingMeasure(
        [0.3, -0.5, 0.0], rng.standard_normal((3, 2)), rng.standard_normal((3, 1)),
        rng.standard_normal((3, 1, 2)),
        rng.standard_normal((3, 1)), "gaussian",
    )  # fmt: skip
    x, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    expected = m.log_density(x, y)
    for gamma in (None, np.array([[2.0, 0.3], [0.3, 0.5]])):
        located = to_located(m, gamma)
        np.testing.assert_allclose(located.log_density(x, y), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(to_softmax(located).log_density(x, y), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(np.exp(located.log_gate(x)), m.gate_proba(x), rtol=1e-11)
    with pytest.raises(DataError, match="covariances are equal"):
        to_softmax(measure())


def test_moments_are_those_of_a_seeded_simulation_and_of_isserlis():
    mono = Monomials(2)
    mean, covariance = np.array([[0.3, -1.0]]), np.array([[[1.5, 0.4], [0.4, 0.7]]])
    got = dict(zip(mono.exponents, mono.expectations(mean, covariance)[0], strict=True))
    (a, b), S = mean[0], covariance[0]
    assert got[0, 1] == pytest.approx(S[0, 1] + a * b)
    assert got[0, 0, 0, 0] == pytest.approx(a**4 + 6 * a**2 * S[0, 0] + 3 * S[0, 0] ** 2)
    assert got[0, 0, 1, 1] == pytest.approx(
        S[0, 0] * S[1, 1]
        + 2 * S[0, 1] ** 2
        + a**2 * S[1, 1]
        + b**2 * S[0, 0]
        + 4 * a * b * S[0, 1]
        + a**2 * b**2
    )
    draws = np.random.default_rng(0).multivariate_normal(mean[0], S, 400_000)
    np.testing.assert_allclose(mono.values(draws.T, 4).mean(axis=1), list(got.values()), rtol=0.03, atol=0.03)
    theta = mono.natural(np.array([-0.7]), mean, covariance)
    back = mono.gaussians(theta)
    np.testing.assert_allclose(back[0], [-0.7], atol=1e-12)
    np.testing.assert_allclose(back[1], mean, atol=1e-12)
    np.testing.assert_allclose(back[2], covariance, atol=1e-12)


@pytest.mark.parametrize("isa", _core.instruction_sets())
def test_compiled_sums_are_those_of_numpy(isa, monkeypatch):
    monkeypatch.setenv("MOESTRO_ISA", isa)
    rng = np.random.default_rng(0)
    for n, D, k in ((1, 1, 1), (191, 2, 3), (193, 3, 7), (5000, 11, 4)):
        rows = rng.standard_normal((n, D))
        for w in (None, rng.uniform(0, 2, n)):
            problem = JointProblem(rows, w, k)
            root = 0.3 * rng.standard_normal((k, D, D))
            covariance = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(D)
            theta = problem.monomials.natural(
                rng.standard_normal(k), 3 * rng.standard_normal((k, D)), covariance
            )
            value, first, _ = problem._sums(theta, False)
            expected, sums, _ = problem.sums_in_numpy(theta, False)
            assert value == pytest.approx(expected, rel=1e-11)
            np.testing.assert_allclose(first, sums, rtol=1e-10, atol=1e-9 * n)
            for threads in (2, 5):
                again = replace(problem, threads=threads)._sums(theta, False)
                assert again[0] == value
                np.testing.assert_array_equal(again[1], first)


def test_derivatives_of_the_joint_problem():
    m = measure(k=2, d=1)
    x, y, _ = m.sample(80, np.random.default_rng(0))
    rows = np.column_stack([x, y])
    problem = JointProblem(rows, np.random.default_rng(1).uniform(0, 2, 80), 2)
    mean, covariance = m.joint()
    phi = problem.monomials.natural(np.log(m.weights) + 0.1, mean, covariance).ravel()
    at = problem.evaluate(phi, Order.CURVATURE)
    h = 1e-6
    step = h * np.eye(len(phi))
    up, down = ([problem.evaluate(phi + s * e, Order.GRADIENT) for e in step] for s in (1, -1))
    np.testing.assert_allclose(
        at.gradient,
        [(a.value - b.value) / (2 * h) for a, b in zip(up, down, strict=True)],
        rtol=1e-6,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        at.curvature,
        [(a.gradient - b.gradient) / (2 * h) for a, b in zip(up, down, strict=True)],
        rtol=1e-5,
        atol=1e-3,
    )


@pytest.mark.parametrize(("k", "d", "q"), [(1, 1, 1), (2, 1, 1), (3, 2, 1), (2, 0, 1), (2, 1, 2)])
def test_no_worse_than_scikit_learns_joint_mixture(k, d, q):
    x, y, _ = measure(k, d, q, seed=k).sample(500, np.random.default_rng(0))
    rows = np.column_stack([x, y])
    theirs = GaussianMixture(k, n_init=4, tol=1e-10, max_iter=2000, reg_covar=0.0, random_state=0).fit(rows)
    ours = fit_located(x, y, k, seed=0)
    assert ours.log_likelihood >= theirs.score(rows) * 500 - 1e-5
    assert ours.log_likelihood == pytest.approx(ours.measure.joint_log_density(x, y).sum(), rel=1e-10)
    assert ours.status.kind == "converged"
    assert ours.n_parameters == k * (1 + (d + q) * (d + q + 3) // 2) - 1


def test_em_never_decreases_and_newton_ends_above_it():
    x, y, _ = measure().sample(300, np.random.default_rng(3))
    rows = np.column_stack([x, y])
    problem = JointProblem((rows - rows.mean(axis=0)) / rows.std(axis=0), None, 3)
    start = problem.statistics(seeded(problem.rows, None, 3, np.random.default_rng(0)))
    plain, fast = (accelerated_em(problem, start, 1e-9, 3000, memory) for memory in (0, 6))
    for ascent in (plain, fast):
        assert (np.diff(ascent.values) >= -1e-9).all()
        assert ascent.converged
    assert fast.value == pytest.approx(plain.value, abs=1e-6)
    assert fast.iterations < plain.iterations / 2
    assert ascend(problem, Point(start), 1e-9).value == pytest.approx(plain.value, abs=1e-6)


def test_one_line_is_least_squares():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 2))
    y = x @ [1.0, -2.0] + 0.5 + 0.1 * rng.standard_normal(100)
    m = fit_located(x, y, 1).measure
    expected = np.linalg.lstsq(np.column_stack([np.ones(100), x]), y, rcond=None)[0]
    np.testing.assert_allclose(np.append(m.intercepts[0], m.slopes[0]), expected, rtol=1e-8)
    np.testing.assert_allclose(m.means[0], x.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(m.covariances[0], np.cov(x.T, bias=True), atol=1e-7)


def test_location_scale_mixture_is_the_case_without_covariates():
    """Also through the estimators: an intercept alone in experts and gate."""
    from moestro import MoERegressor

    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(-2, 0.5, 150), rng.normal(1, 1, 250)])
    located = fit_located(np.empty((400, 0)), y, 2, seed=0)
    expert = MoERegressor.from_formula("y ~ 1 | 1", {"y": y}, n_experts=2, random_state=0)
    assert located.log_likelihood == pytest.approx(expert.log_likelihood_, abs=1e-6)
    a, b = np.argsort(located.measure.intercepts[:, 0]), np.argsort(expert.measure_.intercepts[:, 0])
    np.testing.assert_allclose(located.measure.noise[a, 0, 0], expert.measure_.variances[b], rtol=1e-5)


def test_predictions_are_distributions():
    m = measure()
    x, y, _ = m.sample(200, np.random.default_rng(0))
    law = m.conditional(x)
    np.testing.assert_allclose(law.log_pdf(y[:, 0]), m.log_density(x, y), rtol=1e-9, atol=1e-9)
    assert (law.quantile(0.1) < law.quantile(0.9)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": [0.5, 0.6, 0.2]}, "sum to 1"),
        ({"weights": [1.5, -0.5, 0.0]}, "at least 0"),
        ({"intercepts": np.zeros((3, 2))}, "shape"),
    ],
)
def test_wrong_measures_are_refused(change, words):
    m = measure()
    with pytest.raises(DataError, match=words):
        LocatedMeasure(**{"weights": m.weights, **m.components(), **change})


@pytest.mark.parametrize(
    ("x", "y", "k", "words"),
    [
        (np.ones((50, 1)), np.arange(50.0), 1, "constant"),
        (np.arange(50.0)[:, None], np.r_[np.nan, np.arange(49.0)], 1, "NaN"),
        (np.arange(2.0)[:, None], np.arange(2.0) ** 2, 3, "at least 3 distinct rows"),
        (np.arange(20.0)[:, None], np.random.default_rng(0).random((20, 60)), 1, "at least 62 distinct rows"),
        (np.arange(50.0)[:, None], np.arange(50.0) ** 2, 0, "at least 1"),
        (np.ones((50, 1)), np.arange(40.0), 1, "50 rows, y has 40"),
        (np.array([["a"]] * 50), np.arange(50.0), 1, "numbers only"),
    ],
)
def test_wrong_input_is_refused(x, y, k, words):
    with pytest.raises(DataError, match=words):
        fit_located(x, y, k)


def test_a_collapsing_component_is_named():
    rng = np.random.default_rng(0)
    x = np.r_[rng.standard_normal(60), np.full(20, 3.0)][:, None]
    y = np.r_[rng.standard_normal(60), np.full(20, 3.0)]
    assert fit_located(x, y, 2, seed=0).status.usable
    fit = fit_located(x, y, 2, seed=0, rank_by="likelihood")
    assert fit.status.kind == "variance collapsed"
    assert len(fit.status.experts) == 1

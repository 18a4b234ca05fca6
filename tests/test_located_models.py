"""Every kind of located model: structures, polynomial experts, Student tails, both directions, wide data."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

from conftest import DATA, RATES, two_lines
from moestro import LocatedMoERegressor, load_dataset
from moestro.errors import DataError
from moestro.located import LocatedMeasure, Specification, fit_located, polynomial
from moestro.located.data import Data
from moestro.located.fit import fit_data
from moestro.located.spread import STRUCTURES, Blocks, Factors, Full, factors
from moestro.located.spread.factors import FactorSpread
from moestro.located.starts import seeded
from moestro.located.structured import StructuredProblem
from moestro.located.tails import TailSums
from moestro.search import Options
from moestro.selection.located import LocatedModels
from moestro.solvers.accelerated import accelerated_em, accelerated_em_together
from moestro.solvers.base import LONG

# One line a structure: options of the fit.
OPTIONS = {
    "isotropic": {},
    "diagonal": {},
    "full": {},
    "blocks": {"blocks": [[0, 2], [1]]},
    "factors": {"rank": 1},
}
CASES = [
    (name, more)
    for name in OPTIONS
    for more in ({}, {"tied": True}, {"student": True}, {"degree": 2},
                 {"gate_covariance": "isotropic", "gate_tied": True})
]  # fmt: skip


def data(n=400, seed=0):
    """Two clusters of t, three responses with correlated noise."""
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=n)
    t = np.where(z, 1.5, -1.5)[:, None] + 0.7 * rng.standard_normal((n, 1))
    A = np.array([[1.0, -2.0, 0.5], [-1.0, 0.3, 2.0]])
    b = np.array([[0.0, 1.0, -1.0], [2.0, -1.0, 0.0]])
    root = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, 0.0], [0.7, 0.0, 0.6]])
    return t, A[z] * t + b[z] + 0.5 * rng.standard_normal((n, 3)) @ root.T


def test_every_structure_is_in_the_table():
    assert set(OPTIONS) == set(STRUCTURES)


class TestTails:
    """Degrees of freedom from the likelihood itself."""

    @pytest.mark.parametrize("nu", [2.5, 4.0, 12.0, 60.0])
    def test_newton_finds_their_maximum_likelihood(self, nu):
        """Beside a bounded scalar search of SciPy's multivariate t."""
        rng = np.random.default_rng(int(nu))
        D, r = 3, rng.uniform(size=4000)
        distance = D * stats.f(D, nu).rvs(4000, random_state=rng)

        def loss(at):
            z = np.zeros((len(distance), D))
            z[:, 0] = np.sqrt(distance)
            return -float(r @ stats.multivariate_t(np.zeros(D), np.eye(D), df=at).logpdf(z))

        best = optimize.minimize_scalar(loss, bounds=(2.1, 200.0), method="bounded", options={"xatol": 1e-6})
        at = np.array([30.0])
        for _ in range(20):
            sums = TailSums(at, D)
            for part in (slice(0, 1000), slice(1000, None)):
                sums.add(r[None, part], distance[None, part])
            at = sums.raised()
        assert at[0] == pytest.approx(best.x, rel=1e-3)
        assert loss(at[0]) <= best.fun + 1e-9

    def test_what_has_no_rows_or_no_finite_distance_keeps_its_own(self):
        sums = TailSums(np.array([5.0, 7.0, 9.0]), 2)
        r = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
        sums.add(r, np.array([[1.0, 2.0], [np.inf, 1.0], [1.0, np.nan]]))
        np.testing.assert_array_equal(sums.raised(), [5.0, 7.0, 9.0])

    def test_nearly_normal_tails_do_not_take_hundreds_of_steps(self):
        """EM's own step for them took 216."""
        iris = load_iris().data
        fit = fit_located(iris[:, :3], iris[:, 3], 2, student=True, seed=0)
        assert sorted(fit.measure.degrees_of_freedom.round(1)) == [10.8, 200.0]
        assert fit.n_iter < 80
        values = fit.history["log_likelihood"]
        assert (np.diff(values) >= -1e-10 * np.abs(values[0])).all()


@pytest.mark.parametrize(("covariance", "more"), CASES)
class TestEveryModel:
    def problem(self, covariance, more, n=150, k=2):
        spec = Specification(covariance=covariance, **OPTIONS[covariance], **more)
        rows = Data.read(*data(n), None, spec, k)
        return (
            StructuredProblem(rows.u, rows.v, None, rows.shape(spec, k), spec.degree, rows.offset),
            rows,
            spec,
        )

    def test_em_never_falls_and_acceleration_reaches_the_same_point(self, covariance, more):
        problem, _, _ = self.problem(covariance, more)
        start = problem.statistics(seeded(problem.rows, None, 2, np.random.default_rng(1)))
        plain, fast = (accelerated_em(problem, start, 1e-8, 4000, memory) for memory in (0, 6))
        for ascent in (plain, fast):
            assert (np.diff(ascent.values) >= -1e-8).all()
        assert fast.converged
        assert fast.value == pytest.approx(plain.value, abs=1e-5)

    def test_units_do_not_matter(self, covariance, more):
        n = 150
        t, y = data(n)
        how = {"covariance": covariance, **OPTIONS[covariance], **more, "n_starts": 2, "seed": 0}
        scale = 7.0 if covariance == "isotropic" else np.array([7.0, 0.1, 30.0])
        a, b = fit_located(t, y, 2, **how), fit_located(3 * t - 1, y * scale + 5, 2, **how)
        jacobian = n * (np.log(3) + np.log(scale * np.ones(3)).sum())
        assert b.log_likelihood == pytest.approx(a.log_likelihood - jacobian, abs=1e-4)
        assert a.status.kind == "converged"
        assert a.measure.joint_log_density(t, y).sum() == pytest.approx(a.log_likelihood, rel=1e-10)
        free = {"isotropic": 1, "diagonal": 3, "full": 6, "blocks": 4, "factors": 6}[covariance]
        per = 3 * (3 if more.get("degree") == 2 else 2) + 1 + (1 if more.get("student") else 0)
        gate = 1 if "gate_tied" in more else 2
        assert a.n_parameters == 1 + 2 * per + gate + (1 if more.get("tied") else 2) * free


def test_a_long_run_that_is_hopeless_leaves():
    spec = Specification(student=True)
    problem = Data.read(*data(60), None, spec, 2).problem(spec, 2)
    r = np.random.default_rng(2).dirichlet([1.0, 1.0], 60)
    start = problem.statistics(r)[None]
    ends = [
        accelerated_em_together(problem, start, 0.0, 2 * LONG, hopeless=hopeless)[0].iterations
        for hopeless in (None, lambda parameters: parameters is not None, lambda parameters: False)
    ]
    assert ends == [2 * LONG, LONG, 2 * LONG]


@pytest.mark.parametrize(
    "how", [*({"covariance": c, **OPTIONS[c]} for c in OPTIONS), {"covariance": "full", "student": True}]
)
@pytest.mark.parametrize("k", [1, 2])
def test_runs_side_by_side_are_runs_alone(how, k):
    """One of them has no component to begin with."""
    spec = Specification(tied=k == 2 and how["covariance"] != "factors", **how)
    rows = Data.read(*data(60), None, spec, k)
    problem = rows.problem(spec, k)
    rng = np.random.default_rng(2)
    starts = [problem.statistics(rng.dirichlet(np.full(k, a), 60)) for a in (0.05, 1.0, 50.0)]
    starts.insert(1, np.zeros_like(starts[0]))
    together = accelerated_em_together(problem, np.array(starts), 1e-3, 12)
    for start, ascent in zip(starts, together, strict=True):
        alone = accelerated_em(problem, start, 1e-3, 12)
        assert ascent.converged == alone.converged
        np.testing.assert_allclose(ascent.values, alone.values, rtol=1e-9)
        assert (ascent.parameters is None) == (start is starts[1])
        if ascent.parameters is not None:
            a, b = (problem.value(p)[1] for p in (ascent.parameters, alone.parameters))
            np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(("k", "seed"), [(1, 0), (2, 0), (2, 1), pytest.param(3, 0, marks=pytest.mark.slow)])
def test_nested_models_are_ordered(k, seed):
    t, y = data(150, seed)
    fits = [fit_located(t, y, k, covariance=c, seed=seed) for c in ("isotropic", "diagonal", "full")]
    values = [f.log_likelihood for f in fits if f.status.usable]
    assert len(values) >= 2
    assert (np.diff(values) >= -1e-6).all()


def test_tied_full_covariances_and_one_expert_have_closed_forms():
    t, y = data()
    phi = np.column_stack([np.ones(400), t, t**2])
    residual = y - phi @ np.linalg.lstsq(phi, y, rcond=None)[0]
    m = fit_located(t, y, 1, degree=2).measure
    np.testing.assert_allclose(m.noise[0], residual.T @ residual / 400, atol=1e-8)
    theirs = GaussianMixture(
        2, covariance_type="tied", n_init=5, tol=1e-12, max_iter=3000, reg_covar=0, random_state=0
    ).fit(y)
    ours = fit_located(np.empty((400, 0)), y, 2, tied=True, seed=0)
    assert ours.log_likelihood >= theirs.score(y) * 400 - 1e-5


def test_factors_one_fewer_than_columns_explain_every_covariance():
    """As many parameters as the covariance has, in closed form, whatever the step before."""
    rng = np.random.default_rng(0)
    for D, rank in ((2, 1), (3, 2), (4, 3), (3, 3)):
        A = rng.normal(size=(2, D, D + 1))
        S = A @ np.swapaxes(A, 1, 2)
        found = Factors(rank=rank).estimate(S, np.ones((1, 2)), None)
        np.testing.assert_allclose(found.dense(), S, atol=1e-12 * S.max())
        again = Factors(rank=rank).estimate(S, np.ones((1, 2)), [found])
        np.testing.assert_array_equal(again.dense(), found.dense())
        assert Factors(rank=rank).count(D) == D * (D + 1) // 2
    y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 400)
    one, other = (
        fit_located(np.empty((400, 0)), y, 1, covariance=kind, tol=1e-10) for kind in ("factors", "full")
    )
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    assert one.n_parameters == other.n_parameters


def test_factors_are_factor_analysis():
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(0)
    y = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 6)) + rng.standard_normal(
        (300, 6)
    ) * rng.uniform(0.3, 1, 6)
    theirs = FactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(y)
    ours = fit_located(np.empty((300, 0)), y, 1, covariance="factors", rank=2, tol=1e-10)
    assert ours.log_likelihood == pytest.approx(theirs.score(y) * 300, abs=1e-4)


def test_spreads_agree_with_their_matrices(monkeypatch):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((2, 5, 5))
    second = root @ root.transpose(0, 2, 1) + np.eye(5)
    r = rng.standard_normal((2, 20, 5))
    parts = ((0, 3), (1,), (2, 4))
    spreads = [
        s.estimate(second, np.array([[1.0, 2.0]]), None)
        for s in (Full(), Blocks(False, (parts,)), Factors(False, 2))
    ]
    regular = FactorSpread(rng.standard_normal((2, 5, 2)), rng.uniform(0.3, 1, (2, 5)))
    for spread in (*spreads, regular):
        if spread is regular:  # as where there are many columns
            monkeypatch.setattr(factors, "EXACT_COLUMNS", 0)
        dense = spread.dense()
        np.testing.assert_allclose(spread.log_det, np.linalg.slogdet(dense)[1], rtol=1e-9)
        expected = np.einsum("kni,kij,knj->kn", r, np.linalg.inv(dense), r)
        np.testing.assert_allclose(spread.distances(r), expected, rtol=1e-8)
        np.testing.assert_array_equal(spread.part(slice(1, 2)).dense(), dense[1:])


def test_student_densities_are_scipys_and_recover_their_degrees():
    rng = np.random.default_rng(0)
    shape = np.array([[1.0, 0.4], [0.4, 0.7]])
    rows = stats.multivariate_t([1.0, -1.0], shape, df=4, seed=1).rvs(6000)
    fit = fit_located(rows[:, :1], rows[:, 1], 1, student=True)
    m = fit.measure
    assert m.degrees_of_freedom[0] == pytest.approx(4, rel=0.12)
    mean, scale = m.joint()
    expected = stats.multivariate_t(mean[0], scale[0], df=m.degrees_of_freedom[0]).logpdf(rows)
    np.testing.assert_allclose(m.joint_log_density(rows[:, :1], rows[:, 1]), expected, rtol=1e-9)
    x = rng.standard_normal((3, 1))
    law = m.conditional(x)
    y = np.linspace(-400, 400, 400_001)
    for i in range(3):
        density = np.exp(m.log_density(np.repeat(x[i : i + 1], len(y), axis=0), y))
        assert integrate.trapezoid(density, y) == pytest.approx(1, abs=1e-4)
        assert integrate.trapezoid(density * y, y) == pytest.approx(law.mean()[i], abs=2e-3)
    draws = m.law(np.repeat(x[:1], 200_000, axis=0)).sample(0)[:, 0]
    assert np.quantile(draws, 0.9) == pytest.approx(law.quantile(0.9)[0], abs=0.03)


def test_student_tails_shrug_at_outliers():
    t, y = data(600)
    y = y.copy()
    y[:12] += 40 * np.random.default_rng(5).standard_normal((12, 3))
    clean = fit_located(t[12:], y[12:], 2, covariance="diagonal", seed=0).measure
    robust = fit_located(t, y, 2, covariance="diagonal", student=True, seed=0).measure
    order = [np.argsort(m.means[:, 0]) for m in (clean, robust)]
    np.testing.assert_allclose(robust.slopes[order[1]], clean.slopes[order[0]], atol=0.15)


def test_polynomials_in_the_users_units():
    rng = np.random.default_rng(0)
    x = 5 + 2 * rng.standard_normal((200, 2))
    coefficients = rng.standard_normal(polynomial.count(2, 3) + 1)
    y = polynomial.values(x, 3) @ coefficients + 0.01 * rng.standard_normal(200)
    m = fit_located(x, y, 1, degree=3).measure
    np.testing.assert_allclose(m.expert_means(x)[:, 0, 0], polynomial.values(x, 3) @ coefficients, atol=0.05)
    assert [len(polynomial.exponents(d, r)) for d, r in ((1, 3), (2, 2), (3, 2))] == [3, 5, 9]
    with pytest.raises(DataError, match="not affine"):
        m.inverse()
    with pytest.raises(DataError, match="have no inverse in closed form"):
        fit_located(x, y, 1, degree=2, direction="inverse")


@pytest.mark.parametrize("student", [False, True])
def test_inverse_regression_is_the_same_joint_law_at_many_columns(student):
    t, y = data()
    wide = np.column_stack([y, y**2 / 4, np.random.default_rng(0).standard_normal((400, 34))])
    fit = fit_located(wide, t[:, 0], 2, direction="inverse", covariance="diagonal", student=student, seed=0)
    joint = fit.fitted.joint_log_density(t, wide)
    np.testing.assert_allclose(fit.measure.joint_log_density(wide, t), joint, rtol=1e-12, atol=1e-9)
    back = fit.measure.inverse()
    np.testing.assert_allclose(back.joint_log_density(t, wide), joint, rtol=1e-10, atol=1e-8)
    law = fit.measure.law(wide)
    assert np.sqrt(((law.mean()[:, 0] - t[:, 0]) ** 2).mean()) < 0.4


@pytest.mark.parametrize("options", [{}, {"degree": 3}, {"student": True}])
def test_measures_go_through_json(options):
    t, y = data(100)
    for columns in (t, np.empty((100, 0))):
        m = fit_located(columns, y, 2, n_starts=2, seed=0, **options).measure
        back = LocatedMeasure.from_json(m.to_json())
        np.testing.assert_array_equal(back.joint_log_density(columns, y), m.joint_log_density(columns, y))
    for text, words in (
        ("{", "not a complete JSON file"),
        ("{}", "not a located measure"),
        (m.to_json().replace('"noise"', '"noises"'), "incomplete"),
    ):
        with pytest.raises(DataError, match=words):
            LocatedMeasure.from_json(text)


def test_blocks_are_found():
    rng = np.random.default_rng(0)
    n, groups = 600, [[0, 4, 7], [1, 2], [3, 5, 6, 8]]
    z = rng.integers(2, size=n)
    t = np.where(z, 2.0, -2.0)[:, None] + 0.5 * rng.standard_normal((n, 1))
    noise = rng.standard_normal((n, 9))
    for g in groups:
        noise[:, g] += 1.5 * rng.standard_normal((n, 1))
    y = np.where(z[:, None], t, -t) + noise
    fit = fit_located(t, y, 2, covariance="blocks", seed=0)
    found = [sorted(sorted(b) for b in p) for p in fit.specification.blocks]
    assert found == [sorted(groups)] * 2
    spec = Specification(covariance="blocks")
    path = fit_data(Data.read(t, y, None, spec, 2), spec, [2], Options(seed=0))
    assert (np.diff([f.n_parameters for f in path]) > 0).all()
    assert (np.diff([f.log_likelihood for f in path]) > -1e-6).all()
    fold = LocatedModels(t, y, [spec]).refits(np.arange(n) % 5 > 0, path, Options(seed=0))
    assert [f.specification for f in fold] == [f.specification for f in path]
    assert [f.weight_sum for f in fold] == [480] * len(path)
    assert (np.diff([f.log_likelihood for f in fold]) > -1e-6).all()
    beside = fit_data(Data.read(t, y, None, spec, 2), spec, [1, 2], Options(seed=0))
    assert [f.log_likelihood for f in beside if f.k == 2] == [f.log_likelihood for f in path]


def test_a_thousand_columns_of_two_hundred_rows():
    rng = np.random.default_rng(1)
    n, D = 200, 1000
    t = rng.uniform(-2, 2, (n, 1))
    label = (t[:, 0] > 0).astype(int)
    noise = rng.standard_normal((n, D)) + 1.2 * np.repeat(rng.standard_normal((n, D // 5)), 5, axis=1)
    y = rng.standard_normal((2, D))[label] * t + rng.standard_normal((2, D))[label] + 0.5 * noise
    diagonal = fit_located(t, y, 2, covariance="diagonal", n_starts=1, seed=0)
    for how in (
        {"covariance": "factors", "rank": 2},
        {"covariance": "blocks", "blocks": [list(range(i, i + 5)) for i in range(0, D, 5)]},
    ):
        fit = fit_located(y, t[:, 0], 2, direction="inverse", n_starts=1, seed=0, **how)
        assert fit.status.kind == "converged"
        assert fit.log_likelihood > diagonal.log_likelihood
        assert np.sqrt(((fit.measure.law(y).mean() - t) ** 2).mean()) < 0.1


@pytest.mark.parametrize("direction", ["direct", "inverse"])
def test_one_column_has_one_partition(direction):
    """Also where the model is a mixture of normal laws, which no structure constrains."""
    x, y = two_lines(100)
    one = {"k": 2, "direction": direction, "seed": 0}
    learned = fit_located(x, y[:, None], covariance="blocks", **one)
    plain = fit_located(x, y[:, None], covariance="diagonal", **one)
    assert learned.specification.blocks == (((0,),), ((0,),))
    assert learned.n_parameters == plain.n_parameters
    assert learned.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    rng = np.random.default_rng(0)
    rounded = LocatedMoERegressor(3, covariance="blocks", n_starts=1, random_state=0)
    rounded.fit(rng.normal(size=(60, 1)), np.round(rng.normal(size=60)))
    assert np.isfinite(rounded.log_likelihood_)


def test_singular_clusters_and_large_blocks_are_named():
    rng = np.random.default_rng(0)
    t = np.concatenate([rng.standard_normal(60), 10 + 0.1 * rng.standard_normal(5)])[:, None]
    y = np.concatenate([rng.standard_normal((60, 8)), 20 + rng.standard_normal((5, 8))])
    fit = fit_located(t, y, 2, covariance="blocks", blocks=[list(range(8))], rank_by="likelihood", seed=0)
    assert fit.status.kind == "variance collapsed"
    assert fit.status.experts == (int(np.argmin(fit.mass)),)
    assert f"expert {fit.status.experts[0] + 1} is singular" in fit.status.sentence
    learned = fit_located(t, y, 2, covariance="blocks", seed=0)  # no block as large as its cluster is tried
    assert learned.status.kind == "converged"
    t, y = data(60)
    far = np.full((4, 1), 30.0) + 0.1 * rng.standard_normal((4, 1))
    t, y = np.vstack([t, far]), np.vstack([y, 30 + rng.standard_normal((4, 3))])
    four = fit_located(t, y, 2, covariance="full", initial=_apart(t, y, 60))
    assert four.status.kind == "variance collapsed"
    assert "expert 2" in four.status.sentence


def _apart(t, y, at):
    parts = [fit_located(t[:at], y[:at], 1).measure, fit_located(t[at - 10 :], y[at - 10 :], 1).measure]
    return LocatedMeasure(
        [0.9, 0.1], np.vstack([parts[0].means, t[at:].mean(axis=0, keepdims=True)]),
        [parts[0].covariances[0], [[0.02]]],
        [parts[0].slopes[0], np.zeros((3, 1))], np.vstack([parts[0].intercepts, y[at:].mean(axis=0)]),
        [parts[0].noise[0], np.eye(3)],
    )  # fmt: skip


def test_an_empty_component_keeps_its_name():
    t, y = data(100)
    spec = Specification(covariance="diagonal")
    rows = Data.read(t, y, None, spec, 3)
    problem = rows.problem(spec, 3)
    r = np.zeros((100, 3))
    r[:, 0], r[:, 1] = 1 - 2e-9, 1e-9
    r[:, 2] = 1e-9
    from moestro.located.polish import Point, ascend, diagnose

    status = diagnose(problem, ascend(problem, Point(problem.statistics(r)), 1e-8, 50))
    assert status.kind == "empty component"
    assert "experts 2, 3" in status.sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"covariance": "round"}, "unknown"),
        ({"direction": "sideways"}, "unknown"),
        ({"gate_covariance": "blocks"}, "unknown"),
        ({"degree": 0}, "degree"),
        ({"covariance": "factors", "rank": 3}, "that factors explain, 3"),
        ({"covariance": "blocks", "blocks": [[0, 1], [1, 2]]}, "two blocks"),
        ({"covariance": "blocks", "blocks": [[0, 7]]}, "names column 7"),
        ({"covariance": "blocks", "blocks": [[[0, 1]], [[0]], [[1]]]}, "3 partitions for 2"),
        ({"covariance": "blocks", "blocks": 3}, "lists of column"),
        ({"blocks": [[0]]}, "use covariance='blocks'"),
        ({"n_starts": 0}, "n_starts"),
        ({"tol": 0.0}, "tol must be positive"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(DataError, match=words):
        fit_located(*data(60), 2, **options)


def test_duplicated_columns_are_refused_by_name():
    t, y = data(60)
    with pytest.raises(DataError, match="'y0' and 'y3' are multiples"):
        fit_located(t, np.column_stack([y, -2 * y[:, 0]]), 2)
    with pytest.raises(DataError, match="'x0' and 'x1' are multiples"):
        fit_located(np.column_stack([t, t + 1]), y, 2)
    fit = fit_located(t, np.column_stack([y, -2 * y[:, 0]]), 2, covariance="diagonal", seed=0)
    assert fit.status.usable


class TestRegressor:
    def test_several_responses_both_ways(self):
        t, y = data()
        moe = LocatedMoERegressor(2, random_state=0).fit(t, y)
        assert moe.predict(t).shape == (400, 3)
        law = moe.predict_distribution(t)
        np.testing.assert_allclose(law.log_density(y), moe.log_density(t, y), rtol=1e-10)
        assert law.covariance().shape == (400, 3, 3)
        back = moe.inverse_distribution(y)
        assert np.corrcoef(moe.predict_inverse(y)[:, 0], t[:, 0])[0, 1] > 0.95
        # p(x, y) = p(y | x) p(x) = p(x | y) p(y)
        joint = moe.joint_log_density(t, y)
        np.testing.assert_allclose(
            back.log_density(t) + moe.inverse_measure_.marginal_log_density(y), joint, rtol=1e-9, atol=1e-9
        )
        draws = moe.sample(np.tile(t[:2], (2000, 1)), random_state=0).reshape(2000, 2, 3)
        np.testing.assert_allclose(draws.mean(axis=0), law.mean()[:2], atol=0.15)
        np.testing.assert_allclose(np.cov(draws[:, 0].T), law.covariance()[0], atol=0.2)
        np.testing.assert_allclose(moe.responsibilities(t, y).sum(axis=1), 1)
        np.testing.assert_allclose(moe.gate_proba(t).sum(axis=1), 1)

    def test_one_response_has_quantiles_and_is_the_softmax_model_with_a_tied_gate(self):
        t, y = data()
        moe = LocatedMoERegressor(2, gate_tied=True, random_state=0).fit(t, y[:, 0])
        law = moe.predict_distribution(t)
        assert (law.quantile(0.1) < law.quantile(0.9)).all()
        np.testing.assert_allclose(law.mean(), moe.predict(t))
        np.testing.assert_allclose(law.log_pdf(y[:, 0]), moe.log_density(t, y[:, 0]), rtol=1e-9)

    def test_models_are_chosen_from_lists(self):
        rng = np.random.default_rng(0)
        x = rng.uniform(-2, 2, 300)
        y = x**2 + 0.2 * rng.standard_normal(300)
        moe = LocatedMoERegressor("bic", degree=[1, 2], max_experts=3, random_state=0).fit(x[:, None], y)
        table = moe.selection_
        assert len(table) == 6
        best = int(np.argmin(table["bic"]))
        assert [i for i, c in enumerate(table["chosen"]) if c] == [best]
        assert (moe.fit_.specification.degree, moe.n_experts_) == (2, table["k"][best])
        assert table["degree"][best] == 2
        assert {
            "model",
            "k",
            "degree",
            "blocks",
            "df",
            "log_likelihood",
            "aic",
            "bic",
            "icl",
            "status",
        } <= set(moe.selection_.columns)

    def test_formula_and_refusals(self):
        ethanol = load_dataset("ethanol")
        moe = LocatedMoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts=2, random_state=0)
        assert moe.predict(ethanol).shape == (88,)
        with pytest.raises(DataError, match="leave out the gate"):
            LocatedMoERegressor.from_formula("nox ~ equivalence | compression", ethanol)
        with pytest.raises(DataError, match="y has shape"):
            moe.log_density(ethanol, np.zeros(3))
        for wrong in (
            {"n_experts": 0},
            {"n_experts": "best"},
            {"n_starts": 0},
            {"covariance": ["full", "round"]},
        ):
            with pytest.raises(DataError):
                LocatedMoERegressor(**wrong).fit(*data(60))


@pytest.mark.parametrize(("seeds", "enough"), RATES)
@pytest.mark.parametrize(
    ("covariance", "theirs"),
    [("isotropic", -9975.563), ("diagonal", -12191.821), ("full", -9958.944), ("blocks", -11640.267)],
)
def test_at_least_as_good_as_xllim_from_nearly_every_seed(covariance, theirs, seeds, enough):
    rows = np.loadtxt(DATA / "located.csv", delimiter=",", skiprows=1)
    values = [
        fit_located(rows[:, :1], rows[:, 1:], 3, covariance=covariance, n_starts=8, seed=s).log_likelihood
        for s in seeds
    ]
    assert sum(v >= theirs - 1e-3 for v in values) >= enough
    assert sum(v >= max(values) - 1e-3 for v in values) >= enough


@pytest.mark.parametrize(
    ("n", "p", "degree", "match"),
    [
        (60, 12, 3, "454 slopes, and 60 distinct rows allow at most 59"),
        (60, 80, 1, "80 slopes, and 60"),
        (9000, 59, 3, "37819 slopes, and 9000 distinct rows allow at most 5000"),
    ],
)
def test_more_slopes_than_rows_or_memory_bear_are_refused(n, p, degree, match):
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=match):
        fit_located(rng.normal(size=(n, p)), rng.normal(size=n), 2, degree=degree, gate_covariance="diagonal")


def test_fifty_slopes_of_fewer_rows_are_fitted_and_said_to_be_too_many():
    rng = np.random.default_rng(0)
    fit = fit_located(rng.normal(size=(30, 40)), rng.normal(size=30), 1, gate_covariance="diagonal")
    assert not fit.status.usable

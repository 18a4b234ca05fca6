"""Penalised mixtures: optimality conditions by a likelihood of the test's own, other libraries at one expert,
support, paths, bad input."""

import shutil
import subprocess
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from scipy.optimize import minimize
from scipy.special import gammaln
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso, LogisticRegression, PoissonRegressor
from sklearn.model_selection import KFold

from moestro import (
    DataError,
    MoEClassifier,
    MoEClassifierCV,
    MoERegressor,
    MoERegressorCV,
    _core,
    alpha_path,
    load_model,
    stability_selection,
)
from moestro.experts import make_family
from moestro.penalised import Likelihood, fit_alphas, fit_penalised, solve
from moestro.penalised.begin import null
from moestro.penalised.chains import Chain
from moestro.penalised.proximal import descend
from moestro.penalised.restricted import Restricted
from moestro.penalised.status import diagnose
from moestro.penalised.subproblem import Subproblem
from moestro.penalties import (
    L1,
    PENALTIES,
    AdaptiveL1,
    ElasticNet,
    GroupLasso,
    Layout,
    OracleL1,
    Ridge,
    Terms,
)
from moestro.rows import Columns, WideRows
from moestro.search import Options

FAMILIES = ("gaussian", "poisson", "multinomial")
# One line a penalty.
EVERY = {
    "l1": L1(gate_ratio=0.7),
    "ridge": Ridge(),
    "elastic_net": ElasticNet(l1_ratio=0.6, gate_ratio=1.5),
    "group": GroupLasso(groups=(("x0", "x3"),)),
    "adaptive_l1": AdaptiveL1(),
    "oracle": OracleL1(),
}


def draw(family, n=120, p=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * np.linspace(0.5, 2.0, p)
    z = rng.random(n) < 1 / (1 + np.exp(-1.5 * x[:, 1]))
    line = np.where(z, x[:, 0] + 0.5 * x[:, 2], -x[:, 0] - 1.0)
    if family == "gaussian":
        return x, 3.0 * line + rng.normal(size=n) + 5.0
    if family == "poisson":
        return x, rng.poisson(np.exp(0.5 * line + 0.5)).astype(float)
    return x, np.digitize(line + 0.5 * rng.logistic(size=n), [-1.0, 0.7]).astype(float)


def problem_of(x, y, family, k, **how):
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    columns = Columns.of(x, names)
    center, scale = (y.mean(), y.std()) if family == "gaussian" else (0.0, 1.0)
    made = make_family(family, classes=len(np.unique(y)))
    own = {"own_scale": family == "gaussian", **how}
    rows = WideRows(columns, columns, y, None, float(center), float(scale))
    return Likelihood(made, k, rows, names, names, **own)


def gaps(C, slopes):
    """Scores of all labels, the last one zero, from penalised slopes (p, scores)."""
    return np.concatenate([slopes, np.zeros_like(slopes[:, :1])], axis=1) if C < 3 else slopes


def likelihood(problem, u, slopes):
    """-L / n written from the model's definition; complex arguments are allowed, so that derivatives are
    exact."""
    x = (problem.experts.x - problem.experts.x.mean(0)) / problem.experts.x.std(0)
    y, k, n = problem.rows.y, problem.k, problem.rows.n
    classes = len(np.unique(y)) if problem.family.name == "multinomial" else 0
    m = max(classes - 1, 1)
    gate_width = 0 if k == 1 else 1 if k == 2 else k
    G = slopes[: x.shape[1] * gate_width].reshape(x.shape[1], gate_width)
    E = slopes[x.shape[1] * gate_width :].reshape(x.shape[1], k, -1)
    v = x @ gaps(k, G) if k > 1 else np.zeros((n, 1), dtype=complex)
    v = v + np.append(u[: k - 1], 0.0)
    v = v - np.log(np.exp(v).sum(1, keepdims=True))
    a = u[k - 1 : k - 1 + k * m].reshape(k, m)
    total = 0.0
    for e in range(k):
        if problem.family.name == "gaussian":
            sigma = np.exp(0.5 * u[k - 1 + k + e])
            unit = sigma if problem.own_scale else 1.0
            mean = a[e, 0] + unit * (x @ E[:, e, 0])
            t = (y - problem.rows.y_center) / problem.rows.y_scale
            f = (
                -0.5 * np.log(2 * np.pi)
                - np.log(sigma)
                - 0.5 * ((t - mean) / sigma) ** 2
                - np.log(problem.rows.y_scale)
            )
        elif problem.family.name == "poisson":
            eta = a[e, 0] + x @ E[:, e, 0]
            f = y * eta - np.exp(eta) - gammaln(y + 1)
        else:
            s = x @ gaps(classes, E[:, e]) + np.append(a[e], 0.0)
            s = s - np.log(np.exp(s).sum(1, keepdims=True))
            f = s[np.arange(n), y.astype(int)]
        total = total + np.exp(v[:, e] + f)
    return -np.log(total).sum() / n


def gradient(problem, u, slopes):
    """Exact derivatives by complex steps."""
    both, h = np.concatenate([u, slopes]).astype(complex), 1e-30
    out = np.empty(len(both))
    for i in range(len(both)):
        at = both.copy()
        at[i] += 1j * h
        out[i] = likelihood(problem, at[: len(u)], at[len(u) :]).imag / h
    return out[: len(u)], out[len(u) :]


def distance(penalty, problem, slopes, g, alpha):
    """Largest distance of -g to the subdifferential, from each penalty's definition."""
    p = problem.experts.d
    width = len(slopes) // p - (len(slopes) - problem.n_gate) // p
    gate = np.arange(len(slopes)) < p * width
    ratio = np.where(gate, getattr(penalty, "gate_ratio", 1.0), 1.0)
    if isinstance(penalty, Ridge):
        return np.abs(g + alpha * ratio * slopes).max()
    if isinstance(penalty, GroupLasso):
        column = np.where(
            gate,
            np.arange(len(slopes)) // max(width, 1),
            (np.arange(len(slopes)) - p * width) // max(problem.predictors, 1),
        )
        worst = 0.0
        for members in ([0, 3], [1], [2], [4], [5]):
            at = np.isin(column, members)
            w = alpha * np.sqrt(at.sum())
            size = np.linalg.norm(slopes[at])
            gap = (
                np.linalg.norm(g[at] + w * slopes[at] / size) if size else max(np.linalg.norm(g[at]) - w, 0.0)
            )
            worst = max(worst, gap)
        return worst
    l1, l2 = alpha * ratio, np.zeros(len(slopes))
    if isinstance(penalty, ElasticNet):
        l1, l2 = alpha * penalty.l1_ratio * ratio, alpha * (1 - penalty.l1_ratio) * ratio
    if isinstance(penalty, AdaptiveL1):
        l1 = l1 / (np.abs(penalty.pilot) + len(problem.rows.y) ** -0.5)
    g = g + l2 * slopes
    return np.where(slopes == 0, np.maximum(np.abs(g) - l1, 0), np.abs(g + l1 * np.sign(slopes))).max()


def test_every_penalty_is_here():
    assert set(EVERY) == set(PENALTIES)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (n, f) if f == "gaussian" or n in ("l1", "group") else pytest.param(n, f, marks=pytest.mark.slow)
        for n in EVERY
        for f in FAMILIES
    ],
)
def test_zero_at_the_top_and_optimal_along_the_path(name, family):
    """The witness shares no code with the library: its own likelihood, exact derivatives, each penalty's own
    condition."""
    x, y = draw(family)
    problem, penalty = problem_of(x, y, family, 2), EVERY[name]
    if name == "adaptive_l1":
        penalty = penalty.with_pilot(
            fit_penalised(problem, L1(), alphas=10, options=Options(tol=1e-9, seed=0)).solution.slopes
        )
    path = fit_alphas(problem, penalty, 3, Options(tol=1e-9, seed=0))
    assert len(path.points) == 3
    if penalty.sparse:
        assert path.alphas[0] == path.alpha_max
        assert not path.points[0].slopes.any()
        assert path.points[-1].slopes.any()
    else:
        assert path.alpha_max == np.inf
    for alpha, point in zip(path.alphas, path.points, strict=True):
        assert likelihood(problem, point.u, point.slopes) == pytest.approx(
            -point.log_likelihood / len(y), abs=1e-12
        )
        first, rest = gradient(problem, point.u, point.slopes)
        lower, upper = problem.bounds
        inside = (point.u > lower) & (point.u < upper)
        assert np.abs(first[inside]).max() <= 1e-8
        assert distance(penalty, problem, point.slopes, rest, alpha) <= 1e-8
        assert point.violation <= 1e-8


@pytest.mark.parametrize(
    "family", ["gaussian", *(pytest.param(f, marks=pytest.mark.study) for f in ("multinomial", "poisson"))]
)
def test_three_experts_are_optimal_too(family):
    x, y = draw(family, n=150)
    problem = problem_of(x, y, family, 3)
    path = fit_alphas(problem, L1(), 3, Options(tol=1e-9, seed=0))
    assert len(path.points) == 3
    for alpha, point in zip(path.alphas, path.points, strict=True):
        first, rest = gradient(problem, point.u, point.slopes)
        assert distance(L1(), problem, point.slopes, rest, alpha) <= 1e-8
        inside = (point.u > problem.bounds[0]) & (point.u < problem.bounds[1])
        assert np.abs(first[inside]).max(initial=0) <= 1e-8


class TestOneExpert:
    """k = 1 is a generalised linear model, for which there is scikit-learn."""

    def test_gaussian_is_the_lasso_at_its_own_variance(self):
        x, y = draw("gaussian")
        moe = MoERegressor(1, penalty=L1(0.1, scale="response")).fit(x, y)
        z, t = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
        v = np.exp(moe.measure_.nuisances[0, 0]) / y.var()
        lasso = Lasso(alpha=0.1 * v, tol=1e-14, max_iter=100_000).fit(z, t)
        assert moe.measure_.slopes[0, 0] * x.std(0) / y.std() == pytest.approx(lasso.coef_, abs=1e-8)

    def test_gaussian_elastic_net(self):
        x, y = draw("gaussian")
        moe = MoERegressor(1, penalty=ElasticNet(0.2, l1_ratio=0.4, scale="response")).fit(x, y)
        z, t = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
        v = np.exp(moe.measure_.nuisances[0, 0]) / y.var()
        net = SklearnElasticNet(alpha=0.2 * v, l1_ratio=0.4, tol=1e-14, max_iter=100_000).fit(z, t)
        assert moe.measure_.slopes[0, 0] * x.std(0) / y.std() == pytest.approx(net.coef_, abs=1e-8)

    @pytest.mark.parametrize("classes", [2, 3])
    def test_logistic(self, classes):
        x, y = draw("multinomial")
        y = np.minimum(y, classes - 1)
        alpha = 0.03
        moe = MoEClassifier(1, penalty=L1(alpha, standardize=False)).fit(x, y)
        # Before scikit-learn 1.8 the Lasso was asked for by another word.
        new = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)
        lasso = {"l1_ratio": 1.0} if new else {"penalty": "l1"}
        other = LogisticRegression(
            C=1 / (alpha * len(y)), **lasso, solver="saga", tol=1e-12, max_iter=100_000
        ).fit(x, y)
        assert moe.predict_proba(x) == pytest.approx(other.predict_proba(x), abs=1e-6)

    def test_poisson_ridge(self):
        x, y = draw("poisson")
        moe = MoERegressor(1, family="poisson", penalty=Ridge(0.3, standardize=False)).fit(x, y)
        other = PoissonRegressor(alpha=0.3, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(x, y)
        assert moe.measure_.slopes[0, 0] == pytest.approx(other.coef_, abs=1e-7)

    def test_poisson_lasso_by_a_general_optimiser(self):
        x, y = draw("poisson")
        moe = MoERegressor(1, family="poisson", penalty=L1(0.15, standardize=False)).fit(x, y)
        p = x.shape[1]

        def value(v):
            b = v[1 : p + 1] - v[p + 1 :]
            eta = v[0] + x @ b
            r = (np.exp(eta) - y) / len(y)
            g = x.T @ r
            F = (np.exp(eta) - y * eta).mean() + 0.15 * v[1:].sum()
            return F, np.concatenate([[r.sum()], g + 0.15, 0.15 - g])

        box = [(None, None)] + [(0, None)] * (2 * p)
        found = minimize(
            value,
            np.zeros(2 * p + 1),
            jac=True,
            bounds=box,
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
        )
        assert moe.measure_.slopes[0, 0] == pytest.approx(found.x[1 : p + 1] - found.x[p + 1 :], abs=1e-5)


class TestInner:
    @pytest.mark.parametrize("groups", [False, True])
    def test_quadratic_by_its_optimality_condition(self, groups):
        rng = np.random.default_rng(0)
        size = 12
        root = rng.normal(size=(size, size))
        M, g, start = root @ root.T + 0.1 * np.eye(size), 5 * rng.normal(size=size), rng.normal(size=size)
        group = np.where(groups, np.arange(size) // 4, -1).astype(np.int32)
        weight = np.array([1.0, 4.0, 30.0]) if groups else np.zeros(0)
        l1 = np.zeros(size) if groups else np.full(size, 2.0)
        free = np.full(size, np.inf)
        x, _ = _core.penalised_quadratic(M, g, start, l1, group, weight, -free, free, 1e-13, 100_000)
        terms = Terms(l1, np.zeros(size), group, weight)
        assert terms.violation(x, g + M @ (x - start)).max() < 1e-10
        assert (x == 0).any()
        assert (x != 0).any()

    def test_bounds_hold(self):
        x, _ = _core.penalised_quadratic(
            np.eye(2), np.array([-5.0, 5.0]), np.zeros(2), np.zeros(2), np.full(2, -1, np.int32), np.zeros(0),
            np.full(2, -1.0), np.full(2, 2.0), 1e-12, 100,
        )  # fmt: skip
        assert x.tolist() == [2.0, -1.0]

    def test_the_objective_never_rises(self):
        for family in FAMILIES:
            x, y = draw(family)
            problem = problem_of(x, y, family, 2)
            at = np.arange(problem.size)
            terms = L1().terms(problem.layout(L1())).scaled(0.05)
            rng = np.random.default_rng(1)
            v = np.concatenate([0.3 * rng.normal(size=problem.n_free), rng.normal(size=problem.size)])
            sub = Subproblem(Restricted(problem, at), terms)
            trace = [info.value for info in descend(sub, v, 1e-9, 200).trace]
            assert len(trace) > 3
            assert (np.diff(trace) <= 1e-13 * (1 + np.abs(trace[0]))).all()

    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("own_scale", [False, True])
    def test_derivatives(self, family, own_scale):
        x, y = draw(family)
        problem = problem_of(x, y, family, 3, own_scale=own_scale and family == "gaussian")
        rng = np.random.default_rng(2)
        u, slopes = 0.3 * rng.normal(size=problem.n_free), 0.3 * rng.normal(size=problem.size)
        slopes[::3] = 0.0
        at = np.flatnonzero(slopes)
        part = Restricted(problem, at)
        v = np.concatenate([u, slopes[at]])
        from moestro.engine import Order

        _, g, H, _, _ = part.evaluate(v, Order.CURVATURE)
        first, rest = gradient(problem, u, slopes)
        assert g == pytest.approx(np.concatenate([first, rest[at]]), abs=1e-11)
        assert -problem.gradient(part.logit_scores(v)) / problem.n == pytest.approx(rest, abs=1e-11)
        h = 1e-5
        for i in range(len(v)):
            e = h * (np.arange(len(v)) == i)
            up, down = (part.evaluate(v + s * e, Order.GRADIENT)[1] for s in (1, -1))
            assert H[i] == pytest.approx((up - down) / (2 * h), abs=1e-7)

    def test_strength_of_groups_with_their_own_l1(self):
        terms = Terms(np.full(3, 0.5), np.zeros(3), np.zeros(3, int), np.array([2.0]))
        g = np.array([3.0, -1.0, 0.2])
        alpha = terms.strength(g)
        assert terms.scaled(alpha * 1.0001).violation(np.zeros(3), g).max() == 0
        assert terms.scaled(alpha * 0.999).violation(np.zeros(3), g).max() > 0


def wide(seed, n=400, p=1000):
    """Two experts with crossing lines, five true columns of p: x0, x1 in the gate, x2, x3, x4 in the
    experts."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    z = rng.random(n) < 1 / (1 + np.exp(-1.5 * (x[:, 0] - x[:, 1])))
    y = np.where(z, 2 * x[:, 2] + 1.5 * x[:, 3], -2 * x[:, 2] + 1.5 * x[:, 4])
    return x, y + 0.5 * rng.normal(size=n)


TRUE = {f"x{j}" for j in range(5)}


class TestSupport:
    def test_more_columns_than_rows(self):
        x, y = wide(0, n=200, p=220)
        moe = MoERegressor(2, penalty="l1", random_state=0).fit(x, y)
        assert set(moe.selected_) >= TRUE
        assert len(set(moe.selected_) - TRUE) <= 5
        assert moe.status_.kind == "converged"

    @pytest.mark.study
    def test_twenty_seeds(self):
        missed, false = [], []
        for seed in range(20):
            x, y = wide(seed)
            found = set(MoERegressor(2, penalty="l1", random_state=0).fit(x, y).selected_)
            missed.append(len(TRUE - found))
            false.append(len(found - TRUE))
        print("missed", missed, "false", false)
        assert np.median(missed) == 0
        assert np.median(false) <= 5

    def test_stability(self):
        x, y = wide(1, n=240, p=15)
        found = stability_selection(x, y, n_subsamples=4, alphas=4, ratio=0.2, random_state=0)
        assert set(found.stable(0.9)) >= TRUE
        assert len(found.stable(0.9)) <= 8
        assert found.frequency.shape == (len(found.alphas), 15)
        with pytest.raises(DataError, match="selects nothing"):
            stability_selection(x, y, penalty="ridge", n_subsamples=2)

    @pytest.mark.parametrize(
        "penalty",
        [
            "group",
            "oracle",
            *(pytest.param(p, marks=pytest.mark.slow) for p in ("elastic_net", "adaptive_l1")),
        ],
    )
    def test_other_penalties_find_it_too(self, penalty):
        x, y = wide(2, n=400, p=40)
        moe = MoERegressor(2, penalty=penalty, random_state=0).fit(x, y)
        assert set(moe.selected_) >= TRUE
        assert len(set(moe.selected_) - TRUE) <= 5

    def test_refit_is_the_maximum_on_the_support(self):
        x, y = wide(3, n=200, p=12)
        problem = problem_of(x, y, "gaussian", 2)
        found = fit_penalised(problem, L1(refit=True), alphas=4, options=Options(tol=1e-9, seed=0))
        first, rest = gradient(problem, found.solution.u, found.solution.slopes)
        assert np.abs(first).max() < 1e-8
        assert np.abs(rest[found.solution.slopes != 0]).max() < 1e-8
        assert found.solution.log_likelihood > found.path.points[found.index].log_likelihood + 10


def capped(seed=0, n=200):
    """One line, and a cap of the response where a tenth of the rows lie: a group that few starts find."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    y = 2 * x[:, 0] + x[:, 1] + rng.normal(size=n)
    top = np.quantile(y, 0.9)
    return x, np.where(y > top, top + 0.02 * rng.normal(size=n), y)


class TestSearch:
    @pytest.mark.parametrize(
        ("k", "seeds"), [(2, 2), *(pytest.param(k, s, marks=pytest.mark.slow) for k, s in ((2, 3), (3, 2)))]
    )
    def test_the_largest_strength_does_not_depend_on_the_seed(self, k, seeds):
        x, y = capped()
        problem = problem_of(x, y, "gaussian", k)
        tops = [fit_alphas(problem, L1(), 1, Options(tol=1e-9, seed=s)).alpha_max for s in range(seeds)]
        np.testing.assert_allclose(tops, tops[0], rtol=1e-9)

    def test_constants_alone_by_brute_force(self):
        x, y = capped()
        problem = problem_of(x, y, "gaussian", 2)
        found, t = null(problem, L1().terms(problem.layout(L1()))), (y - y.mean()) / y.std()

        def minus(v):
            g = 1 / (1 + np.exp(-v[0]))
            parts = [
                np.log(w) - 0.5 * s - 0.5 * (t - m) ** 2 / np.exp(s)
                for w, m, s in ((g, v[1], v[3]), (1 - g, v[2], v[4]))
            ]
            return -np.logaddexp(*parts).mean() + 0.5 * np.log(2 * np.pi) + np.log(y.std())

        ends, box = [], [(-10, 10), (-5, 5), (-5, 5), (-9.2, 3), (-9.2, 3)]
        for cut in np.quantile(t, np.linspace(0.05, 0.95, 40)):
            low, high = t[t < cut], t[t >= cut]
            start = [np.log(len(low) / len(high)), low.mean(), high.mean()]
            start += [2 * np.log(low.std()), 2 * np.log(high.std())]
            ends.append(minimize(minus, start, bounds=box, options={"ftol": 1e-14, "gtol": 1e-9}).fun)
        assert found.objective <= min(ends) + 1e-9

    def test_the_record_of_a_search(self):
        x, y = wide(3, n=200, p=12)
        moe = MoERegressor(2, penalty=L1(0.05), random_state=0).fit(x, y)
        assert moe.search_.found >= 5
        assert moe.search_.best == pytest.approx(-len(y) * moe.path_.table["objective"][0], abs=1e-6)
        plain = MoERegressor(2, n_starts=2, random_state=0).fit(x[:, :2], y)
        for table in ("starts_", "history_"):
            assert getattr(moe, table).columns.keys() == getattr(plain, table).columns.keys()
        assert any("move" in s for s in moe.starts_["strategy"])
        few = MoERegressor(2, penalty=L1(0.05), n_starts=3, random_state=0).fit(x, y)
        assert [s for s in few.starts_["strategy"] if s != "given"] == ["subsets", "patches", "kmeans"]

    def test_experts_that_are_alike_are_flat(self):
        x, y = draw("multinomial")
        problem = problem_of(x, y, "multinomial", 2)
        end = solve(problem, L1().terms(problem.layout(L1())), problem.pooled())
        status = diagnose(problem, end, 1.0)
        assert (status.kind, status.experts) == ("flat", (0, 1))
        moe = MoEClassifier(2, penalty=L1(1.0), random_state=0).fit(x, y)
        assert moe.status_.kind == "flat"
        assert not moe.support_.any()


class TestUnits:
    def test_the_users_units_where_asked(self):
        x, y = draw("gaussian")
        penalty = L1(0.02, gate_ratio=0.5, standardize=False, scale="response")
        moe = MoERegressor(2, penalty=penalty, random_state=0).fit(x, y)
        m = moe.measure_
        P = 0.02 * (np.abs(m.slopes).sum() + 0.5 * np.abs(m.gate_slopes).sum())
        assert moe.path_.table["objective"][0] == pytest.approx(-moe.log_likelihood_ / len(y) + P, abs=1e-9)

    def test_labels_are_all_alike(self):
        x, y = draw("multinomial")
        one = alpha_path(x, y, family="multinomial", n_experts=1, alphas=6, random_state=0)
        two = alpha_path(x, 2 - y, family="multinomial", n_experts=1, alphas=6, random_state=0)
        assert two.table["objective"] == pytest.approx(one.table["objective"], abs=1e-9)

    def test_the_oracle_strength(self):
        layout = Layout(("a",) * 7, ("a",) * 9, 1, 2, np.ones(7), np.ones(9), 250.0)
        want = 0.1 * 3 * np.log(250) * np.sqrt(np.log(19) / 250)
        assert OracleL1(constant=0.1).theoretical(layout, 3) == pytest.approx(want)


class TestSparse:
    @pytest.mark.parametrize(("kind", "k"), [(sp.csr_array, 2), (sp.csc_array, 1), (sp.coo_array, 1)])
    def test_same_fit_as_dense(self, kind, k):
        rng = np.random.default_rng(0)
        x = np.where(rng.random((200, 20)) < 0.2, rng.normal(size=(200, 20)), 0.0)
        z = x[:, 0] > 0
        y = np.where(z, 2 * x[:, 1], -2 * x[:, 2]) + 0.1 * rng.normal(size=200)
        dense = MoERegressor(k, penalty=L1(0.03), random_state=0).fit(x, y)
        sparse = MoERegressor(k, penalty=L1(0.03), random_state=0).fit(kind(x), y)
        assert sparse.log_likelihood_ == pytest.approx(dense.log_likelihood_, abs=1e-6)
        assert sparse.predict(kind(x)) == pytest.approx(dense.predict(x), abs=1e-6)
        assert sparse.log_density(kind(x), y) == pytest.approx(dense.log_density(x, y), abs=1e-6)

    def test_never_made_dense(self):
        rng = np.random.default_rng(0)
        n, p = 400, 40_000
        x = sp.csr_array(sp.random(n, p, density=0.002, random_state=rng, format="csr")) + sp.csr_array(
            (np.ones(n), (np.arange(n), rng.integers(4, size=n))), shape=(n, p)
        )
        y = x[:, [0]].toarray()[:, 0] - x[:, [1]].toarray()[:, 0] + 0.1 * rng.normal(size=n)
        tracemalloc.start()
        moe = MoERegressor(1, penalty=L1(0.2)).fit(x, y)
        moe.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert {"x0", "x1"} <= set(moe.selected_)
        assert peak < 0.5 * 8 * n * p

    def test_only_with_a_penalty(self):
        x, y = draw("gaussian")
        with pytest.raises(TypeError, match="parse"):
            MoERegressor().fit(sp.csr_array(x), y)


class TestChoosing:
    def test_together(self):
        x, y = wide(4, n=200, p=8)
        moe = MoERegressorCV(
            n_experts=(1, 2), gate_ratios=(0.5, 1.0), alphas=6, criterion="ebic", random_state=0
        ).fit(x, y)
        table = moe.selection_
        assert moe.n_experts_ == 2
        assert list(zip(table["k"], table["gate_ratio"], strict=True)) == [
            (1, 0.5),
            (1, 1.0),
            (2, 0.5),
            (2, 1.0),
        ]
        assert np.flatnonzero(table["chosen"]).tolist() == [int(np.argmin(table["ebic"]))]

    def test_held_out(self):
        x, y = wide(5, n=200, p=7)
        moe = MoERegressorCV(n_experts=(1, 2), alphas=4, cv=2, random_state=0).fit(x, y)
        assert moe.n_experts_ == 2
        again = MoERegressorCV(n_experts=2, alphas=4, cv=KFold(2), random_state=0).fit(x, y)
        assert "cv" in again.path_.table.columns
        assert set(moe.selected_) >= TRUE

    @pytest.mark.slow
    def test_weak_strengths_of_a_handful_of_rows_are_not_followed(self):
        r = np.random.default_rng(0)
        x, y = r.normal(size=(8, 2)), r.normal(size=8)
        cv = np.array(MoERegressorCV(2, alphas=9, random_state=0).fit(x, y).path_.table["cv"])
        followed = np.isfinite(cv).sum()
        assert 2 < followed < 9
        assert np.isinf(cv[followed:]).all()
        assert cv[followed - 1] > cv.min() + 20 * 8 > cv[: followed - 1].max()

    def test_a_fit_of_a_fold_is_made_once(self):
        problem, made = problem_of(*draw("poisson", n=60), "poisson", 1), []

        class Counted(Chain):
            def at(self, alpha, *how):
                made.append(alpha)
                return super().at(alpha, *how)

        path = fit_alphas(problem, L1(), 5)
        chain, known = Counted(problem, path.chain.terms, 1e-6), {}
        first = list(chain.follow(path.alphas, path.points, known))
        assert list(chain.follow(path.alphas, path.points, known)) == first
        assert len(made) == len(known)

    def test_held_out_likelihood_is_what_predictions_say(self):
        x, y = wide(6, n=200, p=8)
        alpha, pairs = 0.05, list(KFold(4).split(x))
        moe = MoERegressorCV(n_experts=1, penalty=L1(alpha, standardize=False), cv=pairs).fit(x, y)
        total = 0.0
        for inside, out in pairs:
            part = MoERegressor(1, penalty=L1(alpha, standardize=False)).fit(x[inside], y[inside])
            total += part.log_density(x[out], y[out]).sum()
        assert moe.path_.table["cv"][0] == pytest.approx(-2 * total, abs=1e-3)

    def test_classes(self):
        x, y = draw("multinomial", n=200)
        labels = np.array(["low", "middle", "high"])[y.astype(int)]
        moe = MoEClassifierCV(n_experts=(1, 2), alphas=3, criterion="aic", random_state=0).fit(x, labels)
        assert moe.score(x, labels) > max(np.unique(labels, return_counts=True)[1]) / len(labels)
        assert set(moe.classes_) == set(labels)

    def test_files_and_frames(self, tmp_path):
        pd = pytest.importorskip("pandas")
        x, y = wide(7, n=200, p=6)
        frame = pd.DataFrame(x, columns=list("abcdef")).assign(y=y)
        how = {"n_experts": 2, "alphas": 6, "criterion": "ebic", "random_state": 0}
        moe = MoERegressorCV.from_formula("y ~ a + b + c + d + e + f | a + b", frame, **how)
        assert set(moe.selected_) <= set("abcdef")
        moe.save(tmp_path / "m.json")
        again = load_model(tmp_path / "m.json")
        np.testing.assert_array_equal(again.predict(frame), moe.predict(frame))
        assert (again.alpha_, again.selected_, again.penalty) == (moe.alpha_, moe.selected_, "l1")
        with pytest.raises(AttributeError, match="no path_"):
            _ = again.path_
        assert moe.path_.measure(0).slopes.any() == False  # noqa: E712
        with pytest.raises(DataError, match="no standard errors"):
            moe.inference()


@pytest.mark.slow
def test_published_objective_on_boston_housing(tmp_path):
    """RMoE on 506 rows, y / sd, K = 2, lambda = 42, gamma = 10, one common variance: -371.69 after 54
    iterations, still rising."""
    if shutil.which("Rscript") is None:
        pytest.skip("the data come with R's package MASS, and there is no R")
    path = tmp_path / "boston.csv"
    code = f'library(MASS); write.csv(Boston, "{path}", row.names=FALSE)'
    if subprocess.run(["Rscript", "-e", code], capture_output=True).returncode:
        pytest.skip("the data come with R's package MASS, which is not installed")
    data = np.loadtxt(path, delimiter=",", skiprows=1)
    x, y = data[:, :-1], data[:, -1]
    z, t, n = (x - x.mean(0)) / x.std(0), y / y.std(), len(y)
    penalty = L1(42 / n, gate_ratio=10 / 42, standardize=False, scale="response")
    moe = MoERegressor(2, shared_variance=True, penalty=penalty, random_state=0).fit(z, t)
    m = moe.measure_
    objective = moe.log_likelihood_ - 42 * np.abs(m.slopes).sum() - 10 * np.abs(m.gate_slopes).sum()
    assert objective >= -371.69
    assert moe.path_.table["violation"][0] <= 1e-8


class TestBadInput:
    @pytest.mark.parametrize("alpha", [-1, np.nan, np.inf, "a lot", True])
    def test_strengths(self, alpha):
        with pytest.raises(DataError, match="alpha must be a number of at least 0"):
            L1(alpha)

    @pytest.mark.parametrize(
        ("make", "match"),
        [
            (lambda: L1(1.0, gate_ratio=-2), "gate_ratio"),
            (lambda: ElasticNet(l1_ratio=0.0), "use Ridge"),
            (lambda: ElasticNet(l1_ratio=1.5), "l1_ratio"),
            (lambda: AdaptiveL1(power=np.nan), "power"),
            (lambda: OracleL1(constant=-1), "constant"),
            (lambda: L1(scale="mine"), "expert, response"),
            (lambda: GroupLasso(groups="x0"), "list of lists"),
        ],
    )
    def test_options(self, make, match):
        with pytest.raises(DataError, match=match):
            make()

    @pytest.mark.parametrize(
        ("how", "match"),
        [
            ({"penalty": "lasso"}, "unknown: choose one of l1"),
            ({"penalty": 0.1}, "object of moestro.penalties"),
            ({"penalty": GroupLasso(groups=(("x9",),))}, "names 'x9', which is not a column"),
            ({"penalty": GroupLasso(groups=((),))}, "names no column"),
            ({"penalty": GroupLasso(groups=(("x0",), ("x0", "x1")))}, "in two groups"),
            ({"penalty": "l1", "n_experts": "bic"}, "must be a number"),
            ({"penalty": "l1", "gate": "sigmoid"}, "softmax gate"),
            ({"penalty": "l1", "top_k": 1}, "softmax gate"),
            ({"penalty": "l1", "gate_features": [], "expert_features": []}, "no column to penalise"),
        ],
    )
    def test_estimators(self, how, match):
        x, y = draw("gaussian", n=60)
        with pytest.raises(DataError, match=match):
            MoERegressor(**{"random_state": 0, **how}).fit(x, y)

    @pytest.mark.parametrize(
        ("how", "match"),
        [
            ({"alphas": [0.1, -1.0]}, "alphas must be numbers"),
            ({"alphas": 0}, "at least 1"),
            ({"criterion": "wish"}, "choose one of ebic"),
            ({"n_experts": (1, 0)}, "at least 1"),
            ({"n_experts": ()}, "at least one value"),
            ({"penalty": "group", "gate_ratios": (1, 2)}, "no gate_ratio"),
            ({"cv": "five"}, "cv must be"),
            ({"cv": 100}, "folds"),
        ],
    )
    def test_choosing(self, how, match):
        x, y = draw("gaussian", n=60)
        with pytest.raises(DataError, match=match):
            MoERegressorCV(**{"n_experts": 1, "alphas": 3, "random_state": 0, **how}).fit(x, y)

    def test_no_column_at_all(self):
        with pytest.raises(ValueError, match="0 feature"):
            MoERegressor(penalty="l1").fit(np.zeros((5, 0)), np.arange(5.0))

    def test_constant_columns_are_never_selected(self):
        x, y = draw("gaussian", n=100)
        x = np.column_stack([x, np.full(len(y), 3.0), x[:, 0]])
        moe = MoERegressor(2, penalty=L1(0.02), random_state=0).fit(x, y)
        assert "x6" not in moe.selected_
        assert moe.status_.kind == "converged"

    @pytest.mark.parametrize("side", ["gate_features", "expert_features"])
    @pytest.mark.parametrize("family", ["gaussian", "multinomial"])
    def test_one_side_may_have_no_columns(self, side, family):
        x, y = draw(family, n=120)
        made = MoEClassifier if family == "multinomial" else MoERegressor
        moe = made(2, penalty=L1(0.02), random_state=0, **{side: []}).fit(x, y)
        assert moe.status_.usable
        assert moe.path_.table["violation"][0] <= 1e-8

    def test_a_chain_that_collapses_on_ties_does_not_end_the_path(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 8))
        y = (5 * (x[:, 0] + rng.normal(size=200))).astype(int)
        moe = MoERegressor(2, penalty="l1", random_state=0).fit(x, y)
        assert "x0" in moe.selected_
        assert len(moe.path_) > 10

    def test_experts_that_the_data_do_not_need_are_one_expert(self):
        """Counts with less spread than Poisson's, no slope: the best mixture is the one Poisson law of their
        mean."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(100, 3)), rng.binomial(10, 0.8, 100).astype(float)
        moe = MoERegressor(3, family="poisson", penalty=L1(0.5), random_state=0).fit(x, y)
        assert moe.selected_ == []
        np.testing.assert_allclose(moe.predict(x), y.mean(), rtol=1e-6)
        expected = (y * np.log(y.mean()) - y.mean() - gammaln(y + 1)).sum()
        assert moe.log_likelihood_ == pytest.approx(expected, abs=1e-8)

    def test_replacing_a_strength_keeps_the_rest(self):
        assert replace(L1(0.1, gate_ratio=3.0), alpha=0.2).gate_ratio == 3.0

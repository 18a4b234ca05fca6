"""Standard errors of located models: closed forms, brute-force Hessians, coverage, laws, and where there are
none."""

from dataclasses import replace

import numpy as np
import pytest

from moestro import DataError, LocatedMoERegressor, load_dataset
from moestro.engine import Order
from moestro.inference import Request, Terms, located_covariance, located_refitted
from moestro.inference.located import _root
from moestro.located import LocatedMeasure, fit_located
from moestro.located.data import Data

NAMES = (["a", "b", "c"], [f"y{j}" for j in range(7)])


def groups(n=400, d=1, q=1, seed=0, overlap=0.8):
    """Two clusters of x, a line in each."""
    rng = np.random.default_rng(seed)
    z = rng.random(n) < 0.4
    x = np.where(z[:, None], 1.5, -1.5) + overlap * rng.standard_normal((n, d))
    A = np.random.default_rng(9).standard_normal((2, q, d))
    y = np.einsum("nqd,nd->nq", A[z.astype(int)], x) + np.where(z[:, None], 1.0, -1.0)
    common = rng.standard_normal((n, 1)) * np.array([0.5, 0.4, 0.3])[:q]
    return x, y + common + 0.4 * rng.standard_normal((n, q))


def table_of(fit, x, y, w=None, kind="observed"):
    """Names, estimates and standard errors; NaN where there is none."""
    terms = Terms.of(fit.measure, fit.specification)
    found = located_covariance(fit, x, y, w, Request(kind))
    names = terms.names(NAMES[0][: terms.d], NAMES[1][: terms.q])
    se = np.sqrt(np.diag(found.matrix))
    return names, terms.values(fit.measure), np.where([bool(t) for t in found.notes], np.nan, se)


def ordered(fit):
    """With the component of the smaller x first."""
    m = fit.measure.permute(np.argsort(fit.measure.means[:, 0]))
    return replace(fit, measure=m, fitted=m)


def test_one_expert_has_the_textbook_errors():
    """Regression by maximum likelihood, and the mean and the variances of a normal sample."""
    x, y = groups(300, d=2)
    fit = fit_located(x, y, 1)
    names, values, se = table_of(fit, x, y)
    x1 = np.column_stack([np.ones(300), x])
    b = np.linalg.lstsq(x1, y[:, 0], rcond=None)[0]
    s2 = ((y[:, 0] - x1 @ b) ** 2).mean()
    S = np.cov(x.T, bias=True)
    assert [t.term for t in names] == [
        "mean(a)", "mean(b)", "variance(a)", "covariance(a, b)", "variance(b)", "(intercept)", "a", "b",
        "variance(y0)",
    ]  # fmt: skip
    np.testing.assert_allclose(values, [*x.mean(axis=0), S[0, 0], S[0, 1], S[1, 1], *b, s2], rtol=1e-6)
    expected = [
        *np.sqrt(np.diag(S) / 300), S[0, 0] * np.sqrt(2 / 300),
        np.sqrt((S[0, 0] * S[1, 1] + S[0, 1] ** 2) / 300),
        S[1, 1] * np.sqrt(2 / 300), *np.sqrt(np.diag(s2 * np.linalg.inv(x1.T @ x1))), s2 * np.sqrt(2 / 300),
    ]  # fmt: skip
    np.testing.assert_allclose(se, expected, rtol=1e-6)


def test_sandwich_of_one_expert_is_hc0():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 1))
    y = x + np.abs(x) * rng.standard_normal((300, 1))
    w = rng.uniform(0.5, 2, 300)
    names, values, se = table_of(fit_located(x, y, 1, weights=w), x, y, w, "sandwich")
    x1 = np.column_stack([np.ones(300), x])
    at = [t.part == "expert" and not t.term.startswith("variance") for t in names]
    e = y[:, 0] - x1 @ values[at]
    bread = np.linalg.inv((x1 * w[:, None]).T @ x1)
    expected = np.sqrt(np.diag(bread @ (x1 * (w * e)[:, None] ** 2).T @ x1 @ bread))
    np.testing.assert_allclose(se[at], expected, rtol=1e-6)


# A second parametrisation, written here: the log-likelihood of the public measure as a function of a vector.


def half_vector(name, C):
    """Free parameters of a covariance."""
    if name == "isotropic":
        return np.log(C[:1, 0])
    if name == "diagonal":
        return np.log(np.diag(C))
    if name == "factors":  # one factor of three columns: known in closed form
        l = np.sqrt([C[0, 1] * C[0, 2] / C[1, 2], C[0, 1] * C[1, 2] / C[0, 2], C[0, 2] * C[1, 2] / C[0, 1]])
        return np.r_[l * [1, np.sign(C[0, 1]), np.sign(C[0, 2])], np.log(np.diag(C) - l**2)]
    if name == "blocks":
        return np.r_[half_vector("full", C[np.ix_([0, 2], [0, 2])]), np.log(C[1, 1])]
    root = np.linalg.cholesky(C)
    return root[np.tril_indices(len(C))]


def matrix(name, t, D):
    if name == "isotropic":
        return np.exp(t[0]) * np.eye(D)
    if name == "diagonal":
        return np.diag(np.exp(t))
    if name == "factors":
        return np.outer(t[:D], t[:D]) + np.diag(np.exp(t[D:]))
    if name == "blocks":
        C = np.zeros((3, 3))
        C[np.ix_([0, 2], [0, 2])] = matrix("full", t[:3], 2)
        C[1, 1] = np.exp(t[3])
        return C
    root = np.zeros((D, D))
    root[np.tril_indices(D)] = t
    return root @ root.T


def vector_of(m, spec):
    return np.concatenate([
        np.log(m.weights[:-1] / m.weights[-1]), m.means.ravel(), m.slopes.ravel(), m.intercepts.ravel(),
        *[half_vector(spec.gate_covariance, C) for C in m.covariances[: 1 if spec.gate_tied else m.k]],
        *[half_vector(spec.covariance, C) for C in m.noise[: 1 if spec.tied else m.k]],
        [] if m.degrees_of_freedom is None else np.log(m.degrees_of_freedom),
    ])  # fmt: skip


def measure_of(t, m, spec):
    def take(n):
        nonlocal t
        head, t = t[:n], t[n:]
        return head

    pi = np.exp(np.append(take(m.k - 1), 0.0))
    means, slopes, intercepts = (take(a.size).reshape(a.shape) for a in (m.means, m.slopes, m.intercepts))
    both = []
    for name, tied, C in (
        (spec.gate_covariance, spec.gate_tied, m.covariances), (spec.covariance, spec.tied, m.noise)
    ):  # fmt: skip
        size = len(half_vector(name, C[0]))
        each = [matrix(name, take(size), C.shape[1]) for _ in range(1 if tied else m.k)]
        both.append(np.array(each * m.k if tied else each))
    nu = None if m.degrees_of_freedom is None else np.exp(take(m.k))
    return LocatedMeasure(pi / pi.sum(), means, both[0], slopes, intercepts, both[1], nu, m.degree)


def brute_force(fit, x, y, w):
    """Standard errors by central differences of the public log-density and of the public parameters."""
    spec = fit.specification
    turned = spec.direction == "inverse"
    u, v = (y, x) if turned else (x, y)
    t0 = vector_of(fit.fitted, spec)
    terms = Terms.of(fit.measure, spec)

    def value(t):
        return float(w @ measure_of(t, fit.fitted, spec).joint_log_density(u, v))

    def numbers(t):
        m = measure_of(t, fit.fitted, spec)
        return terms.values(m.inverse() if turned else m)

    h = 2e-4 * np.maximum(np.abs(t0), 0.1)
    E, P = np.diag(h), len(t0)
    H, middle = np.zeros((P, P)), 2 * value(t0)
    one = np.array([value(t0 + e) + value(t0 - e) for e in E]) - middle
    for a in range(P):
        H[a, a] = one[a] / h[a] ** 2
        for b in range(a):
            both = value(t0 + E[a] + E[b]) + value(t0 - E[a] - E[b]) - middle
            H[a, b] = H[b, a] = (both - one[a] - one[b]) / (2 * h[a] * h[b])
    J = np.array([(numbers(t0 + e) - numbers(t0 - e)) / (2 * s) for e, s in zip(E, h, strict=True)]).T
    return np.sqrt(np.diag(J @ np.linalg.inv(-H) @ J.T))


MODELS = {
    "full": {},
    "no columns": {"d": 0},
    "full of several responses": {"q": 2, "d": 2},
    "diagonal gate": {"d": 2, "gate_covariance": "diagonal"},
    "diagonal": {"q": 2, "covariance": "diagonal"},
    "isotropic": {
        "q": 2,
        "covariance": "isotropic",
        "d": 2,
        "gate_covariance": "isotropic",
        "gate_tied": True,
    },
    "tied": {"q": 2, "tied": True, "gate_tied": True},
    "blocks": {"q": 3, "covariance": "blocks", "blocks": [[0, 2], [1]]},
    "factors": {"q": 3, "covariance": "factors", "rank": 1},
    "factors tied": {"q": 3, "covariance": "factors", "rank": 1, "tied": True},
    "student": {"student": True},
    "student tied": {"q": 2, "student": True, "tied": True},
    "quadratic": {"degree": 2, "d": 2},
    "inverse": {"d": 2, "direction": "inverse"},
    "inverse diagonal": {"d": 3, "direction": "inverse", "covariance": "diagonal"},
    "inverse student": {"d": 2, "direction": "inverse", "covariance": "isotropic", "student": True},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_against_a_numerical_hessian(name):
    how = dict(MODELS[name])
    d, q = how.pop("d", 1), how.pop("q", 1)
    n = 250 if q == 3 else 150  # so that no column is all factor
    x, y = groups(n, d, q)
    rng = np.random.default_rng(3)
    if how.get("student"):
        normal = fit_located(x, y, 2, seed=0).measure
        x, y, _ = replace(normal, degrees_of_freedom=np.array([3.0, 5.0])).sample(n, rng)
    w = rng.uniform(0.5, 1.5, n)
    fit = fit_located(x, y, 2, weights=w, n_starts=2, seed=0, tol=1e-9, **how)
    assert fit.status.kind == "converged"
    _, _, se = table_of(fit, x, y, w)
    np.testing.assert_allclose(se, brute_force(fit, x, y, w), rtol=2e-3)  # of second differences


def test_the_information_is_that_of_natural_parameters():
    """Full Gaussian atoms: the Hessian in natural parameters and the delta method, by the other room's exact
    derivatives."""
    x, y = groups(300, 2, 1)
    fit = fit_located(x, y, 2, seed=0)
    _, values, se = table_of(fit, x, y)
    data = Data.read(x, y, None, fit.specification, 2)
    problem = data.problem(fit.specification, 2)
    phi = data.phi_of(fit.measure)
    # F counts the total mass as one more free number, which stands alone at the maximum.
    A = -problem.evaluate(phi, Order.CURVATURE).curvature
    terms = Terms.of(fit.measure, fit.specification)
    h = 1e-5 * np.maximum(np.abs(phi), 1.0)
    J = np.array([
        (terms.values(data.measure(problem, phi + e)) - terms.values(data.measure(problem, phi - e)))
        / (2 * s)
        for e, s in zip(np.diag(h), h, strict=True)
    ]).T  # fmt: skip
    np.testing.assert_allclose(se, np.sqrt(np.diag(J @ np.linalg.inv(A) @ J.T)), rtol=1e-5)
    np.testing.assert_allclose(values, terms.values(data.measure(problem, phi)), rtol=1e-9)


def test_turning_round_does_not_change_the_errors():
    """The full model is the same family of joint laws in both directions."""
    x, y = groups(300, 2, 2)
    a = fit_located(x, y, 2, seed=0, tol=1e-10)
    b = fit_located(x, y, 2, seed=0, tol=1e-10, direction="inverse", initial=a.measure)
    (names, values, se), (turned, again, errors) = table_of(a, x, y), table_of(b, x, y)
    assert names == turned
    np.testing.assert_allclose(again, values, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(errors, se, rtol=1e-5)


def test_a_weight_of_two_is_a_row_twice():
    x, y = groups(200)
    w = np.random.default_rng(0).integers(0, 3, 200)
    fit = fit_located(x, y, 2, weights=w, seed=0)
    one = table_of(fit, x, y, w)[2]
    two = table_of(fit, np.repeat(x, w, axis=0), np.repeat(y, w, axis=0))[2]
    np.testing.assert_allclose(one, two, rtol=1e-10)


@pytest.mark.parametrize("kind", ["observed", "sandwich"])
def test_units_rescale_estimates_and_errors(kind):
    x, y = groups(300, 2)
    a = table_of(ordered(fit_located(x, y, 2, seed=0)), x, y, kind=kind)
    x2, y2 = np.array([1e4, 1e-3]) * x + np.array([3e4, 0.0]), -50 * y
    b = table_of(ordered(fit_located(x2, y2, 2, seed=0)), x2, y2, kind=kind)
    scale = {"a": 1e4, "b": 1e-3}
    for i, t in enumerate(a[0]):
        factor = {
            "share": 1.0, "mean(a)": 1e4, "mean(b)": 1e-3, "variance(a)": 1e8, "covariance(a, b)": 10.0,
            "variance(b)": 1e-6,
            "a": -50 / 1e4, "b": -50 / 1e-3, "variance(y0)": 2500.0, "(intercept)": None,
        }[t.term]  # fmt: skip
        if factor is not None:
            assert b[2][i] == pytest.approx(abs(factor) * a[2][i], rel=1e-5)
            if t.term in scale or t.term.startswith("variance"):
                assert b[1][i] == pytest.approx(factor * a[1][i], rel=1e-5)


def test_bootstrap_agrees_with_the_information():
    x, y = groups(500)
    fit = fit_located(x, y, 2, n_starts=2, seed=0)
    boot = np.sqrt(
        np.diag(
            located_refitted(fit, x, y, None, Request("bootstrap", n_bootstrap=100, random_state=0)).matrix
        )
    )
    np.testing.assert_allclose(
        boot, table_of(fit, x, y)[2], rtol=0.35
    )  # 5 standard deviations of a deviation of 100
    again = np.sqrt(
        np.diag(
            located_refitted(fit, x, y, None, Request("bootstrap", n_bootstrap=10, random_state=1)).matrix
        )
    )
    np.testing.assert_array_equal(
        again,
        np.sqrt(
            np.diag(
                located_refitted(fit, x, y, None, Request("bootstrap", n_bootstrap=10, random_state=1)).matrix
            )
        ),
    )
    with pytest.raises(DataError, match="at least 2 replicates"):
        located_refitted(fit, x, y, None, Request("bootstrap", n_bootstrap=1))


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """95 % intervals of every parameter of two well separated experts, 200 data sets."""
    truth = LocatedMeasure(
        [0.4, 0.6],
        [[-1.5], [1.5]],
        [[[1.0]], [[0.64]]],
        [[[2.0]], [[-1.0]]],
        [[1.0], [0.0]],
        [[[0.25]], [[0.5]]],
    )
    covered = []
    for seed in range(200):
        x, y, _ = truth.sample(300, np.random.default_rng(seed))
        moe = LocatedMoERegressor(2, n_starts=1, random_state=0).fit(x, y[:, 0])
        low = moe.measure_.means[:, 0].argmin()
        values = Terms.of(truth, moe.fit_.specification).values(truth.permute([low, 1 - low]))
        covered += [r["low"] <= t <= r["high"] for r, t in zip(moe.inference().rows(), values, strict=True)]
    assert 0.92 <= np.mean(covered) <= 0.98


class TestTable:
    def test_columns_and_scales(self):
        x, y = groups(300, 2, 2)
        table = LocatedMoERegressor(2, random_state=0).fit(x, y).inference()
        assert list(table.columns) == [
            "component", "part", "outcome", "term", "estimate", "std_error", "z", "p", "low", "high", "note",
        ]  # fmt: skip
        for r in table.rows():
            assert r["note"] == ""
            assert r["low"] < r["estimate"] < r["high"]
            positive = r["term"] == "share" or r["term"].startswith("variance")
            assert (r["z"] is None) == (r["p"] is None) == (positive or r["term"].startswith("mean("))
            assert r["low"] > 0 or not positive
        share = table.rows()[0]
        odds, se = (
            np.log(share["estimate"] / (1 - share["estimate"])),
            share["std_error"] / (share["estimate"] * (1 - share["estimate"])),
        )
        assert share["low"] == pytest.approx(1 / (1 + np.exp(-odds + 1.959964 * se)), rel=1e-6)

    def test_names_are_those_of_the_data(self):
        pd = pytest.importorskip("pandas")
        x, y = groups(200, 2, 2)
        frame, targets = pd.DataFrame(x, columns=["age", "dose"]), pd.DataFrame(y, columns=["left", "right"])
        table = LocatedMoERegressor(2, degree=2, random_state=0).fit(frame, targets).tidy()
        assert {"mean(age)", "covariance(age, dose)", "age^2", "age:dose", "covariance(left, right)"} <= set(
            table["term"]
        )
        assert set(table["outcome"]) == {"", "left", "right"}

    def test_the_summary_says_what_was_found(self):
        moe = LocatedMoERegressor.from_formula(
            "nox ~ equivalence", load_dataset("ethanol"), n_experts=3, random_state=0
        )
        text = moe.summary("observed")
        for words in (
            "3 located experts",
            "response 'nox'",
            "converged",
            "Gate (where each expert is)",
            "share",
            "In words",
            "around equivalence",
        ):
            assert words in text
        assert "nan" not in text
        assert "std. error" not in moe.summary(None)


class TestWhereThereIsNoNumber:
    def test_experts_that_are_one(self):
        """The second of two experts written twice, with half of its weight each: the likelihood is flat
        there."""
        x, y = groups(400)
        plain = fit_located(x, y, 2, seed=0)
        two = plain.measure
        parts = (two.means, two.covariances, two.slopes, two.intercepts, two.noise)
        twice = LocatedMeasure(two.weights[[0, 1, 1]] * [1, 0.5, 0.5], *(a[[0, 1, 1]] for a in parts))
        fit = replace(plain, measure=twice, fitted=twice, mass=400 * twice.weights)
        found = located_covariance(fit, x, y, None)
        names, _, se = table_of(fit, x, y)
        notes = {
            e: {note for t, note in zip(names, found.notes, strict=True) if t.component == e}
            for e in range(3)
        }
        assert notes == {0: {""}, 1: {"singular"}, 2: {"singular"}}
        # what the twins do not touch has the errors of the model with two experts
        of_two, _, expected = table_of(plain, x, y)
        first = [[t.component == 0 for t in n] for n in (names, of_two)]
        np.testing.assert_allclose(se[first[0]], expected[first[1]], rtol=1e-6)

    def test_a_collapsed_expert(self):
        x, y = groups(200)
        x, y = np.vstack([x, [[9.0], [9.0]]]), np.vstack([y, [[9.0], [9.0]]])
        tight = fit_located(x[:200], y[:200], 1).measure
        start = LocatedMeasure(
            [0.99, 0.01],
            np.vstack([tight.means, [[9.0]]]),
            np.vstack([tight.covariances, [[[1e-6]]]]),
            np.vstack([tight.slopes, [[[0.0]]]]),
            np.vstack([tight.intercepts, [[9.0]]]),
            np.vstack([tight.noise, [[[1e-6]]]]),
        )
        fit = fit_located(x, y, 2, initial=start)
        assert fit.status.kind == "variance collapsed"
        names, _, se = table_of(fit, x, y)
        assert {t.component for t, s in zip(names, se, strict=True) if np.isnan(s)} == {1}

    def test_tails_at_their_bound(self):
        x, y = groups(300)
        fit = fit_located(x, y, 2, student=True, n_starts=2, seed=0)
        notes = located_covariance(fit, x, y, None).notes
        names = Terms.of(fit.measure, fit.specification).names(["a"], ["y"])
        for t, note in zip(names, notes, strict=True):
            bound = t.term == "degrees of freedom" and fit.measure.degrees_of_freedom[t.component] > 199.9
            assert note == ("at bound" if bound else "")
        assert "at bound" in notes

    def test_rotations_of_latent_factors_touch_nothing_that_is_listed(self):
        """Where the sample's covariance is the model's, a variance's error is that of a normal sample: s^2
        sqrt(2 / n)."""
        rng = np.random.default_rng(0)
        n, L = 200, rng.standard_normal((7, 2))
        white = np.linalg.qr(np.column_stack([np.ones(n), rng.standard_normal((n, 8))]))[0][:, 1:] * np.sqrt(
            n
        )
        root = np.linalg.cholesky(L @ L.T + np.diag(rng.uniform(0.5, 1.5, 7)))
        x, y = white[:, :1], white[:, 1:] @ root.T
        fit = fit_located(x, y, 1, covariance="factors", rank=2, tol=1e-10)
        names, values, se = table_of(fit, x, y)
        at = [t.part == "expert" and t.term.startswith("variance") for t in names]
        np.testing.assert_allclose(values[at], np.diag(root @ root.T), rtol=1e-5)
        np.testing.assert_allclose(se[at], values[at] * np.sqrt(2 / n), rtol=1e-4)


def test_refusals():
    x, y = groups(100)
    moe = LocatedMoERegressor(1).fit(x, y[:, 0])
    with pytest.raises(DataError, match="observed, expected, sandwich"):
        moe.inference("magic")
    x[:, 0] *= 2
    with pytest.raises(DataError, match="changed since"):
        moe.inference()
    wide = np.random.default_rng(0).standard_normal((200, 90))
    with pytest.raises(DataError, match="too large"):
        LocatedMoERegressor(1).fit(wide, wide[:, 0] + np.arange(200)).inference()


def test_history_climbs_and_stops_at_the_limit():
    x, y = groups(200)
    moe = LocatedMoERegressor(2, covariance="diagonal", student=True, n_starts=1, random_state=0).fit(
        x, y[:, 0]
    )
    values = moe.history_["log_likelihood"]
    assert 1 < len(values) <= moe.n_iter_
    assert (np.diff(values) >= -1e-8).all()
    assert values[-1] == moe.log_likelihood_
    short = LocatedMoERegressor(2, student=True, n_starts=1, random_state=0, max_iter=2).fit(x, y[:, 0])
    assert len(short.history_) <= 2
    assert short.status_.kind == "stopped at the limit"
    with pytest.raises(DataError, match="max_iter"):
        LocatedMoERegressor(2, max_iter=0).fit(x, y[:, 0])


def test_directions_without_information_are_told_whatever_their_sign():
    """The complete information may be negative away from a maximum, and is zero of an expert without rows."""
    complete = np.diag([4.0, 0.0, -5e8])
    complete[0, 2] = complete[2, 0] = 1e3
    with np.errstate(all="raise"):
        root, null = _root(complete, complete)
    assert root.shape == (3, 1) and null.shape == (3, 2)
    assert root[1, 0] == 0.0 and np.isfinite(root).all()
    assert (root @ root.T)[0, 0] == pytest.approx(0.25, rel=1e-3)

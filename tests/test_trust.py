"""Clusters, the jackknife and tests of hypotheses: against statsmodels, brute force and closed forms."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import standard_errors, three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model
from moestro.inference import Hypotheses
from moestro.inference.atoms import Atom
from moestro.inference.louis import information


def clustered(n=240, G=30, seed=0):
    """One slope, errors with a part that a cluster shares, and the clusters."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, G, n)
    x = rng.standard_normal((n, 2)) + 0.7 * rng.standard_normal(G)[ids, None]
    y = 1 + x @ [0.5, -1.0] + rng.standard_normal(G)[ids] + rng.standard_normal(n)
    return x, y, ids


class TestClusters:
    def test_least_squares_as_statsmodels_has_it(self):
        sm = pytest.importorskip("statsmodels.api")
        x, y, ids = clustered()
        ols = sm.OLS(y, sm.add_constant(x))
        plain = {"groups": ids, "use_correction": False}
        expected = ols.fit(cov_type="cluster", cov_kwds=plain).bse * np.sqrt(30 / 29)
        names = np.array([f"firm {i}" for i in ids])
        softmax = MoERegressor(1).fit(x, y).inference("cluster", cluster=names)
        np.testing.assert_allclose(standard_errors(softmax), expected, rtol=1e-6)
        located = LocatedMoERegressor(1).fit(x, y).inference("cluster", cluster=ids)
        np.testing.assert_allclose(standard_errors(located), expected, rtol=1e-6)

    def test_two_dimensions_as_statsmodels_has_them(self):
        sm = pytest.importorskip("statsmodels.api")
        from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

        x, y, ids = clustered()
        years = np.arange(len(y)) % 7
        ols = sm.OLS(y, sm.add_constant(x)).fit()
        whole, one, two = cov_cluster_2groups(ols, ids, years, use_correction=False)
        joint = one + two - whole
        G, H, J = 30, 7, len(set(zip(ids, years, strict=True)))
        expected = one * G / (G - 1) + two * H / (H - 1) - joint * J / (J - 1)
        moe = MoERegressor(1).fit(x, y)
        got = moe.covariance_matrix("cluster", cluster=np.column_stack([ids, years]))[:3, :3]
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        np.testing.assert_array_equal(got, moe.covariance_matrix("cluster", cluster=(ids, years))[:3, :3])

    def test_scores_are_summed_within_clusters(self):
        """The meat from the gradients of each cluster's rows alone."""
        from moestro.engine import Order, make_engine

        x, y = two_lines(150)
        w = np.random.default_rng(1).uniform(0.5, 2, 150)
        ids = np.arange(150) % 11
        moe = MoERegressor(2, random_state=0, n_starts=2).fit(x, y, w)
        rows, fit = moe._found.rows, moe.fit_
        each = [
            make_engine(fit.model, rows.take(np.flatnonzero(ids == g))).evaluate(fit.theta, Order.GRADIENT)
            for g in range(11)
        ]
        G = np.array([e.gradient for e in each])
        bread = moe._found.covariance("observed", 1).matrix
        expected = 11 / 10 * bread @ G.T @ G @ bread
        np.testing.assert_allclose(
            moe._found.covariance("cluster", 1, ids).matrix, expected, rtol=1e-6, atol=1e-12
        )

    def test_scores_of_located_experts_are_summed_within_clusters(self):
        x, y = two_lines(150)
        moe = LocatedMoERegressor(2, random_state=0, n_starts=2).fit(x, y)
        fit, ids = moe.fit_, np.arange(150) % 11
        atoms = [Atom.of(fit.fitted, e, fit.specification.shape(2, 1, 1)) for e in range(2)]
        each = [
            information(atoms, x[at], y[at][:, None], np.ones(at.sum())).gradient
            for at in (ids == g for g in range(11))
        ]
        from moestro.inference import Clusters

        whole = information(atoms, x, y[:, None], np.ones(150), Clusters.of(ids, 150)).meat
        np.testing.assert_allclose(whole, 11 / 10 * np.array(each).T @ np.array(each), rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize("kind", [MoERegressor, LocatedMoERegressor])
    def test_rows_as_clusters_are_the_sandwich(self, kind):
        x, y = two_lines(150)
        moe = kind(2, random_state=0, n_starts=2).fit(x, y)
        a, b = moe.covariance_matrix("sandwich"), moe.covariance_matrix("cluster", cluster=np.arange(150))
        np.testing.assert_allclose(b, a * 150 / 149, rtol=1e-9)

    def test_rows_of_weight_zero_are_no_cluster(self):
        x, y, ids = clustered()
        w = np.where(ids == 3, 0.0, 1.0)
        a = MoERegressor(1).fit(x, y, w).inference("cluster", cluster=ids)
        at = ids != 3
        b = MoERegressor(1).fit(x[at], y[at]).inference("cluster", cluster=ids[at])
        np.testing.assert_allclose(standard_errors(a), standard_errors(b), rtol=1e-9)

    @pytest.mark.parametrize(
        ("ids", "words"),
        [
            (None, "needs cluster=ids"), (np.arange(7), r"cluster has shape \(7,\), expected \(200,\)"),
            ((np.arange(200), np.arange(7)), r"cluster has shape \(7,\), expected \(200,\)"),
            (np.zeros(200), "one cluster only"), (7, "one id a row, got 7"),
            (np.where(np.arange(200), 1.0, np.nan), "cluster is missing in row 1:"),
            (["a", np.nan] * 100, r"cluster is missing in 100 rows \(the first is row 2\)"),
            ([[1, "a"], [2, np.nan]] * 100, r"cluster is missing in 100 rows \(the first is row 2\)"),
            ((), "cluster has no ids"), (np.empty((200, 0)), "cluster has no ids"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, lines, ids, words):
        moe = MoERegressor(1).fit(*lines)
        with pytest.raises(DataError, match=words):
            moe.inference("cluster", cluster=ids)

    def test_a_word_that_is_not_read_is_refused(self, lines):
        with pytest.raises(DataError, match="has no clusters"):
            MoERegressor(1).fit(*lines).inference(cluster=np.arange(200))

    def test_the_bootstrap_draws_clusters(self):
        x, y, ids = clustered()
        moe = MoERegressor(1).fit(x, y)
        a = standard_errors(moe.inference("cluster", cluster=ids))
        b = standard_errors(moe.inference("bootstrap", cluster=ids, n_bootstrap=200, random_state=0))
        np.testing.assert_allclose(b, a, rtol=0.25)  # 200 draws: 5 % of a standard error, and few clusters


def test_jackknife_of_least_squares():
    x, y, ids = clustered(90, 9)
    x1 = np.column_stack([np.ones(90), x])
    moe = MoERegressor(1, tol=1e-10).fit(x, y)
    for codes, given in ((np.arange(90), None), (ids, ids)):
        draws = np.array(
            [np.linalg.lstsq(x1[codes != c], y[codes != c], rcond=None)[0] for c in np.unique(codes)]
        )
        G = len(draws)
        expected = np.sqrt((G - 1) / G * ((draws - draws.mean(axis=0)) ** 2).sum(axis=0))
        np.testing.assert_allclose(
            standard_errors(moe.inference("jackknife", cluster=given)), expected, rtol=1e-4
        )


LABELS = {"1:x": 0, "2:x": 1, "1:x:z": 2, "1:C(a)[T.b, c]": 3}


class TestWald:
    def test_as_statsmodels_has_it(self):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, 2))
        y = rng.poisson(np.exp(0.3 + x @ [0.2, -0.1]))
        moe = MoERegressor(1, family="poisson").fit(x, y)
        glm = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit(tol=1e-12)
        expected = glm.wald_test(
            (np.array([[0, 1, -1], [0, 2, 0]]), np.array([0.0, 0.5])), use_f=False, scalar=True
        )
        got = moe.wald_test("1:x0 = 1:x1, 2*1:x0 - 0.5 = 0")
        assert got.statistic == pytest.approx(expected.statistic, rel=1e-6)
        assert got.p == pytest.approx(expected.pvalue, rel=1e-5)
        assert got.df == 2

    def test_equal_slopes_by_hand(self, lines):
        moe = MoERegressor(2, random_state=0, n_starts=2).fit(*lines)
        labels = moe.parameter_names_
        i, j = labels.index("1:x0"), labels.index("2:x0")
        V, b = moe.covariance_matrix(), np.array(moe.tidy()["estimate"])
        expected = (b[i] - b[j]) ** 2 / (V[i, i] + V[j, j] - 2 * V[i, j])
        for test in (moe.wald_test(equal="x0"), moe.wald_test("1:x0 = 2:x0")):
            assert test.statistic == pytest.approx(expected, rel=1e-9)
            assert test.table[0]["z"] ** 2 == pytest.approx(expected, rel=1e-9)
        zero = moe.wald_test("*:x0 = 0")
        at = np.ix_([i, j], [i, j])
        assert zero.statistic == pytest.approx(b[[i, j]] @ np.linalg.solve(V[at], b[[i, j]]), rel=1e-9)
        assert zero.table["hypothesis"] == ["1:x0 = 0", "2:x0 = 0"]
        assert "p < 0.001" in str(zero)

    def test_located_experts_too(self, lines):
        moe = LocatedMoERegressor(2, random_state=0, n_starts=2).fit(*lines)
        rows = moe.inference().rows()
        z = next(r["z"] for r in rows if r["part"] == "expert" and r["term"] == "x0" and r["component"] == 2)
        assert moe.wald_test("2:x0").statistic == pytest.approx(z**2, rel=1e-9)
        assert moe.wald_test(equal=["x0", "(intercept)"]).df == 2

    def test_classes_have_an_equation_each(self):
        x, y = three_classes()
        moe = MoEClassifier(2, random_state=0, n_starts=2, gate_features=[]).fit(x, y)
        assert moe.parameter_names_[1:4] == ["1:a:(intercept)", "1:a:x0", "1:a:x1"]
        h = Hypotheses.equal("x1", moe._estimates("observed"))
        assert h.texts == ("1:a:x1 = 2:a:x1", "1:b:x1 = 2:b:x1")
        every = Hypotheses.read("*:x1 = 0", moe._estimates("observed").places, 2)
        assert every.texts == ("1:a:x1 = 0", "1:b:x1 = 0", "2:a:x1 = 0", "2:b:x1 = 0")
        one = Hypotheses.read("*:b:x1 = 0, gate:1:(intercept) = 0", moe._estimates("observed").places, 2)
        assert one.texts == ("1:b:x1 = 0", "2:b:x1 = 0", "gate:1:(intercept) = 0")

    @pytest.mark.slow
    def test_its_size(self):
        """Two experts of one slope: 5 % of 200 tests reject, within three binomial standard deviations."""
        rejected = []
        for seed in range(200):
            rng = np.random.default_rng(seed)
            x = rng.standard_normal((300, 1))
            y = np.where(rng.random(300) < 0.5, 4.0, -4.0) + x[:, 0] + rng.standard_normal(300)
            moe = MoERegressor(2, gate_features=[], n_starts=1, random_state=0, n_jobs=1).fit(x, y)
            rejected.append(moe.wald_test(equal="x0").p < 0.05)
        assert abs(np.mean(rejected) - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 200)

    @pytest.mark.parametrize(
        ("text", "R", "r"),
        [
            ("1:x", [[1, 0, 0, 0]], [0]),
            ("1:x = 2:x = 3", [[1, -1, 0, 0], [0, 1, 0, 0]], [0, 3]),
            ("-2*1:x:z + .5 1:x - 1 = 1e1 - -2:x", [[0.5, -1, -2, 0]], [11]),
            ("1:C(a)[T.b, c] = 0, 2:x = 1", [[0, 0, 0, 1], [0, 1, 0, 0]], [0, 1]),
            ("*:x = 0", [[1, 0, 0, 0], [0, 1, 0, 0]], [0, 0]),
        ],
    )
    def test_what_hypotheses_say(self, text, R, r):
        h = Hypotheses.read(text, LABELS, 2)
        np.testing.assert_array_equal(h.R, R)
        np.testing.assert_array_equal(h.r, r)

    @pytest.mark.parametrize(
        "text", ["", "3:x", "1:x 2:x", "1:x =", "1:xy", "2 3 1:x", "1:x = 0,", "2*(1:x)"]
    )
    def test_what_they_do_not_say(self, text):
        with pytest.raises(DataError, match="coefficients are called 1:x, 2:x"):
            Hypotheses.read(text, LABELS, 2)

    def test_what_is_refused(self, lines, tmp_path):
        moe = MoERegressor(2, random_state=0, n_starts=2).fit(*lines)
        for words, how in (
            ("not independent", {"hypotheses": "1:x0 = 0, 2*1:x0 = 0"}),
            ("says nothing", {"hypotheses": "1:x0 = 1:x0"}),
            ("no expert has a coefficient of 'x7'", {"equal": "x7"}),
            ("or equal=", {}),
        ):
            with pytest.raises(DataError, match=words):
                moe.wald_test(**how)
        with pytest.raises(DataError, match="no other coefficient to compare with"):
            MoERegressor(1).fit(*lines).wald_test(equal="x0")
        moe.save(tmp_path / "m.json", cov=["observed"])
        again = load_model(tmp_path / "m.json")
        assert again.wald_test(equal="x0").statistic == moe.wald_test(equal="x0").statistic
        with pytest.raises(DataError, match="need the training data"):
            again.wald_test(equal="x0", cov="cluster", cluster=np.arange(200))

    def test_a_coefficient_without_error_is_not_tested(self):
        x = np.linspace(-1, 1, 40)[:, None]
        moe = MoEClassifier(1).fit(x, x[:, 0] > 0)
        with pytest.raises(DataError, match=r"1:False:x0 has no standard error \(singular\)"):
            moe.wald_test("1:False:x0 = 0")


def test_the_level_of_intervals(lines):
    from scipy.stats import norm

    moe = MoERegressor(1).fit(*lines)
    for level in (0.5, 0.95, 0.99):
        for r in moe.inference(level=level).rows():
            assert r["high"] - r["low"] == pytest.approx(
                2 * norm.isf((1 - level) / 2) * r["std_error"], rel=1e-9
            )
    with pytest.raises(DataError, match="between 0 and 1"):
        moe.inference(level=95)


def test_what_grouped_rows_are_refused():
    x, y = two_lines(60)
    ids = np.repeat(np.arange(30), 2)
    moe = MoERegressor(2, gate_features=[], **{"random_state": 0, "n_starts": 2}).fit(x, y, groups=ids)
    with pytest.raises(DataError, match="the same in all rows of a group"):
        moe.inference("cluster", cluster=np.arange(60) % 7)
    with pytest.raises(DataError, match="classification needs their groups="):
        moe.classification(x, y)
    assert moe.wald_test(equal="x0", cov="sandwich").df == 1
    table = moe.assign(x, y, groups=ids)
    np.testing.assert_array_equal(table["posterior(1)"], moe.responsibilities(x, y, ids)[:, 0])
    assert moe.inference("jackknife")["std_error"][0] > 0


@pytest.fixture(scope="module")
def known():
    return json.loads((Path(__file__).parent / "witness" / "sandwich.json").read_text())


class TestR:
    """R's sandwich and flexmix: tests/witness/sandwich.R."""

    @pytest.mark.parametrize("family", ["poisson", "gaussian"])
    def test_sandwiches(self, known, family):
        i = np.arange(1, 121)
        x = np.sin(1.7 * i)
        y = (7 * i) % 11 + np.floor(3 * (x + 1))
        moe = MoERegressor(1, family=family, tol=1e-11).fit(x[:, None], y)
        np.testing.assert_allclose(moe.tidy()["estimate"][:2], known[family]["estimate"], rtol=1e-8)
        for cov in ("observed", "sandwich", "cluster"):
            if cov in known[family]:
                ids = {"cluster": i % 13} if cov == "cluster" else {}
                got = standard_errors(moe.inference(cov, **ids))
                np.testing.assert_allclose(got, known[family][cov], rtol=1e-6)

    def test_two_poisson_experts(self, known):
        """flexmix's `refit` inverts a numerical Hessian; its EM stops a little below the maximum."""
        data = known["fabricfault"]
        x, y = np.log(data["length"])[:, None], np.array(data["faults"], dtype=float)
        moe = MoERegressor(2, family="poisson", gate_features=[], random_state=0).fit(x, y)
        assert moe.log_likelihood_ == pytest.approx(data["log_likelihood"], abs=1e-5)
        rows = [r for r in moe.inference() if r["part"] == "expert"]
        theirs = np.array(data["estimate"][:4]).reshape(2, 2)
        errors = np.array(data["se"][:4]).reshape(2, 2)
        ours = np.array([r["estimate"] for r in rows]).reshape(2, 2)
        order = [0, 1] if abs(ours[0, 1] - theirs[0, 1]) < abs(ours[1, 1] - theirs[0, 1]) else [1, 0]
        np.testing.assert_allclose(ours[order], theirs, rtol=2e-3)
        se = np.array([r["std_error"] for r in rows]).reshape(2, 2)[order]
        np.testing.assert_allclose(se, errors, rtol=5e-3)


def test_without_the_package_marginaleffects_a_line_says_so(lines, monkeypatch):
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", None)
    monkeypatch.delitem(sys.modules, "moestro.estimators.marginal_effects", raising=False)
    with pytest.raises(DataError, match="pip install marginaleffects"):
        MoERegressor(1).fit(*lines).to_marginaleffects(lines[0])

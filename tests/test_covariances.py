"""Covariances beside the observed one: expected, survey, bootstraps and their intervals, influence,
corrections of small samples, simultaneous intervals."""

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from conftest import standard_errors, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model
from moestro.inference import Request
from moestro.inference.intervals import drawn_interval
from moestro.inference.located_refitted import located_matched
from moestro.inference.refits import codes_of, repeat, weights_of
from moestro.inference.refitted import matched, simulated
from moestro.inference.simultaneous import critical_of
from moestro.inference.survey import Survey
from moestro.penalties import L1

FEW = {"random_state": 0, "n_starts": 2}


def and_slow(first, *others):
    """Cases of which the first is always run, the others by `make test-all`."""
    return [first, *(pytest.param(o, marks=pytest.mark.slow) for o in others)]


class TestExpected:
    def test_as_statsmodels_has_it(self):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, 2))
        y = rng.poisson(np.exp(0.3 + x @ [0.2, -0.1]))
        glm = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit(tol=1e-12)
        moe = MoERegressor(1, family="poisson").fit(x, y)
        np.testing.assert_allclose(standard_errors(moe.inference("expected")), glm.bse, rtol=1e-6)
        ols = sm.OLS(y, sm.add_constant(x)).fit()
        own = standard_errors(MoERegressor(1).fit(x, y).inference("expected"))
        np.testing.assert_allclose(own, ols.bse * np.sqrt(297 / 300), rtol=1e-6)

    def test_of_several_experts_it_is_refused(self, lines):
        for kind, words in (
            (MoERegressor, "no closed form"),
            (LocatedMoERegressor, "no expected information"),
        ):
            with pytest.raises(DataError, match=words):
                kind(2, **FEW).fit(*lines).inference("expected")


def design(n=240, seed=0):
    """Three strata of eight primary units of ten rows, weights, and a population."""
    rng = np.random.default_rng(seed)
    strata = np.repeat(["a", "b", "c"], n // 3)
    units = np.tile(np.repeat(np.arange(8), n // 24), 3)
    common = rng.standard_normal(24)[np.repeat(np.arange(24), n // 24)]
    x = rng.standard_normal((n, 1))
    y = 1 + 0.5 * x[:, 0] + common + (strata == "b") + rng.standard_normal(n)
    return x, y, rng.uniform(0.5, 3, n), strata, units


def linearised(X, y, w, strata, units, share):
    """Of weighted least squares, written out: weighted scores by unit, centred in their stratum."""
    beta = np.linalg.solve((X * w[:, None]).T @ X, (X * w[:, None]).T @ y)
    scores = X * (w * (y - X @ beta))[:, None]
    meat = np.zeros((X.shape[1],) * 2)
    for s in np.unique(strata):
        z = np.array(
            [scores[(strata == s) & (units == u)].sum(axis=0) for u in np.unique(units[strata == s])]
        )
        gap = z - z.mean(axis=0)
        meat += (1 - share) * len(z) / (len(z) - 1) * gap.T @ gap
    bread = np.linalg.inv((X * w[:, None]).T @ X)
    return np.sqrt(np.diag(bread @ meat @ bread))


class TestSurvey:
    @pytest.mark.parametrize(("fpc", "share"), [(None, 0.0), (0.25, 0.25), (32, 0.25)])
    def test_linear_regression_written_out(self, fpc, share):
        x, y, w, strata, units = design()
        expected = linearised(np.column_stack([np.ones(len(y)), x]), y, w, strata, units, share)
        how = {"cluster": units, "strata": strata, "fpc": fpc}
        for kind in (MoERegressor, LocatedMoERegressor):
            got = standard_errors(kind(1).fit(x, y, w).inference("survey", **how))
            np.testing.assert_allclose(got, expected, rtol=1e-6)

    @pytest.mark.parametrize("family", ["gaussian", "poisson"])
    @pytest.mark.parametrize("name", ["strata", "strata_fpc", "clusters", "clusters_fpc"])
    def test_as_r_has_them(self, name, family):
        """svyglm of R's survey on samples of California's schools: tests/witness/survey.R."""
        known = json.loads((Path(__file__).parent / "witness" / "survey.json").read_text())
        d = known["apistrat" if name.startswith("strata") else "apiclus1"]
        x = np.column_stack([d["ell"], d["meals"]])
        y = np.array(d["api00" if family == "gaussian" else "students"], dtype=float)
        how = {"strata": np.array(d["stype"])} if name.startswith("strata") else {"cluster": d["dnum"]}
        how |= {"fpc": np.array(d["fpc"])} if name.endswith("fpc") else {}
        moe = MoERegressor(1, family=family, tol=1e-11).fit(x, y, np.array(d["pw"]))
        table = moe.inference("survey", **how)
        theirs = known[f"{name}_{family}"]
        np.testing.assert_allclose(table["estimate"][:3], theirs["estimate"], rtol=1e-7)
        np.testing.assert_allclose(standard_errors(table), theirs["se"], rtol=1e-6)

    def test_the_mean_of_a_simple_random_sample(self):
        """(1 - n / N) s² / n."""
        y = np.random.default_rng(1).gamma(2.0, size=50)
        moe = MoERegressor(1, expert_features=[], gate_features=[]).fit(np.arange(50.0)[:, None], y)
        got = standard_errors(moe.inference("survey", fpc=200))
        assert got[0] == pytest.approx(np.sqrt(0.75 * y.var(ddof=1) / 50), rel=1e-6)

    def test_without_strata_it_is_that_of_clusters(self, lines):
        """Scores sum to zero over all units, so centring changes nothing."""
        ids = np.arange(200) % 20
        moe = MoERegressor(2, **FEW).fit(*lines)
        a = moe.covariance_matrix("survey", cluster=ids)
        np.testing.assert_allclose(a, moe.covariance_matrix("cluster", cluster=ids), rtol=1e-4, atol=1e-10)

    def test_rows_without_weight_are_not_in_the_sample(self):
        x, y, w, strata, units = design()
        gone = (strata == "a") & (units == 3)
        how = {"cluster": units, "strata": strata}
        a = MoERegressor(1).fit(x, y, np.where(gone, 0.0, w)).inference("survey", **how)
        kept = {n: v[~gone] for n, v in how.items()}
        b = MoERegressor(1).fit(x[~gone], y[~gone], w[~gone]).inference("survey", **kept)
        np.testing.assert_allclose(standard_errors(a), standard_errors(b), rtol=1e-8)

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"strata": np.arange(240) == 0}, "one primary unit only"),
            ({"fpc": -1.0}, "fpc must be a number"),
            ({"fpc": np.arange(240.0)}, "the same in all rows of a stratum"),
            ({"fpc": 20}, "fewer primary units than were sampled"),
            ({"strata": np.arange(7)}, "strata has shape"),
            ({"resample": "rows"}, "has no resample"),
        ],
    )
    def test_what_is_refused(self, how, words):
        x, y, w, *_ = design()
        with pytest.raises(DataError, match=words):
            MoERegressor(1).fit(x, y, w).inference("survey", **how)

    def test_strata_belong_to_a_survey(self, lines):
        with pytest.raises(DataError, match="has no strata: use cov='survey'"):
            MoERegressor(1).fit(*lines).inference("cluster", cluster=np.arange(200), strata=np.zeros(200))


class TestBootstrap:
    @pytest.mark.parametrize("kind", and_slow(MoERegressor, LocatedMoERegressor))
    @pytest.mark.parametrize("resample", ["weights", "rows", "parametric"])
    def test_all_agree_where_the_model_is_right(self, lines, kind, resample):
        moe = kind(2, **FEW).fit(*lines)
        a = standard_errors(moe.inference())
        b = standard_errors(moe.inference("bootstrap", n_bootstrap=60, resample=resample, random_state=0))
        np.testing.assert_allclose(b, a, rtol=0.5)  # 60 draws: 9 % of a standard error each, and n is 200

    def test_intervals_of_known_draws(self):
        """Of a thousand quantiles of a law the intervals are its quantiles; of a symmetric law all agree."""
        from scipy.stats import gamma, norm

        at = np.arange(1, 1000) / 1000
        low, high = drawn_interval("percentile", 1.0, norm.ppf(at, 1.0), 0.9)
        assert (low, high) == pytest.approx(norm.ppf([0.05, 0.95], 1.0), abs=0.01)
        for how in ("basic", "bca"):
            assert drawn_interval(how, 1.0, norm.ppf(at, 1.0), 0.9) == pytest.approx((low, high), abs=0.01)
        skew = gamma.ppf(at, 4.0)
        low, high = gamma.ppf([0.05, 0.95], 4.0)
        assert drawn_interval("basic", 4.0, skew, 0.9) == pytest.approx((8 - high, 8 - low), abs=0.05)
        z0 = norm.ppf(gamma.cdf(4.0, 4.0))
        z = norm.ppf([0.05, 0.95])
        moved = norm.cdf(z0 + (z0 + z) / (1 - 0.1 * (z0 + z)))
        found = drawn_interval("bca", 4.0, skew, 0.9, 0.1)
        assert found == pytest.approx(tuple(gamma.ppf(moved, 4.0)), rel=0.02)
        with pytest.raises(DataError, match="interval='t'"):
            drawn_interval("t", 0.0, skew, 0.9)

    @pytest.mark.parametrize("interval", and_slow("bca", "percentile", "basic"))
    def test_intervals_of_a_fit(self, lines, interval):
        moe = MoERegressor(1).fit(*lines)
        a = moe.inference("bootstrap", n_bootstrap=100, random_state=0)
        b = moe.inference("bootstrap", n_bootstrap=100, random_state=0, interval=interval)
        assert a["std_error"] == b["std_error"]
        for x, y in zip(a, b, strict=True):
            assert abs(x["low"] - y["low"]) < 0.7 * x["std_error"]
            assert abs(x["high"] - y["high"]) < 0.7 * x["std_error"]
        with pytest.raises(DataError, match="needs cov='bootstrap'"):
            moe.inference(interval=interval)

    def test_bca_of_located_experts(self, lines):
        """Its bias and acceleration from the draws and from influence, by hand."""
        moe = LocatedMoERegressor(1).fit(*lines)
        how = {"n_bootstrap": 30, "random_state": 0}
        row = moe.inference("bootstrap", interval="bca", **how)[-2]
        i = moe.parameter_names_.index("1:x0")
        assert row["term"] == "x0"
        draws, u = moe._estimates("bootstrap", **how).draws[:, i], -moe.influence()[:, i]
        a = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
        z0 = ndtri((draws < row["estimate"]).mean())
        z = z0 + np.array([-1.959964, 1.959964])
        expected = np.quantile(draws, ndtr(z0 + z / (1 - a * z)))
        np.testing.assert_allclose([row["low"], row["high"]], expected, rtol=1e-6)

    def test_threads_do_not_change_it(self, lines):
        one, two = (MoERegressor(2, n_jobs=j, **FEW).fit(*lines) for j in (1, 2))
        how = {"n_bootstrap": 6, "random_state": 3, "resample": "rows"}
        assert (
            one.inference("bootstrap", **how)["std_error"] == two.inference("bootstrap", **how)["std_error"]
        )

    def test_rows_are_drawn_with_replacement_and_groups_whole(self):
        codes = np.repeat(np.arange(5), 2)
        w = np.r_[np.zeros(2), np.full(8, 2.0)]
        for new in weights_of(Request("bootstrap", n_bootstrap=20, resample="rows"), w, codes):
            assert new.sum() == w.sum()
            assert (new.reshape(5, 2)[:, 0] == new.reshape(5, 2)[:, 1]).all()
            assert (new % 2.0 == 0).all()
            assert not new[:2].any()

    def test_refits_that_are_not_usable_are_counted(self):
        def one(i):
            return None if i % 3 == 0 else i

        assert repeat(one, iter(range(9)), 1, Request("bootstrap")) == ([1, 2, 4, 5, 7, 8], 3)
        with pytest.raises(DataError, match="only 1 of 5 refits"):
            repeat(lambda i: i or None if i > 3 else None, iter(range(5)), 1, Request("bootstrap"))

    def test_experts_of_a_searched_refit_are_matched(self, lines):
        fit = MoERegressor(2, **FEW).fit(*lines).fit_
        turned = fit.model.permute(fit.theta, np.array([1, 0]))
        np.testing.assert_allclose(matched(fit, turned), fit.theta, atol=1e-12)

    def test_what_is_refused(self, lines):
        x, y = lines
        for moe, how, words in (
            (MoERegressor(1).fit(x, y, np.full(200, 2.0)), {"resample": "parametric"}, "takes no weights"),
            (MoERegressor(1).fit(x, y), {"resample": "pairs"}, "resample='pairs' is unknown"),
            (MoERegressor(1).fit(x, y), {"n_bootstrap": 1}, "at least 2 replicates"),
        ):
            with pytest.raises(DataError, match=words):
                moe.inference("bootstrap", **how)
        two = Request("bootstrap", (np.arange(4), np.arange(4) % 2))
        with pytest.raises(DataError, match="one-way clusters only"):
            codes_of(two, two_way(), 4)


def two_way():
    from moestro.inference import Clusters

    return Clusters.of((np.arange(4), np.arange(4) % 2), 4)


class TestInfluence:
    @pytest.mark.parametrize("name", and_slow("grouped", "plain", "weighted"))
    def test_by_leaving_rows_out(self, lines, name):
        """Refits without each row, or group; what one step leaves out is of second order."""
        x, y = lines
        given, how = {}, {}
        if name == "weighted":
            given = {"sample_weight": np.random.default_rng(0).uniform(0.5, 2, 200)}
        elif name == "grouped":
            rng = np.random.default_rng(0)
            ids, x = np.repeat(np.arange(50), 4), rng.standard_normal((200, 1))
            first = (rng.random(50) < 0.5)[ids]
            y = np.where(first, 2 + 2 * x[:, 0], -1 - x[:, 0]) + rng.standard_normal(200)
            given, how = {"groups": ids}, {"gate_features": []}
        moe = MoERegressor(2, **FEW, **how).fit(x, y, **given)
        exact = moe._estimates("jackknife").draws - np.array(moe.tidy()["estimate"])
        change, scale = moe.influence(), np.sqrt(np.diag(moe.covariance_matrix()))
        assert change.shape == (50 if name == "grouped" else 200, len(scale))
        a, b = exact[:, scale > 0] / scale[scale > 0], change[:, scale > 0] / scale[scale > 0]
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.995
        assert np.abs(a - b).max() < 0.2 * np.abs(a).max()

    @pytest.mark.parametrize("kind", [MoERegressor, LocatedMoERegressor])
    def test_it_is_what_the_sandwich_is_made_of(self, lines, kind):
        """Scores sum to zero at the maximum, and A^-1 B A^-1 is the sum of the outer products of A^-1 s."""
        moe = kind(2, **FEW).fit(*lines)
        change = moe.influence()
        assert np.abs(change.sum(axis=0)).max() < 1e-5 * np.abs(change).sum(axis=0).max()
        sandwich = moe.covariance_matrix("sandwich")
        size = np.sqrt(np.diag(sandwich))
        np.testing.assert_allclose(
            change.T @ change, sandwich, rtol=0, atol=1e-7 * np.outer(size, size).max()
        )

    def test_located_experts_by_leaving_rows_out(self):
        x, y = two_lines(60)
        moe = LocatedMoERegressor(2, direction="inverse", **FEW).fit(x, y)
        exact = moe._estimates("jackknife").draws - np.array(moe.inference()["estimate"])
        change, scale = moe.influence(), np.sqrt(np.diag(moe.covariance_matrix()))
        assert np.corrcoef((exact / scale).ravel(), (change / scale).ravel())[0, 1] > 0.98

    def test_what_is_refused(self, lines):
        with pytest.raises(DataError, match="a penalised fit has no influence"):
            MoERegressor(1, penalty=L1(alpha=0.05), random_state=0).fit(*lines).influence()


class TestCorrections:
    """Of small samples: HC1 of the sandwich; CR0, CR1 and CR1S of clusters."""

    def test_as_r_has_them(self):
        """vcovHC and vcovCL of R's sandwich: tests/witness/sandwich.R."""
        known = json.loads((Path(__file__).parent / "witness" / "sandwich.json").read_text())["poisson"]
        i = np.arange(1, 121)
        x, ids = np.sin(1.7 * i), i % 13
        moe = MoERegressor(1, family="poisson", tol=1e-11).fit(
            x[:, None], (7 * i) % 11 + np.floor(3 * (x + 1))
        )
        for name, key in (("HC0", "sandwich"), ("HC1",) * 2, ("CR0",) * 2, ("CR1", "cluster"), ("CR1S",) * 2):
            how = {"cov": "cluster", "cluster": ids} if name[0] == "C" else {"cov": "sandwich"}
            np.testing.assert_allclose(
                moe.inference(correction=name, **how)["std_error"], known[key], rtol=1e-6
            )
        usual = moe.inference("sandwich"), moe.inference("cluster", cluster=ids)
        np.testing.assert_allclose(
            [t["std_error"] for t in usual], [known["sandwich"], known["cluster"]], rtol=1e-6
        )

    def test_they_count_what_is_there(self, lines):
        """Rows of weight zero are none, groups are one each, and located experts have them too."""
        x, y = lines
        w = (np.arange(200) < 80).astype(float)
        for moe, n in (
            (MoERegressor(1).fit(x, y, w), 80),
            (MoERegressor(1, gate_features=[]).fit(x, y, groups=np.arange(200) // 4), 50),
            (LocatedMoERegressor(1).fit(x, y, w), 80),
        ):
            plain, corrected = (
                moe.inference("sandwich", correction=c)["std_error"][0] for c in ("HC0", "HC1")
            )
            assert (corrected / plain) ** 2 == pytest.approx(n / (n - moe.n_parameters_))

    def test_they_are_named_and_not_taken_for_others(self, lines, tmp_path):
        moe = MoERegressor(2, **FEW).fit(*lines)
        assert "times n / (n - P) (HC1)" in moe.summary("sandwich", correction="HC1")
        assert "times G / (G - 1) (CR1)" in moe.summary("cluster", cluster=np.arange(200) // 5)
        moe.inference("sandwich", correction="HC1")
        assert "HC1" not in moe.summary("sandwich")
        moe.save(tmp_path / "m.json")
        read = load_model(tmp_path / "m.json")
        assert (
            read.inference("sandwich", correction="HC0")["std_error"]
            == moe.inference("sandwich")["std_error"]
        )
        with pytest.raises(DataError, match="with HC1 need the training data"):
            read.inference("sandwich", correction="HC1")

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"correction": "HC1"}, "cov='observed' has no correction"),
            ({"cov": "sandwich", "correction": "CR1"}, "unknown: choose one of HC0, HC1"),
            ({"cov": "cluster", "cluster": np.arange(4), "correction": "HC1"}, "CR1, CR0, CR1S"),
            ({"cov": "sandwich", "correction": "HC1"}, "more rows than parameters: 4 and 4"),
        ],
    )
    def test_what_is_refused(self, how, words):
        x = np.arange(4.0)
        moe = MoERegressor(1).fit(np.column_stack([x, x**2]), [1.0, 3.0, 2.0, 5.0])
        with pytest.raises(DataError, match=words):
            moe.inference(**how)


class TestSimultaneous:
    def test_laws_that_are_known(self):
        """Independent numbers have Sidak's quantile, equal ones that of one number."""
        for m in (2, 5):
            sidak = -ndtri((1 - 0.95 ** (1 / m)) / 2)
            assert critical_of(np.diag(np.arange(1.0, m + 1)), 0.95) == pytest.approx(sidak, abs=0.02)
            assert critical_of(np.ones((m, 1)), 0.95) == pytest.approx(1.96, abs=0.02)
        assert critical_of(np.zeros((3, 1)), 0.95) == critical_of(np.eye(1), 0.95) == pytest.approx(1.959964)

    def test_a_table_covers_all_its_parameters(self, lines):
        moe = MoERegressor(2, **FEW).fit(*lines)
        one, all_ = moe.inference(), moe.inference(simultaneous=True)
        found = np.array([r["high"] - r["estimate"] for r in all_]) / np.array(one["std_error"])
        assert np.ptp(found) < 1e-9
        assert 1.96 < found[0] < -ndtri(0.025 / len(found))
        assert moe.inference(simultaneous=True) == all_
        with pytest.raises(DataError, match="interval='bca'"):
            moe.inference("bootstrap", interval="bca", simultaneous=True)

    @pytest.mark.slow
    def test_how_often_they_cover(self):
        """All four parameters of least squares at once, in 95 % of 400 samples (standard error 1.1 %)."""
        rng, inside = np.random.default_rng(0), 0
        for _ in range(400):
            x = rng.standard_normal((200, 3))
            moe = MoERegressor(1).fit(x, 1 + x @ [1.0, 0.0, -1.0] + rng.standard_normal(200))
            table = moe.inference(simultaneous=True).rows()[:4]
            inside += all(r["low"] <= b <= r["high"] for r, b in zip(table, (1, 1, 0, -1), strict=True))
        assert abs(inside / 400 - 0.95) < 0.033


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(4)
    ids = rng.permutation(np.repeat(np.arange(60), 3))  # groups are no neighbours
    x = rng.standard_normal((180, 1))
    up = (rng.random(60) < 0.6)[ids]
    y = np.where(up, 2 + x[:, 0], -1 - x[:, 0]) + (rng.standard_normal(12) / 2)[ids // 5]
    return x, y + rng.standard_normal(180), ids


class TestGroups:
    """Rows that share their expert, in clusters of whole groups."""

    def fit(self, panel, k, **how):
        x, y, ids = panel
        return MoERegressor(k, gate_features=[], **FEW, **how).fit(x, y, groups=ids)

    def test_of_one_expert_they_are_clusters_of_rows(self, panel):
        x, y, ids = panel
        one, plain = self.fit(panel, 1), MoERegressor(1).fit(x, y)
        strata = ids // 30
        for kind, how in (
            ("cluster", {"cluster": ids // 5}),
            ("cluster", {"cluster": (ids // 5, ids % 4)}),
            ("survey", {"cluster": ids // 5, "strata": strata, "fpc": np.where(strata, 0.2, 40.0)}),
        ):
            a, b = (m.inference(kind, **how)["std_error"] for m in (one, plain))
            np.testing.assert_allclose(a, b, rtol=1e-8)
        a, b = (m.inference("jackknife", cluster=ids // 5)["std_error"] for m in (one, plain))
        np.testing.assert_allclose(a, b, rtol=1e-4)

    def test_of_one_group_each_they_are_the_sandwich(self, panel):
        two, ids = self.fit(panel, 2), panel[2]
        plain = two.inference("sandwich")["std_error"]
        np.testing.assert_allclose(
            two.inference("cluster", cluster=ids, correction="CR0")["std_error"], plain, rtol=1e-9
        )
        survey = two.inference("survey")["std_error"]
        np.testing.assert_allclose(survey, np.array(plain) * np.sqrt(60 / 59), rtol=1e-6)
        order = np.array(list(dict.fromkeys(ids.tolist())))  # of first appearance, as units are
        sums = np.array([two.influence()[order // 5 == c].sum(axis=0) for c in range(12)])
        by_hand = np.sqrt(12 / 11 * (sums**2).sum(axis=0))
        table = two.inference("cluster", cluster=ids // 5)
        np.testing.assert_allclose([se or 0.0 for se in table["std_error"]], by_hand, rtol=1e-6)
        whole = two.inference("bootstrap", resample="rows", cluster=ids // 5, n_bootstrap=20, random_state=0)
        assert all(se > 0 for se in whole["std_error"])

    @pytest.mark.parametrize("ids", [np.arange(180) % 7, np.arange(10), np.full(180, None)])
    def test_what_is_refused(self, panel, ids):
        with pytest.raises(DataError, match=r"cluster (must have one value|has shape|is missing)"):
            self.fit(panel, 2).inference("cluster", cluster=ids)

    def test_responses_are_drawn_by_group(self, panel):
        """Far apart, so that signs tell the experts: all rows of a group have one, in shares of the gate."""
        x, y, ids = panel
        moe = MoERegressor(2, gate_features=[], **FEW).fit(x, y + 40 * (ids % 3 > 0), groups=ids)
        rows, up = moe._found.rows, []
        for seed in range(40):
            drawn = simulated(moe.fit_, rows, np.random.default_rng(seed)).y > 20
            first = drawn[rows.groups.first]
            assert (drawn == rows.groups.expand(first)).all()
            up.append(first.mean())
        share = max(moe.gate_proba(x[:1])[0])  # two thirds are above
        assert abs(np.mean(up) - share) < 4 * np.sqrt(share * (1 - share) / 2400)

    def test_the_parametric_bootstrap_agrees_with_the_information(self, panel):
        two = self.fit(panel, 2)
        how = {"resample": "parametric", "n_bootstrap": 60, "random_state": 0}
        drawn, known = two.inference("bootstrap", **how)["std_error"], two.inference()["std_error"]
        np.testing.assert_allclose(drawn, known, rtol=0.4)


def test_what_is_separated_or_flat_has_no_error_of_refits_either():
    x = np.linspace(-1, 1, 40)[:, None]
    apart = MoEClassifier(1).fit(x, x[:, 0] > 0)
    coin = np.random.default_rng(0).random(40) < 0.5
    flat = MoEClassifier(2, expert_features=[], gate_features=[], **FEW).fit(x, coin)
    for moe in (apart, flat):
        for how in ({"cov": "bootstrap", "n_bootstrap": 4, "random_state": 0}, {"cov": "jackknife"}):
            table = moe.inference(**how)
            assert table["note"] == moe.inference()["note"] == ["singular"] * len(table)
            assert table["std_error"] == [None] * len(table)


def test_located_refits_are_matched():
    x, y = two_lines(60)
    moe = LocatedMoERegressor(2, **FEW).fit(x, y)
    measure = moe.measure_
    again = located_matched(measure, measure.permute([1, 0]), x, y[:, None])
    np.testing.assert_array_equal(again.means, measure.means)


def test_a_unit_of_the_same_name_in_another_stratum_is_another_one():
    s = Survey.of(np.array([1, 2, 1, 2]), np.array(["a", "a", "b", "b"]), None, 4)
    assert s.groupings[0].count == 4
    np.testing.assert_array_equal(s.factor, [2.0, 2.0])


def test_refits_say_how_far_they_are(lines, capsys):
    moe = MoERegressor(2, verbose=1, n_jobs=2, **FEW).fit(*lines)
    capsys.readouterr()
    moe.inference("bootstrap", n_bootstrap=12, random_state=0)
    assert "bootstrap" in capsys.readouterr().err
    moe.set_params(verbose=0).inference("bootstrap", n_bootstrap=12, random_state=0)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_refits_on_processes_are_the_same(lines):
    moe = MoERegressor(2, n_jobs=2, **FEW).fit(*lines)
    with joblib.parallel_config("loky"):
        found = moe.inference("bootstrap", n_bootstrap=8, random_state=0)
    assert found["std_error"] == moe.inference("bootstrap", n_bootstrap=8, random_state=0)["std_error"]

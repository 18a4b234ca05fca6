"""Posteriors, classes, residuals and margins: against hand computation, statsmodels and simulation."""

import numpy as np
import pytest
from scipy import stats

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model

FEW = {"random_state": 0, "n_starts": 2, "n_jobs": 1}


@pytest.fixture(scope="module")
def softmax():
    x, y = two_lines(300)
    return MoERegressor(2, tol=1e-10, **FEW).fit(x, y), x, y


@pytest.fixture(scope="module")
def located():
    x, y = two_lines(300)
    return LocatedMoERegressor(2, tol=1e-10, **FEW).fit(x, y), x, y


class TestClassification:
    def test_by_hand(self, softmax):
        moe, x, y = softmax
        r = moe.responsibilities(x, y)
        assigned = r.argmax(axis=1)
        found = moe.classification()
        for e in range(2):
            expected = r[assigned == e].mean(axis=0)
            row = found.posteriors[e]
            np.testing.assert_allclose([row["posterior(1)"], row["posterior(2)"]], expected, rtol=1e-12)
            assert row["weight"] == (assigned == e).sum()
            share, a = r[:, e].mean(), expected[e]
            assert found.shares[e]["share"] == pytest.approx(share, rel=1e-6)  # at a maximum, of a softmax
            assert found.shares[e]["odds_correct"] == pytest.approx(
                a / (1 - a) / (share / (1 - share)), rel=1e-5
            )
        entropy = -(r * np.log(np.maximum(r, 1e-300))).sum()
        assert found.entropy_r2 == pytest.approx(1 - entropy / (300 * np.log(2)), rel=1e-12)
        assert "Entropy R²" in str(found)

    def test_the_share_of_a_constant_gate_has_its_closed_form(self):
        x, y = two_lines(300)
        moe = MoERegressor(2, gate_features=[], tol=1e-10, **FEW).fit(x, y)
        r = moe.inference()[0]
        pi = moe.classification().shares["share"][0]
        expected = r["std_error"] * pi * (1 - pi)
        np.testing.assert_allclose(moe.classification().shares["std_error"], expected, rtol=1e-5)

    def test_located_shares_are_those_of_the_table(self, located):
        moe, _, _ = located
        rows = [r for r in moe.inference().rows() if r["term"] == "share"]
        shares = moe.classification().shares
        for name, own in (
            ("estimate", "share"),
            ("std_error", "std_error"),
            ("low", "low"),
            ("high", "high"),
        ):
            np.testing.assert_allclose(shares[own], [r[name] for r in rows], rtol=1e-9)

    def test_weights_are_repeated_rows(self, softmax):
        moe, x, y = softmax
        w = np.arange(300) % 3.0
        again = np.repeat(np.arange(300), (np.arange(300) % 3))
        a, b = moe.classification(x, y, w), moe.classification(x[again], y[again])
        assert a.entropy_r2 == pytest.approx(b.entropy_r2, rel=1e-12)
        for table in ("posteriors", "shares"):
            for name, cells in getattr(a, table).columns.items():
                np.testing.assert_allclose(cells, getattr(b, table)[name], rtol=1e-9)

    def test_a_flat_fit_has_shares_without_errors(self):
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, (200, 1))
        y = (rng.random(200) < 0.5).astype(int)
        moe = MoEClassifier(2, expert_features=[], gate_features=[], **FEW).fit(x, y)
        assert moe.classification().shares["std_error"] == [None, None]

    def test_what_is_refused(self, softmax, tmp_path):
        moe, x, y = softmax
        with pytest.raises(DataError, match="nothing to classify"):
            MoERegressor(1).fit(x, y).classification()
        moe.save(tmp_path / "m.json", cov=["observed"])
        again = load_model(tmp_path / "m.json")
        with pytest.raises(DataError, match="give X and y"):
            again.classification()
        assert str(again.classification(x, y)) == str(moe.classification())

    def test_assignment(self, softmax, located):
        for moe, x, y in (softmax, located):
            table, r = moe.assign(x, y), moe.responsibilities(x, y)
            np.testing.assert_array_equal(table["expert"], r.argmax(axis=1) + 1)
            np.testing.assert_array_equal(table["posterior(2)"], r[:, 1])

    def test_profiles_by_hand(self, softmax, located):
        for moe, x, y in (softmax, located):
            r = moe.responsibilities(x, y)[:, 1]
            row = next(v for v in moe.profiles().rows() if v["expert"] == 2 and v["variable"] == "x0")
            mean = np.average(x[:, 0], weights=r)
            assert row["mean"] == pytest.approx(mean, rel=1e-9)
            assert row["std"] == pytest.approx(
                np.sqrt(np.average((x[:, 0] - mean) ** 2, weights=r)), rel=1e-9
            )
            expected = np.sqrt((r**2 * (x[:, 0] - mean) ** 2).sum()) / r.sum()
            assert row["std_error"] == pytest.approx(expected, rel=1e-9)

    def test_profiles_of_classes_are_shares(self):
        x, y = three_classes()
        moe = MoEClassifier(1).fit(x, y)
        found = {r["variable"]: r["mean"] for r in moe.profiles().rows()}
        assert found["y = b"] == pytest.approx((y == "b").mean())


@pytest.fixture(scope="module", params=["constant", "mean"])
def panel(request):
    rng = np.random.default_rng(2)
    ids = rng.permutation(np.repeat(np.arange(50), 3))  # no neighbours
    own, x = rng.standard_normal(50), rng.standard_normal(150)
    z = own[ids] if request.param == "constant" else own[ids] + rng.standard_normal(150)
    up = (rng.random(50) < 1 / (1 + np.exp(-own)))[ids]
    data = {"y": np.where(up, 1.0, -1.0) + x + rng.standard_normal(150), "x": x, "z": z, "id": ids}
    data["w"] = 1.0 + (ids % 2)
    how = {"gate_at": request.param, "groups": "id", "sample_weight": "w", "random_state": 0}
    moe = MoERegressor.from_formula("y ~ x | z", data, n_experts=2, n_starts=2, **how)
    return moe, data


class TestGroups:
    """Rows that share their expert are classified together."""

    def test_by_hand(self, panel):
        moe, data = panel
        r = moe.responsibilities(data, groups="id", per="group")
        w = 1.0 + (np.array(list(dict.fromkeys(data["id"].tolist()))) % 2)
        found = moe.classification()
        assigned = r.argmax(axis=1)
        for row in found.posteriors.rows():
            mine = assigned == row["assigned"] - 1
            assert row["weight"] == pytest.approx(w[mine].sum())
            assert row["posterior(1)"] == pytest.approx(w[mine] @ r[mine, 0] / w[mine].sum(), rel=1e-9)
        entropy = -(w @ (r * np.log(r)).sum(axis=1))
        assert found.entropy_r2 == pytest.approx(1 - entropy / (w.sum() * np.log(2)), rel=1e-9)
        lines = [line.split() for line in moe.summary().splitlines() if line.startswith("expert 1  ")]
        np.testing.assert_allclose(  # the shares of groups, as they stand in the summary
            [found.shares[c][0] for c in ("share", "std_error", "low", "high")],
            [float(cell) for cell in lines[0][2:6]], atol=6e-5,
        )  # fmt: skip
        again = moe.classification(data, sample_weight="w", groups="id")
        np.testing.assert_allclose(again.shares["std_error"], found.shares["std_error"], rtol=1e-9)
        assert again.entropy_r2 == pytest.approx(found.entropy_r2, rel=1e-12)

    def test_profiles(self, panel):
        moe, data = panel
        r, x, w = moe.responsibilities(data, groups="id"), data["x"], data["w"]
        a = w * r[:, 1]
        mean = a @ x / a.sum()
        sums = np.bincount(data["id"], weights=a * (x - mean))
        for table in (moe.profiles(), moe.profiles(data, sample_weight="w", groups="id")):
            row = next(p for p in table.rows() if p["expert"] == 2 and p["variable"] == "x")
            assert row["mean"] == pytest.approx(mean, rel=1e-9)
            assert row["std_error"] == pytest.approx(np.sqrt((sums**2).sum()) / a.sum(), rel=1e-9)
            assert row["std"] == pytest.approx(np.sqrt(a @ (x - mean) ** 2 / a.sum()), rel=1e-9)

    def test_what_is_refused(self, panel):
        moe, data = panel
        for ask, words in (
            (lambda: moe.classification(data), "needs their groups="),
            (lambda: moe.profiles(groups=data["id"]), "are given with X"),
            (
                lambda: moe.classification(data, sample_weight=np.arange(150.0), groups="id"),
                "in all rows of a",
            ),
        ):
            with pytest.raises(DataError, match=words):
                ask()


def test_mcfadden_as_statsmodels_has_it():
    sm = pytest.importorskip("statsmodels.api")
    x, y = three_classes()
    codes = np.unique(y, return_inverse=True)[1]
    mn = sm.MNLogit(codes, sm.add_constant(x)).fit(disp=False, tol=1e-12)
    table = MoEClassifier(1).fit(x, y).pseudo_r2()
    assert table["r2"][0] == pytest.approx(mn.prsquared, rel=1e-8)
    assert table["r2"][1] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(DataError, match="use score"):
        MoERegressor(1).fit(*two_lines()).pseudo_r2()
    with pytest.raises(DataError, match="use score"):
        LocatedMoERegressor(1).fit(*two_lines()).pseudo_r2()


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "classes", "located"])
def test_quantile_residuals_are_normal_where_the_model_is_right(kind):
    """p-values of Kolmogorov and Smirnov over simulated data of a known model: uniform themselves."""
    x, y = two_lines(300)
    if kind == "poisson":
        y = np.random.default_rng(0).poisson(np.exp(np.where(y > 0, 1.0, 0.2) + 0.3 * x[:, 0]))
    if kind == "classes":
        x, y = three_classes()
    model = {"classes": MoEClassifier, "located": LocatedMoERegressor}.get(kind, MoERegressor)
    family = {"family": "poisson"} if kind == "poisson" else {}
    moe = model(2, **FEW, **family).fit(x, y)
    p = [
        stats.kstest(moe.quantile_residuals(x, moe.sample(x, random_state=s), random_state=s), "norm").pvalue
        for s in range(30)
    ]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    wrong = moe.quantile_residuals(x, moe.sample(x[::-1], random_state=0), random_state=0)
    if kind != "classes":  # whose marginal law the wrong rows keep
        assert stats.kstest(wrong, "norm").pvalue < 0.2


class TestDispersion:
    def test_as_statsmodels_has_it(self):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((120, 1))
        y = rng.negative_binomial(2, 0.4, 120)
        glm = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit(tol=1e-12)
        moe = MoERegressor(1, family="poisson", tol=1e-11).fit(x, y)
        found, zeros = moe.dispersion().rows()
        assert found["observed"] == pytest.approx(glm.pearson_chi2, rel=1e-7)
        assert found["ratio"] == pytest.approx(glm.pearson_chi2 / glm.df_resid, rel=1e-7)
        assert found["p"] < 0.001
        assert zeros["observed"] == (y == 0).sum()
        assert zeros["expected"] == pytest.approx(np.exp(-glm.mu).sum(), rel=1e-7)
        assert moe.dispersion(x, y)["expected"][0] == 120  # nothing is estimated from other rows
        twice = moe.dispersion(np.r_[x, x], np.r_[y, y])["observed"]
        np.testing.assert_allclose(moe.dispersion(x, y, np.full(120, 2.0))["observed"], twice)

    def test_how_often_it_rejects(self):
        """At 5 %, of 60 right fits: no more than that, but for three standard errors."""
        rng, p = np.random.default_rng(0), []
        for _ in range(60):
            x = rng.standard_normal((100, 1))
            y = rng.poisson(np.exp(0.2 + 0.3 * x[:, 0]))
            p.append(MoERegressor(1, family="poisson", n_starts=1).fit(x, y).dispersion()["p"])
        assert ((np.array(p) <= 0.05).mean(axis=0) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)).all()

    def test_what_is_refused(self, softmax):
        with pytest.raises(DataError, match="for counts"):
            softmax[0].dispersion()


class TestBands:
    def test_least_squares_at_every_row(self):
        """sigma^2 v' (X'X)^-1 v; all rows at once lie on one line, whose band is narrower than Scheffe's."""
        x, y = two_lines()
        moe = MoERegressor(1, tol=1e-10).fit(x, y)
        x1 = np.column_stack([np.ones(len(y)), x])
        at = np.linspace(-1, 1, 5)[:, None]
        v = np.column_stack([np.ones(5), at])
        se = np.sqrt(moe.measure_.variances[0] * np.einsum("np,pq,nq->n", v, np.linalg.inv(x1.T @ x1), v))
        table, band = (moe.bands(at, simultaneous=s) for s in (False, True))
        np.testing.assert_allclose(table["estimate"], moe.predict(at), rtol=1e-12)
        np.testing.assert_allclose(table["std_error"], se, rtol=1e-6)
        half = (np.array(band["high"]) - band["estimate"]) / se
        assert np.ptp(half) < 1e-6
        assert 2.1 < half[0] < np.sqrt(stats.chi2.ppf(0.95, 2))

    def test_every_part_is_that_of_margins_at_a_row(self, softmax, located):
        for moe, x, _ in (softmax, located):
            parts = ("mixture", "expert", "gate")
            for cov in ("observed", "sandwich"):
                rows = [r for r in moe.bands(x[:3], of=parts, cov=cov) if r["row"] == 1]
                own = moe.margins(x[1:2], kind="predictions", of=parts, cov=cov).rows()
                for a, b in zip(rows, own, strict=True):
                    assert (a["of"], a["component"]) == (b["of"], b["component"])
                    assert a["estimate"] == pytest.approx(b["estimate"], rel=1e-9)
                    assert a["std_error"] == pytest.approx(b["std_error"], rel=1e-5)
                    if a["of"] == "gate":
                        assert 0 < a["low"] < a["estimate"] < a["high"] < 1
                    else:
                        assert a["low"] == pytest.approx(b["low"], rel=1e-5)

    def test_classes_are_probabilities(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((80, 1))
        y = np.where(rng.random(80) < 1 / (1 + np.exp(-3 * x[:, 0])), "yes", "no")
        table = MoEClassifier(1).fit(x, y).bands([[-3.0], [3.0]], level=0.999, simultaneous=True)
        assert table["outcome"] == ["no", "yes"] * 2
        assert min(table["low"]) > 0 and max(table["high"]) < 1

    def test_what_is_refused(self, softmax):
        moe, x, _ = softmax
        for words, how in (
            ("of='both' is unknown", {"of": "both"}),
            ("of=3 is unknown", {"of": 3}),
            ("level must", {"level": 1.5}),
        ):
            with pytest.raises(DataError, match=words):
                moe.bands(x, **how)


class TestMargins:
    def test_all_rows_of_a_table_at_once(self, softmax):
        moe, x, _ = softmax
        one, all_ = (moe.margins(x, simultaneous=s) for s in (False, True))
        assert all_["std_error"] == one["std_error"]
        width = (np.array(all_["high"]) - all_["estimate"]) / np.array(all_["std_error"])
        assert np.ptp(width) < 1e-9 and 1.96 < width[0] < stats.norm.ppf(1 - 0.025 / len(width))

    def test_as_statsmodels_has_them(self):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, 2))
        y = (rng.random(300) < 1 / (1 + np.exp(-(0.3 + x @ [1.0, -0.5])))).astype(int)
        logit = sm.Logit(y, sm.add_constant(x)).fit(disp=False, tol=1e-12).get_margeff()
        table = MoEClassifier(1, tol=1e-10).fit(x, y).margins(x, of="mixture")
        rows = [r for r in table.rows() if r["outcome"] == "1"]
        np.testing.assert_allclose([r["estimate"] for r in rows], logit.margeff, rtol=1e-6)
        np.testing.assert_allclose([r["std_error"] for r in rows], logit.margeff_se, rtol=1e-5)
        low = [r["low"] for r in rows]
        np.testing.assert_allclose(low, logit.conf_int()[:, 0], rtol=1e-4, atol=1e-6)

    def test_slopes_are_differences_of_predictions(self, softmax, located):
        for moe, x, _ in (softmax, located):
            h = 1e-4
            table = moe.margins(x)
            found = {(r["of"], r["component"]): r["estimate"] for r in table.rows()}
            mean = (moe.predict(x + h) - moe.predict(x - h)).mean() / (2 * h)
            gate = ((moe.gate_proba(x + h) - moe.gate_proba(x - h)) / (2 * h)).mean(axis=0)
            assert found["mixture", None] == pytest.approx(mean, rel=1e-6)
            assert found["gate", 2] == pytest.approx(gate[1], rel=1e-6)
            np.testing.assert_allclose(found["expert", 1], moe.measure_.slopes[0].item(), rtol=1e-8)

    def test_an_experts_slope_has_the_error_of_its_coefficient(self, softmax, located):
        for moe, x, _ in (softmax, located):
            for cov in ("observed", "sandwich"):
                row = next(r for r in moe.margins(x, of="expert", cov=cov).rows() if r["component"] == 2)
                expected = next(
                    r for r in moe.inference(cov).rows()
                    if r["part"] == "expert" and r["component"] == 2 and r["term"] == "x0"
                )  # fmt: skip
                for a, b in (
                    ("estimate", "estimate"),
                    ("std_error", "std_error"),
                    ("z", "z"),
                    ("high", "high"),
                ):
                    assert row[a] == pytest.approx(expected[b], rel=1e-6)

    def test_gate_margins_add_to_zero_and_predictions_to_the_mean(self, softmax, located):
        for moe, x, _ in (softmax, located):
            gate = moe.margins(x, of="gate")
            assert sum(gate["estimate"]) == pytest.approx(0.0, abs=1e-9)
            np.testing.assert_allclose(
                gate["std_error"][0], gate["std_error"][1], rtol=1e-5
            )  # differences of differences
            average = moe.margins(x, kind="predictions", of="mixture")
            assert average["estimate"] == pytest.approx([moe.predict(x).mean()], rel=1e-9)

    def test_the_mean_of_least_squares_at_a_point(self):
        x, y = two_lines()
        moe = MoERegressor(1, tol=1e-10).fit(x, y)
        x1 = np.column_stack([np.ones(len(y)), x])
        s2 = moe.measure_.variances[0]
        v = np.array([1.0, 1.5])
        expected = np.sqrt(s2 * v @ np.linalg.inv(x1.T @ x1) @ v)
        row = moe.margins(x[:3], kind="predictions", of="mixture", at={"x0": 1.5})[0]
        assert row["std_error"] == pytest.approx(expected, rel=1e-6)

    def test_contrasts_and_refits(self, softmax):
        moe, x, _ = softmax
        row = moe.margins(x, kind="contrasts", contrasts={"x0": (-1, 1)}, of="mixture")[0]
        expected = (moe.predict(np.ones((1, 1))) - moe.predict(-np.ones((1, 1)))).item()
        assert row["estimate"] == pytest.approx(expected, rel=1e-9)
        assert row["contrast"] == "1 - -1"
        again = moe.margins(
            x, kind="contrasts", contrasts={"x0": (-1, 1)}, of="mixture", cov="bootstrap", n_bootstrap=100,
            random_state=0,
        )[0]  # fmt: skip
        assert again["estimate"] == row["estimate"]
        assert again["std_error"] == pytest.approx(row["std_error"], rel=0.35)

    def test_categories_and_transforms(self):
        pytest.importorskip("formulaic")
        rng = np.random.default_rng(0)
        data = {"x": rng.uniform(1, 3, 200), "c": rng.choice(["a", "b", "c"], 200)}
        data["y"] = np.log(data["x"]) + (data["c"] == "b") + 0.1 * rng.standard_normal(200)
        moe = MoERegressor.from_formula("y ~ log(x) + c", data, n_experts=1)
        table = moe.margins(data, of="mixture")
        assert table["contrast"] == ["b - a", "c - a", "slope"]
        b = moe.tidy()
        slope = b["estimate"][b["term"].index("log(x)")]
        assert table["estimate"][2] == pytest.approx(slope * (1 / data["x"]).mean(), rel=1e-8)
        at = next(i for i, t in enumerate(b["term"]) if "b" in t.split("c")[-1])
        assert table["estimate"][0] == pytest.approx(b["estimate"][at], rel=1e-8)

    def test_inverse_regression(self):
        """The parameters are those from y to x, the errors those of the table from x to y."""
        x, y = two_lines(120)
        moe = LocatedMoERegressor(2, direction="inverse", **FEW).fit(x, y)
        a = moe.margins(x, of="expert", variables=["x0"])
        table = [r for r in moe.inference().rows() if r["part"] == "expert" and r["term"] == "x0"]
        np.testing.assert_allclose(a["std_error"], [r["std_error"] for r in table], rtol=1e-5)

    def test_what_is_refused(self, softmax, tmp_path):
        moe, x, _ = softmax
        for words, how in (
            ("kind='slope' is unknown", {"kind": "slope"}), ("'u' is not a column", {"variables": ["u"]}),
            ("of='both' is unknown", {"of": "both"}), ("goes with contrasts", {"kind": "contrasts"}),
            ("'u' is not a column", {"at": {"u": 1}}), ("takes no variables", {"kind": "predictions",
            "variables": ["x0"]}),
        ):  # fmt: skip
            with pytest.raises(DataError, match=words):
                moe.margins(x, **how)
        line = np.linspace(-1, 1, 40)[:, None]
        separated = MoEClassifier(1).fit(line, line[:, 0] > 0)
        with pytest.raises(DataError, match="use cov='bootstrap'"):
            separated.margins(line)
        moe.save(tmp_path / "m.json", cov=["observed"])
        assert load_model(tmp_path / "m.json").margins(x).rows() == moe.margins(x).rows()
        other = LocatedMoERegressor(1).fit(line, line[:, 0] + np.sin(40 * line[:, 0]))
        other.save(tmp_path / "l.json", cov=["observed"])
        with pytest.raises(DataError, match="a file does not keep"):
            load_model(tmp_path / "l.json").margins(line)

"""Experts of different families: pscl's zero-inflated and hurdle models (witness/zero_inflated.R and its
output), likelihoods written anew, and what follows a fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import optimize, special, stats

import moestro
from moestro import MixingMeasure, MoERegressor
from moestro.cli.main import main
from moestro.errors import DataError
from moestro.experts import Facts, Mixed, Poisson, make_family

WITNESS = Path(__file__).parent / "witness"
STORED = json.loads((WITNESS / "zero_inflated.json").read_text())
LETTERS = json.loads((WITNESS / "flexmix_common.json").read_text())["bioChemists"]
FORMULA = "art ~ fem + mar + kid5 + phd + ment"
# pscl's standard errors are by differences of its gradient, to five digits or so.
SAME, ERRORS = 1e-4, 1e-3


def articles():
    """Levels in pscl's order, men and single first."""
    d = {name: np.array(column) for name, column in LETTERS.items()}
    d["fem"], d["mar"] = (d["fem"] == "Women").astype(float), (d["mar"] == "Married").astype(float)
    return d


def counts(n=400, seed=0, families=("zero", "poisson")):
    """Two columns, and a response of a point and a family, the gate on the first column."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    law = make_family(families[1])
    nuisances = np.zeros((n, law.nuisances)) - 0.7
    y = law.sample(np.column_stack([0.8 + 0.5 * x[:, 1], nuisances]), rng)
    return x, np.where(rng.random(n) < special.expit(-0.5 + x[:, 0]), 0.0, y)


class TestPscl:
    @pytest.mark.parametrize("name", STORED)
    @pytest.mark.parametrize(
        ("seeds", "more"), [([0], {"n_starts": 2}), pytest.param(range(5), {}, marks=pytest.mark.slow)]
    )
    def test_the_optimum_of_every_seed_is_its_own_with_its_standard_errors(self, name, seeds, more):
        d, theirs = articles(), STORED[name]
        for seed in seeds:
            moe = MoERegressor.from_formula(FORMULA, d, family=name.split(","), random_state=seed, **more)
            assert moe.log_likelihood_ == pytest.approx(theirs["log_likelihood"], abs=1e-6)
            assert str(moe.status_.kind) == "converged"
        assert moe.n_parameters_ == theirs["df"]
        table = moe.inference()
        for part, own in (("gate", "zero"), ("expert", "count")):
            rows = [r for r in table.rows() if r["part"] == part and r["term"] != "log(dispersion)"]
            assert {r["component"] for r in rows} == {1 if part == "gate" else 2}
            np.testing.assert_allclose([r["estimate"] for r in rows], theirs["estimate"][own], atol=SAME)
            np.testing.assert_allclose([r["std_error"] for r in rows], theirs["se"][own], rtol=ERRORS)

    def test_statsmodels_has_the_same_likelihood(self):
        sm = pytest.importorskip("statsmodels.api")
        d = articles()
        moe = MoERegressor.from_formula(FORMULA, d, family=["zero", "poisson"], n_starts=2, random_state=0)
        X = sm.add_constant(np.column_stack([d[n] for n in ("fem", "mar", "kid5", "phd", "ment")]))
        other = sm.ZeroInflatedPoisson(d["art"], X, exog_infl=X)
        at = np.array(moe.inference()["estimate"])
        assert other.loglike(at) == pytest.approx(moe.log_likelihood_, abs=1e-6)
        assert np.abs(other.score(at)).max() < 1e-3


class TestLikelihoods:
    def test_experts_of_one_family_twice_are_that_family(self):
        x, y = counts()
        twice, plain = (
            MoERegressor(family=f, n_starts=6, random_state=0).fit(x, y) for f in (["poisson"] * 2, "poisson")
        )
        assert twice.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-6)
        np.testing.assert_allclose(twice.predict(x), plain.predict(x), rtol=1e-4)
        assert twice.parameter_names_ == plain.parameter_names_

    @pytest.mark.parametrize("scale", [50.0, pytest.param(1.0, marks=pytest.mark.slow)])
    def test_two_laws_of_any_numbers_are_a_likelihood_written_anew(self, scale):
        rng = np.random.default_rng(0)
        x = rng.standard_normal(500)
        first = rng.random(500) < 0.5
        y = np.where(first, 2 + x + 0.3 * rng.standard_normal(500), -2 - x + rng.standard_t(3, 500))
        moe = MoERegressor(family=["gaussian", "student"], gate_features=[], n_starts=4, random_state=0)
        moe.fit(x[:, None], scale * y)

        def loss(p):
            f = stats.norm.logpdf(y, p[1] + p[2] * x, np.exp(p[3] / 2))
            g = stats.t.logpdf(y, np.exp(p[7]), p[4] + p[5] * x, np.exp(p[6] / 2))
            return -np.logaddexp(f - np.logaddexp(0, -p[0]), g - np.logaddexp(0, p[0])).sum()

        best = optimize.minimize(loss, [0, 2, 1, -2, -2, -1, 0, 1], method="BFGS", options={"gtol": 1e-6})
        assert moe.log_likelihood_ + 500 * np.log(scale) == pytest.approx(-best.fun, abs=1e-5)
        shift = np.log(scale**2) * np.array([0, 0, 0, 1, 0, 0, 1, 0])
        theirs = best.x * np.where(np.isin(np.arange(8), [1, 2, 4, 5]), scale, 1.0) + shift
        ours = dict(zip(moe.parameter_names_, moe.inference()["estimate"], strict=True))
        names = ["gate:1:(intercept)", "1:(intercept)", "1:x0", "1:log(variance)", "2:(intercept)", "2:x0"]
        names += [n for n in ours if n.startswith("2:log")]
        assert len(names) == len(ours) == moe.n_parameters_ == 8
        np.testing.assert_allclose([ours[n] for n in names], theirs, atol=2e-3 * scale)

    def test_a_point_beside_a_density_is_a_model_of_two_parts(self):
        """Every row is known to be of one of them, so a logistic regression and a gamma one are fitted."""
        sm = pytest.importorskip("statsmodels.api")
        x, y = counts(families=("zero", "gamma"))
        moe = MoERegressor(family=["zero", "gamma"], n_starts=1, random_state=0).fit(x, y)
        gate = sm.Logit((y == 0).astype(float), sm.add_constant(x)).fit(disp=0)
        part = MoERegressor(1, family="gamma").fit(x[y > 0], y[y > 0])
        assert moe.log_likelihood_ == pytest.approx(gate.llf + part.log_likelihood_, abs=1e-6)
        rows = [r for r in moe.inference().rows() if r["part"] == "gate"]
        np.testing.assert_allclose([r["std_error"] for r in rows], gate.bse, rtol=1e-4)
        np.testing.assert_allclose(moe.inference()["std_error"][3:], part.inference()["std_error"], rtol=1e-4)
        np.testing.assert_array_equal(moe.responsibilities(x, y)[:, 0], y == 0)
        assert moe.log_density(x[:1], [-1.0])[0] == -np.inf

    def test_groups_that_never_count_are_those_of_the_point(self):
        """A likelihood written anew, of groups of five rows."""
        rng = np.random.default_rng(1)
        ids, x = np.repeat(np.arange(100), 5), rng.standard_normal(500)
        y = np.where(rng.random(100)[ids] < 0.4, 0, rng.poisson(np.exp(0.4 * x - 1.0))).astype(float)
        moe = MoERegressor(family=["zero", "poisson"], gate_features=[], n_starts=3, random_state=0)
        moe.fit(x[:, None], y, groups=ids)

        def loss(p):
            f = np.bincount(ids, stats.poisson.logpmf(y, np.exp(p[1] + p[2] * x)))
            zero = np.where(np.bincount(ids, y) == 0, 0.0, -np.inf)
            return -np.logaddexp(zero - np.logaddexp(0, -p[0]), f - np.logaddexp(0, p[0])).sum()

        best = optimize.minimize(loss, [0.0, -1.0, 0.4], method="BFGS")
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)

    def test_offsets_and_weights(self):
        x, y = counts()
        o, w = 0.3 * x[:, 0], np.random.default_rng(0).uniform(0.2, 2, len(y))
        moe = MoERegressor(family=["zero", "poisson"], gate_features=[], n_starts=3, random_state=0)
        moe.fit(x, y, offset=o, sample_weight=w)

        def loss(p):
            f = stats.poisson.logpmf(y, np.exp(p[1] + x @ p[2:] + o))
            zero = np.where(y == 0, 0.0, -np.inf)
            return -w @ np.logaddexp(zero - np.logaddexp(0, -p[0]), f - np.logaddexp(0, p[0]))

        best = optimize.minimize(loss, np.zeros(4), method="BFGS")
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)
        assert moe.inference()["estimate"][0] == pytest.approx(best.x[0], abs=1e-4)

    def test_trials(self):
        rng = np.random.default_rng(0)
        x, t = rng.standard_normal(300), np.full(300, 8.0)
        y = np.where(rng.random(300) < 0.3, 0, rng.binomial(8, special.expit(x))).astype(float)
        moe = MoERegressor(family=["zero", "binomial"], gate_features=[], n_starts=3, random_state=0)
        moe.fit(x[:, None], np.column_stack([y, t]))

        def loss(p):
            f = stats.binom.logpmf(y, 8, special.expit(p[1] + p[2] * x))
            zero = np.where(y == 0, 0.0, -np.inf)
            return -np.logaddexp(zero - np.logaddexp(0, -p[0]), f - np.logaddexp(0, p[0])).sum()

        assert moe.log_likelihood_ == pytest.approx(
            -optimize.minimize(loss, np.zeros(3), method="BFGS").fun, abs=1e-6
        )


class TestWhatFollows:
    def test_experts_stand_where_they_were_named(self):
        x, y = counts(800)
        y = np.where(np.random.default_rng(2).random(800) < 0.3, y + np.where(y > 0, 12.0, 0.0), y)
        families = ["poisson", "zero", "poisson"]
        moe = MoERegressor(3, family=families, gate_features=[], n_starts=3, random_state=0).fit(x, y)
        names = {n.split(":")[0] for n in moe.parameter_names_} - {"gate"}
        assert names == {"1", "3"}
        share = moe.gate_proba(x[:1])[0]
        assert share[0] > share[2]
        by_mean = MoERegressor(
            3, family=families, gate_features=[], order_by="mean", random_state=0, common=["x0"]
        ).fit(x, y)
        means = by_mean.measure_.intercepts[[0, 2], 0]
        assert means[0] < means[1]
        slopes = by_mean.measure_.slopes[:, 0, 0]
        assert slopes[0] == pytest.approx(slopes[2], abs=1e-12) and slopes[1] == 0
        assert moe.likelihood_ratio_test("1:x0 = 3:x0").statistic == pytest.approx(
            2 * (moe.log_likelihood_ - by_mean.log_likelihood_), abs=1e-4
        )

    def test_files_and_measures_hold_them(self, tmp_path):
        x, y = counts(families=("zero", "gamma"))
        moe = MoERegressor(family=["zero", "gamma"], n_starts=1, random_state=0).fit(x, y)
        moe.inference()
        moe.save(tmp_path / "m.json")
        again = moestro.load_model(tmp_path / "m.json")
        np.testing.assert_array_equal(again.predict(x), moe.predict(x))
        assert again.family == ["zero", "gamma"]
        assert again.inference().columns == moe.inference().columns
        measure = MixingMeasure.from_json(moe.measure_.to_json())
        turned = measure.permute([1, 0])
        assert turned.family == "gamma,zero"
        np.testing.assert_allclose(turned.log_density(x, y), measure.log_density(x, y), rtol=1e-12)
        with pytest.raises(DataError, match="do not merge"):
            measure.merge(0, 1)
        text = (tmp_path / "m.json").read_text()
        for broken in (text.replace('"family": "zero,gamma"', f'"family": {f}') for f in (
            '"zero,gamma,zero"', '"zero"', '"zero,tweedie"', "7"
        )):  # fmt: skip
            assert broken != text
            (tmp_path / "b.json").write_text(broken)
            with pytest.raises(DataError):
                moestro.load_model(tmp_path / "b.json")

    @pytest.mark.parametrize(
        "families", [("zero", "poisson"), ("zero", "gamma"), ("zero", "truncated-poisson")]
    )
    def test_what_is_drawn_is_what_is_predicted(self, families):
        x, y = counts(2000, families=families)
        moe = MoERegressor(family=list(families), n_starts=1, random_state=0).fit(x, y)
        assert stats.kstest(moe.quantile_residuals(x, y, random_state=0), "norm").pvalue > 1e-3
        law = moe.predict_distribution(x)
        drawn = law.sample(random_state=0)
        assert abs((drawn == 0).mean() - law.cdf(0.0).mean()) < 0.04
        assert abs(drawn.mean() - moe.predict(x).mean()) < 0.1
        q = law.quantile([0.01, 0.5, 0.99])
        assert (law.cdf(q) >= [0.01, 0.5, 0.99]).all()
        assert ((q == 0) == (law.cdf(0.0)[:, None] >= [0.01, 0.5, 0.99])).all()
        text = moe.summary()
        assert "Mixture of 2 experts (zero, " in text and "y is always 0" in text and "±" in text
        assert len(moe.inference()["std_error"]) == moe.n_parameters_ == moe.covariance_matrix().shape[0]
        assert moe.influence().shape == (2000, moe.n_parameters_)

    def test_refits_know_which_is_which(self):
        x, y = counts(150)
        moe = MoERegressor(family=["zero", "poisson"], gate_features=[], n_starts=3, random_state=0).fit(x, y)
        table = moe.inference("bootstrap", n_bootstrap=20, random_state=0)
        np.testing.assert_allclose(table["std_error"], moe.inference()["std_error"], rtol=0.8)

    def test_a_known_expert(self):
        x, y = counts(200)
        known = np.where(y > 4, 1, np.where(np.arange(200) < 20, 0, -1)) + 1
        partial = np.where(known == 0, None, known)
        at = (y > 0) & (np.arange(200) < 20)
        moe = MoERegressor(family=["zero", "poisson"], gate_features=[], n_starts=3, random_state=0)
        with pytest.raises(DataError, match="expert 1, 'zero', which cannot have its response"):
            moe.fit(x, y, partial=np.where(at, 1, partial))
        moe.fit(x, y, partial=np.where(at, None, partial))
        assert moe.status_.usable

    def test_a_family_of_ones_own_is_one_of_them(self):
        x, y = counts()
        own, moe = (
            MoERegressor(family=["zero", f], n_starts=1, random_state=0).fit(x, y)
            for f in (Counts(), "poisson")
        )
        assert own.log_likelihood_ == pytest.approx(moe.log_likelihood_, abs=1e-8)
        with pytest.raises(DataError, match="pickle"):
            own.save("nowhere.json")

    def test_the_shell(self, tmp_path):
        x, y = counts(200)
        lines = ["y,a,b", *(f"{v!r},{a!r},{b!r}" for v, (a, b) in zip(y.tolist(), x.tolist(), strict=True))]
        data, model = tmp_path / "d.csv", tmp_path / "m.json"
        data.write_text("\n".join(lines))
        words = ["fit", str(data), "-f", "y ~ b | a", "--family", "zero,poisson", "--out", str(model)]
        done = CliRunner().invoke(main, [*words, "-k", "2"])
        assert done.exit_code == 0, done.output
        assert "experts (zero, poisson)" in done.output
        assert CliRunner().invoke(main, ["predict", str(model), str(data)]).exit_code == 0
        for more, says in (
            (["-k", "1-3"], "--experts 2"),
            (["-k", "2", "--family", "zero,x"], "with commas"),
        ):
            wrong = CliRunner().invoke(main, [*words, *more])
            assert wrong.exit_code != 0 and says in " ".join(wrong.output.split())


class Counts(Facts):
    """Poisson counts of one's own making."""

    name, discrete = "counts", True

    def __getattr__(self, name):
        return getattr(Poisson(), name)


@pytest.mark.parametrize(
    ("options", "y", "says"),
    [
        ({"family": ["zero", "poisson"], "n_experts": 3}, None, "set n_experts=2"),
        ({"family": ["zero", "poisson"], "n_experts": "bic"}, None, "set n_experts=2"),
        ({"family": ["zero", "gaussian"]}, None, "excludes it"),
        ({"family": ["gamma", "poisson"]}, None, "no unit of density in common"),
        ({"family": ["gamma", "gaussian"]}, None, "no unit of density in common"),
        ({"family": ["zero", "multinomial"]}, None, "stand alone"),
        ({"family": ["zero", "one"]}, None, "points alone"),
        ({"family": ["poisson"]}, None, "names one family"),
        ({"family": "zero"}, None, "beside others"),
        ({"family": ["zero", "poison"]}, None, "choose one of"),
        ({"family": ["zero", "poisson"], "shared_variance": True}, None, "one family"),
        ({"family": ["zero", "poisson"], "penalty": "l1"}, None, "one family"),
        ({"family": ["zero", "poisson"], "top_k": 1}, None, "leave out top_k"),
        ({"family": ["zero", "poisson"], "fixed": {"1:x0": 1.0}}, None, "'zero' has none"),
        ({"family": ["zero", "poisson"]}, [1, 2, 3, 1, 2, 1], "expert 1, 'zero': leave it out"),
        ({"family": ["zero", "truncated-poisson"]}, [0, 2, 3, -1, 2, 0], "has -1, which no expert"),
        ({"family": ["zero", "gamma"]}, [0, 2, 2, 2, 2, 0], "constant"),
        ({"family": "truncated-poisson", "n_experts": 1}, [0, 2, 3, 1, 2, 0], "'zero' as another expert"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(options, y, says):
    y = np.array([0, 2, 3, 1, 2, 0] if y is None else y, dtype=float)
    with pytest.raises(DataError, match=says) as refused:
        MoERegressor(**options).fit(np.arange(6.0)[:, None], y)
    assert "\n" not in str(refused.value)


def test_rows_of_a_group_that_no_expert_can_have_together():
    x, y = counts(families=("zero", "gamma"))
    with pytest.raises(DataError, match="a group has responses"):
        MoERegressor(family=["zero", "gamma"], gate_features=[]).fit(x, y, groups=np.arange(400) // 10)


def test_derivatives_in_any_order_of_rows_and_experts():
    """eta carries the expert's number, so rows of one expert alone, as `sample` has them, know their law."""
    law, rng = Mixed((make_family("gamma"), make_family("lognormal"))), np.random.default_rng(0)
    eta = np.concatenate([rng.standard_normal((50, 2, 2)), np.tile([[0.0], [1.0]], (50, 1, 1))], axis=2)
    y, which = rng.gamma(2.0, size=50), rng.integers(0, 2, 50)
    for name in ("log_density", "score", "curvature"):
        whole = getattr(law, name)(eta, y[:, None])
        np.testing.assert_array_equal(
            getattr(law, name)(eta[np.arange(50), which], y), whole[np.arange(50), which]
        )

"""Offsets: known numbers that are added to every expert's linear predictor."""

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize
from scipy.stats import poisson

import moestro
from conftest import DATA
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, select_experts
from moestro.cli.main import main
from moestro.design.files import read_frame
from moestro.errors import DataError

INSURANCE = "Claims ~ District + C(Group) + C(Age) + offset(log(Holders))"


def counts(n=300, seed=0):
    """A mapping of columns: counts of two laws per unit of exposure t."""
    rng = np.random.default_rng(seed)
    a, t = rng.standard_normal(n), rng.uniform(0.2, 5.0, n)
    rate = np.exp(np.where(rng.random(n) < 0.5, 1.0 + 0.5 * a, -1.0 - 0.3 * a))
    return {"y": rng.poisson(t * rate).astype(float), "a": a, "t": t, "log_t": np.log(t)}


@pytest.fixture(scope="module")
def data():
    return counts()


@pytest.fixture(scope="module")
def moe(data):
    return MoERegressor.from_formula("y ~ a + offset(log(t))", data, family="poisson", random_state=0)


def matrix(data):
    return data["a"][:, None]


@pytest.fixture(scope="module")
def plain(data):
    """The same fit of arrays."""
    return MoERegressor(family="poisson", random_state=0).fit(matrix(data), data["y"], offset=data["log_t"])


class TestWitnesses:
    def test_one_expert_is_a_generalised_linear_model(self, data):
        sm = pytest.importorskip("statsmodels.api")
        ours = MoERegressor.from_formula("y ~ a", data, offset="log_t", family="poisson", n_experts=1)
        theirs = sm.GLM(
            data["y"], sm.add_constant(data["a"]), family=sm.families.Poisson(), offset=data["log_t"]
        ).fit()
        assert ours.log_likelihood_ == pytest.approx(theirs.llf, abs=1e-6)
        np.testing.assert_allclose(
            [ours.measure_.intercepts[0, 0], *ours.measure_.slopes[0, 0]], theirs.params, atol=1e-6
        )

    def test_insurance_as_r_fits_it(self):
        """R: logLik(glm(Claims ~ District + Group + Age + offset(log(Holders)), poisson, Insurance))."""
        table = read_frame(DATA / "insurance.csv")
        formula = INSURANCE.replace("District", "C(District)")
        one = MoERegressor.from_formula(formula, table, family="poisson", n_experts=1)
        assert one.log_likelihood_ == pytest.approx(-184.3708, abs=1e-4)

    def test_two_experts_are_the_maximum_of_a_likelihood_written_anew(self, data, moe):
        y, a, t = data["y"], data["a"], data["t"]

        def loss(p):
            g = 1 / (1 + np.exp(-p[0] - p[1] * a))
            f = [poisson.pmf(y, t * np.exp(p[i] + p[i + 1] * a)) for i in (2, 4)]
            return -np.log(g * f[0] + (1 - g) * f[1]).sum()

        found = [minimize(loss, [0, 0, b, 0.1, -b, 0], method="BFGS").fun for b in (1.0, 0.5)]
        assert moe.log_likelihood_ == pytest.approx(-min(found), abs=1e-5)

    def test_a_gaussian_offset_is_subtracted(self, data):
        y, o = 2.0 * data["a"] + np.random.default_rng(1).standard_normal(300), 5.0 * data["t"]
        how = {"random_state": 0, "n_starts": 4}
        with_, without = (
            MoERegressor(**how).fit(matrix(data), y + o, offset=o),
            MoERegressor(**how).fit(matrix(data), y),
        )
        assert with_.log_likelihood_ == pytest.approx(without.log_likelihood_, abs=1e-8)
        np.testing.assert_allclose(
            with_.predict(matrix(data), offset=o) - o, without.predict(matrix(data)), atol=1e-5
        )

    @pytest.mark.slow
    def test_insurance_ends_the_same_from_every_seed(self):
        table = read_frame(DATA / "insurance.csv")
        fits = [
            MoERegressor.from_formula(
                "Claims ~ C(Age) + offset(log(Holders)) | 1", table, family="poisson", random_state=s
            )
            for s in range(5)
        ]
        values = [f.log_likelihood_ for f in fits]
        assert max(values) - min(values) < 1e-5


class TestOneFit:
    def test_formula_column_and_numbers_say_the_same(self, data, moe, plain):
        named = MoERegressor.from_formula("y ~ a", data, offset="log_t", family="poisson", random_state=0)
        assert named.log_likelihood_ == moe.log_likelihood_ == plain.log_likelihood_
        np.testing.assert_array_equal(plain.predict(matrix(data), offset=data["log_t"]), moe.predict(data))
        assert moe.log_density(data).sum() == pytest.approx(moe.log_likelihood_, rel=1e-12)

    def test_new_rows_bring_their_own(self, data, moe):
        double = data | {"t": 2 * data["t"]}
        np.testing.assert_allclose(moe.predict(double), 2 * moe.predict(data), rtol=1e-12)
        np.testing.assert_array_equal(moe.gate_proba(double), moe.gate_proba(data))

    def test_engines_agree(self, data, moe):
        other = MoERegressor.from_formula(moe.formula, data, family="poisson", random_state=0, engine="array")
        assert other.log_likelihood_ == pytest.approx(moe.log_likelihood_, rel=1e-10)

    def test_several_are_summed(self, data, moe):
        halves = data | {"h": 0.5 * data["log_t"]}
        other = MoERegressor.from_formula(
            "y ~ a + offset(h) + offset(log(t) / 2)", halves, family="poisson", random_state=0
        )
        assert other.log_likelihood_ == pytest.approx(moe.log_likelihood_, rel=1e-12)

    def test_equal_rows_of_different_exposure_are_not_merged(self, data):
        twice = {n: np.repeat(v, 2) for n, v in data.items()} | {"log_t": np.repeat(data["log_t"], 2)}
        twice["log_t"][1::2] += 0.5
        how = {"family": "poisson", "n_experts": 1, "offset": "log_t"}
        one = MoERegressor.from_formula("y ~ a", twice, **how)
        weighted = MoERegressor.from_formula("y ~ a", data, sample_weight=np.full(300, 2.0), **how)
        assert one.log_likelihood_ != pytest.approx(weighted.log_likelihood_, abs=1e-3)

    def test_files_keep_it(self, data, moe, plain, tmp_path):
        moe.save(tmp_path / "a.json")
        np.testing.assert_array_equal(
            moestro.load_model(tmp_path / "a.json").predict(data), moe.predict(data)
        )
        plain.save(tmp_path / "b.json")
        again = moestro.load_model(tmp_path / "b.json")
        np.testing.assert_array_equal(again.predict(matrix(data), offset=data["log_t"]), moe.predict(data))
        with pytest.raises(DataError, match="fitted with an offset"):
            again.predict(matrix(data))


class TestAllThatFollows:
    def test_inference_margins_and_classes(self, data, moe, plain):
        how = {"offset": data["log_t"]}
        X, y = matrix(data), data["y"]
        np.testing.assert_array_equal(
            plain.assign(X, y, **how).columns["expert"], moe.assign(data).columns["expert"]
        )
        assert plain.classification().entropy_r2 == pytest.approx(
            plain.classification(X, y, **how).entropy_r2
        )
        assert moe.profiles().to_text() == moe.profiles(data).to_text()
        ours, theirs = (m.columns["estimate"] for m in (plain.margins(X, **how), moe.margins(data, ["a"])))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert plain.score(X, y, **how) == moe.score(data)
        residuals = plain.quantile_residuals(X, y, 0, **how)
        assert abs(residuals.mean()) < 0.2
        assert abs(residuals.std() - 1) < 0.15
        assert moe.inference("bootstrap", n_bootstrap=5, random_state=0).columns["std_error"][0] > 0

    def test_groups(self):
        d = counts(400, 3)
        rng = np.random.default_rng(0)
        d["id"] = np.repeat(np.arange(100), 4)
        d["y"] = rng.poisson(d["t"] * np.exp(np.where(d["id"] % 2, 1.0, -1.0) + 0.3 * d["a"])).astype(float)
        moe = MoERegressor.from_formula(
            "y ~ a + offset(log_t) | 1", d, groups="id", family="poisson", random_state=0
        )
        assert sorted(moe.measure_.intercepts[:, 0]) == pytest.approx([-1.0, 1.0], abs=0.2)
        assert moe.log_density(d, groups="id").sum() == pytest.approx(moe.log_likelihood_, rel=1e-12)
        X, y, o = d["a"][:, None], d["y"], d["log_t"]
        arrays = MoERegressor(family="poisson", gate_features=[], random_state=0)
        arrays.fit(X, y, groups=d["id"], offset=o)
        after = arrays.predict(X, groups=d["id"], history=(X, y, d["id"], o), offset=o)
        np.testing.assert_allclose(after, moe.predict(d, groups="id", history=(d, None, "id")), rtol=1e-6)

    def test_held_out_likelihood_and_selection(self, data):
        how = {"family": "poisson", "n_experts": [1, 2], "random_state": 0}
        chosen = select_experts("y ~ a", data, offset="log_t", criterion="cv", **how)
        assert chosen.best.fit.k == 2

    def test_bootstrap_test_draws_with_it(self, data, moe):
        one = MoERegressor.from_formula(moe.formula, data, family="poisson", n_experts=1)
        assert moestro.bootstrap_test(one, moe, n_replicates=9, random_state=0).p == 0.1

    def test_shell(self, data, tmp_path):
        from moestro.writing import write

        names = ("y", "a", "t", "log_t")
        lines = [",".join(names), *(",".join(repr(float(data[n][i])) for n in names) for i in range(300))]
        write(tmp_path / "d.csv", "\n".join(lines))
        words = ["fit", str(tmp_path / "d.csv"), "-f", "y ~ a", "--family", "poisson", "-k", "2"]
        out = CliRunner().invoke(main, [*words, "--offset", "log_t", "--out", str(tmp_path / "m.json")])
        assert out.exit_code == 0, out.output
        found = CliRunner().invoke(main, ["predict", str(tmp_path / "m.json"), str(tmp_path / "d.csv")])
        assert found.exit_code == 0, found.output
        wrong = CliRunner().invoke(main, [*words, "--offset", "log_t", "--penalty", "l1"])
        assert wrong.exit_code
        assert "--offset" in wrong.output


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ a | a + offset(log_t)", "not to the gate"),
        ("offset(y) ~ a", "not to the response"),
        ("y ~ a * offset(log_t)", "multiplies an offset"),
        ("y ~ a + log(offset(t))", "stands by itself"),
        ("y ~ a + offset(C(t))", "several columns"),
        ("y ~ a + offset(log(a))", "not a finite number"),
        ("y ~ a + offset(nothing)", "'nothing' is missing"),
    ],
)
def test_what_a_formula_may_not_say(data, formula, says):
    with pytest.raises(DataError, match=says):
        MoERegressor.from_formula(formula, data, family="poisson")


def test_wrong_offsets_are_refused_in_one_sentence(data, plain):
    X, y, o = matrix(data), data["y"], data["log_t"]
    fresh = MoERegressor(family="poisson")
    for fit, says in (
        (lambda: fresh.fit(X, y, offset=o[:5]), r"shape \(5,\), expected \(300,\)"),
        (lambda: fresh.fit(X, y, offset=np.where(o > 0, o, np.nan)), "'offset' has missing values"),
        (lambda: fresh.fit(X, y, offset=np.where(o > 0, o, np.inf)), "NaN or infinite"),
        (lambda: fresh.fit(X, y, offset=["a"] * 300), "holds text"),
        (lambda: fresh.fit(X, y, offset="log_t"), "names a column"),
        (lambda: MoERegressor.from_formula("y ~ a", data, offset=o), "name of a column"),
        (lambda: plain.predict(X), "fitted with an offset"),
        (lambda: fresh.fit(X, y).predict(X, offset=o), "without an offset"),
        (lambda: MoERegressor(penalty="l1").fit(X, y, offset=o), "penalised fits"),
        (lambda: LocatedMoERegressor().fit(X, y, offset=o), "located models"),
        (lambda: MoEClassifier().fit(X, y > 2, offset=o), "take no offset"),
    ):
        with pytest.raises(DataError, match=says):
            fit()

"""Ordinal experts: polr (witness/polr.R and its output) and statsmodels with one expert, a likelihood written
anew with two, and the order of classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import optimize, special

import moestro
from moestro import MixingMeasure, MoEClassifier, MoERegressor, select_experts
from moestro.cli.main import main
from moestro.errors import DataError

STORED = json.loads((Path(__file__).parent / "witness" / "polr.json").read_text())
LEVELS = ["Low", "Medium", "High"]


def simulated(n=900, seed=0):
    """A column, and grades 1, 2, 4, 5 of two experts whose lines cross."""
    rng = np.random.default_rng(seed)
    x = 2 * rng.standard_normal(n)
    first = rng.random(n) < 0.6
    u = np.where(first, 3 * x, -2.5 * x) + rng.logistic(size=n)
    cuts = np.where(first[:, None], [-3.0, 0.0, 4.0], [-4.0, -1.0, 1.5])
    return x[:, None], np.array([1, 2, 4, 5])[(u[:, None] > cuts).sum(axis=1)]


def test_one_expert_is_polr_on_weighted_rows():
    d = {n: np.array(v) for n, v in STORED["data"].items()}
    for term in STORED["terms"]:  # InflMedium
        d[term] = (d[term[:4]] == term[4:]).astype(float)
    formula = "Sat ~ " + " + ".join(STORED["terms"])
    moe = MoEClassifier.from_formula(
        formula, d, sample_weight=d["Freq"], n_experts=1, family="ordinal", levels=LEVELS
    )
    assert moe.log_likelihood_ == pytest.approx(STORED["log_likelihood"], abs=1e-6)
    intercept, *slopes, gap = moe.inference()["estimate"]
    width = np.logaddexp(0, gap)
    np.testing.assert_allclose(slopes, STORED["slopes"], atol=1e-4)
    np.testing.assert_allclose(moe.inference()["std_error"][1:-1], STORED["se"], rtol=1e-3)
    np.testing.assert_allclose(
        [-intercept, np.logaddexp(0, gap) - intercept], STORED["thresholds"], atol=1e-4
    )
    p = moe.predict_proba(d)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    ends = special.logit(np.cumsum(p, axis=1)[:, :2])
    np.testing.assert_allclose(np.diff(ends, axis=1), width, rtol=1e-9)  # proportional odds
    text = moe.summary()
    assert "log odds of a higher class" in text and "it predicts" in text


def test_one_expert_is_the_model_of_statsmodels():
    pytest.importorskip("statsmodels")
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    x, y = simulated(300)
    moe = MoEClassifier(1, family="ordinal").fit(x, y)
    codes = np.searchsorted([1, 2, 4, 5], y)
    other = OrderedModel(codes, x, distr="logit").fit(method="bfgs", disp=0, gtol=1e-8)
    assert moe.log_likelihood_ == pytest.approx(other.llf, abs=1e-6)
    intercept, slope, *gaps = moe.inference()["estimate"]
    own = [slope, -intercept, *np.log(np.logaddexp(0, gaps))]
    np.testing.assert_allclose(own, other.params, atol=1e-4)
    np.testing.assert_allclose(moe.predict_proba(x), other.predict(), atol=1e-5)


def test_two_experts_are_the_maximum_of_a_likelihood_written_anew():
    x, y = simulated()
    moe = MoEClassifier(family="ordinal", gate_features=[], n_starts=4, random_state=0).fit(x, y)
    codes = np.searchsorted([1, 2, 4, 5], y)

    def law(p):
        cuts = np.concatenate([[-np.inf], np.append(0, np.cumsum(np.logaddexp(0, p[2:]))) - p[0], [np.inf]])
        upper, lower = (special.expit(cuts[c] - p[1] * x[:, 0]) for c in (codes + 1, codes))
        return np.log(upper - lower)

    def loss(p):
        f, g = law(p[1:5]), law(p[5:])
        return -np.logaddexp(f - np.logaddexp(0, -p[0]), g - np.logaddexp(0, p[0])).sum()

    best = optimize.minimize(loss, [0.4, 3.0, 3.0, 1.0, 1.4, 4.0, -2.5, 1.0, 0.9], method="BFGS")
    assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-5)
    assert str(moe.status_.kind) == "converged"
    assert moe.n_parameters_ == len(moe.parameter_names_) == 9
    order = np.argsort(-moe.measure_.slopes[:, 0, 0])
    np.testing.assert_allclose(moe.measure_.slopes[order, 0, 0], best.x[[2, 6]], atol=1e-2)


def test_what_follows_knows_the_order(tmp_path):
    x, y = simulated(400)
    moe = MoEClassifier(family="ordinal", gate_features=[], n_starts=2, random_state=0).fit(x, y)
    np.testing.assert_array_equal(moe.classes_, [1, 2, 4, 5])
    assert set(moe.predict(x)) <= {1, 2, 4, 5}
    assert moe.predict_proba(x).shape == (400, 4)
    assert moe.log_density(x, y).sum() == pytest.approx(moe.log_likelihood_, rel=1e-10)
    assert abs(moe.quantile_residuals(x, y, random_state=0).std() - 1) < 0.15
    assert set(moe.sample(x, random_state=0)) == {1, 2, 4, 5}
    moe.inference()
    moe.save(tmp_path / "m.json")
    again = moestro.load_model(tmp_path / "m.json")
    np.testing.assert_array_equal(again.predict_proba(x), moe.predict_proba(x))
    assert again.family == "ordinal"
    measure = MixingMeasure.from_json(moe.measure_.to_json())
    codes = np.searchsorted(moe.classes_, y)
    assert measure.log_density(x, codes, x[:, :0]).sum() == pytest.approx(moe.log_likelihood_, rel=1e-10)
    common = MoEClassifier(family="ordinal", gate_features=[], common=["x0"], n_starts=2, random_state=0).fit(
        x, y
    )
    slopes = common.measure_.slopes[:, 0, 0]
    assert slopes[0] == pytest.approx(slopes[1], abs=1e-12)
    assert common.n_parameters_ == moe.n_parameters_ - 1


def test_two_classes_are_a_logistic_regression():
    x, y = simulated(300)
    ordinal, plain = (MoEClassifier(1, family=f).fit(x, y > 2) for f in ("ordinal", "multinomial"))
    assert ordinal.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(ordinal.predict_proba(x), plain.predict_proba(x), atol=1e-6)


def test_levels_in_an_other_order_are_an_other_model():
    d = STORED["data"]
    found = [
        MoEClassifier.from_formula(
            "Sat ~ Cont", d, sample_weight=d["Freq"], n_experts=1, family="ordinal", levels=levels
        )
        for levels in (LEVELS, LEVELS[::-1], ["Medium", "Low", "High"])
    ]
    assert found[0].log_likelihood_ == pytest.approx(found[1].log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(found[0].predict_proba(d), found[1].predict_proba(d)[:, ::-1], atol=1e-6)
    assert abs(found[0].log_likelihood_ - found[2].log_likelihood_) > 1


def test_the_shell(tmp_path):
    d = STORED["data"]
    rows = zip(*(d[n] for n in ("Sat", "Infl", "Cont", "Freq")), strict=True)
    (tmp_path / "h.csv").write_text("\n".join(["Sat,Infl,Cont,Freq", *(",".join(map(str, r)) for r in rows)]))
    data, model = str(tmp_path / "h.csv"), str(tmp_path / "m.json")
    words = ["fit", data, "-f", "Sat ~ Infl + Cont", "-k", "1", "--weights", "Freq", "--out", model]
    done = CliRunner().invoke(main, [*words, "--family", "ordinal", "--levels", "Low,Medium,High"])
    assert done.exit_code == 0, done.output
    assert "log(exp(threshold 2 - threshold 1) - 1)" in done.output
    predicted = CliRunner().invoke(main, ["predict", model, data])
    assert predicted.exit_code == 0, predicted.output
    for more, says in (
        (["--family", "ordinal"], "--levels"),
        (["--family", "poisson", "--levels", "Low,Medium,High"], "only to classes"),
        (["--family", "ordinal", "--levels", "Low,High"], "'Medium'"),
    ):
        wrong = CliRunner().invoke(main, [*words, *more])
        assert wrong.exit_code != 0 and says in " ".join(wrong.output.split())


@pytest.mark.parametrize(
    ("options", "y", "says"),
    [
        ({}, ["low", "high"] * 5, "levels="),
        ({"levels": ["low", "middle"]}, ["low", "high"] * 5, "'high'"),
        ({"levels": ["low", "middle", "high"]}, ["low", "high"] * 5, "no row has the class 'middle'"),
        ({"levels": ["low", "low", "high"]}, ["low", "high"] * 5, "different classes"),
        ({"levels": "low"}, ["low", "high"] * 5, "a list"),
        ({"family": "multinomial", "levels": ["low"]}, ["low", "high"] * 5, "'high'"),
        ({"family": "poisson"}, [0, 1] * 5, "has no classes"),
        ({"penalty": "l1"}, [0, 1, 2, 1, 0] * 2, "without an order"),
        ({"order_by": "mean"}, [0, 1, 2, 1, 0] * 2, "needs a response of numbers"),
    ],
)
def test_what_is_not_taken_is_refused_in_one_sentence(options, y, says):
    with pytest.raises(DataError, match=says) as refused:
        MoEClassifier(**{"n_experts": 1, "family": "ordinal", **options}).fit(np.arange(10.0)[:, None], y)
    assert "\n" not in str(refused.value)


def test_a_regressor_sends_classes_away():
    x, y = simulated(50)
    with pytest.raises(DataError, match="use MoEClassifier"):
        MoERegressor(1, family="ordinal").fit(x, y)
    chosen = select_experts("y ~ x", {"y": y, "x": x[:, 0]}, family="ordinal", n_experts=[1])
    assert chosen.best.fit.model.family.name == "ordinal"


class TestAnOrderThatTheResponseStates:
    ORDER = ("low", "middle", "high")

    def data(self):
        rng = np.random.default_rng(3)
        x = rng.standard_normal(150)
        grade = np.digitize(x + rng.logistic(size=150), [-1.0, 1.0])
        return x, np.array(self.ORDER)[grade]

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_is_that_of_levels(self, library):
        frames = pytest.importorskip(library)
        x, y = self.data()
        stated = (
            frames.Categorical(y, [*self.ORDER, "never seen"], ordered=True)
            if library == "pandas"
            else frames.Series(y, dtype=frames.Enum([*self.ORDER, "never seen"]))
        )
        frame = frames.DataFrame({"x": x, "y": stated})
        given = MoEClassifier(1, family="ordinal", levels=list(self.ORDER)).fit(x[:, None], y)
        for moe in (
            MoEClassifier(1, family="ordinal").fit(x[:, None], frame["y"]),
            MoEClassifier(1, family="ordinal", formula="y ~ x").fit(frame),
            MoEClassifier(1, family="ordinal", formula="y ~ x", levels=self.ORDER).fit(frame),
        ):
            assert list(moe.classes_) == list(self.ORDER)
            assert moe.log_likelihood_ == pytest.approx(given.log_likelihood_, abs=1e-9)
        chosen = select_experts("y ~ x", frame, family="ordinal", n_experts=[1])
        assert chosen.best.fit.log_likelihood == pytest.approx(given.log_likelihood_, abs=1e-9)
        with pytest.raises(DataError, match="low < middle < high"):
            MoEClassifier(1, family="ordinal", formula="y ~ x", levels=self.ORDER[::-1]).fit(frame)

    def test_unordered_categories_state_none(self):
        pandas = pytest.importorskip("pandas")
        x, y = self.data()
        with pytest.raises(DataError, match="ordered categorical"):
            MoEClassifier(1, family="ordinal").fit(x[:, None], pandas.Series(y, dtype="category"))


class TestSeparation:
    def test_of_a_class_that_an_expert_never_has(self):
        """Expert 2's rows are all above "a": threshold and intercept go to infinity together."""
        rng = np.random.default_rng(0)
        x, g = rng.uniform(-1, 1, 400), np.repeat([0.0, 1.0], 200)
        u = 2 * x * (1 - 2 * g) + rng.logistic(size=400)
        y = np.array(["a", "b", "c"])[np.where(g == 0, np.digitize(u, [-0.7, 1.0]), 1 + (u > 0))]
        partial = np.where(g == 0, 1, 2)
        moe = MoEClassifier.from_formula(
            "y ~ x | 1", {"y": y, "x": x}, family="ordinal", levels=["a", "b", "c"], partial=partial, n_jobs=1
        )
        assert str(moe.status_.kind) == "separated"
        assert moe.status_.experts == (1,)
        assert "expert 2 never has the class a" in moe.status_.sentence
        assert "2:(intercept)" in moe.status_.sentence
        assert "2:x" not in moe.status_.sentence
        one = MoEClassifier(1, family="multinomial").fit(x[g == 1, None], y[g == 1])
        f = moe.predict_proba({"x": x[g == 1]})  # of both; expert 2 alone is a logistic regression
        assert np.isfinite(f).all()
        other = MoEClassifier.from_formula(
            "y ~ x", {"y": y[g == 0], "x": x[g == 0]}, n_experts=1, family="ordinal", levels=["a", "b", "c"]
        )
        apart = one.log_likelihood_ + other.log_likelihood_ + 400 * np.log(0.5)
        assert moe.log_likelihood_ == pytest.approx(apart, abs=1e-4)

    def test_of_classes_by_a_column(self):
        """Women are all of the highest class: intercept and slope, neither of them certain alone."""
        rng = np.random.default_rng(1)
        male = np.repeat([0.0, 1.0], 60)
        y = np.where(male == 0, 3, 1 + rng.integers(0, 3, 120))
        moe = MoEClassifier(1, family="ordinal").fit(male[:, None], y)
        assert str(moe.status_.kind) == "separated"
        assert "1:(intercept), 1:x0" in moe.status_.sentence
        assert "never" not in moe.status_.sentence
        share = np.bincount(y[60:], minlength=4)[1:] / 60
        assert moe.log_likelihood_ == pytest.approx(60 * (share * np.log(share)).sum(), abs=1e-4)

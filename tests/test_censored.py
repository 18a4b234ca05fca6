"""Censored Gaussian experts: AER's tobit (witness/tobit.R and its output) with one expert, a likelihood
written anew with two, the moments of what is seen, and what follows."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import integrate, optimize, stats

import moestro
from moestro import MoERegressor, select_experts
from moestro.cli.main import main
from moestro.errors import DataError
from moestro.experts import Censored, known_as, make_family

STORED = json.loads((Path(__file__).parent / "witness" / "tobit.json").read_text())
FORMULA = "affairs ~ age + yearsmarried + religiousness + occupation + rating"
WIDE = [-1e8, -1e4, -150.0, -40.0, -3.0, 0.0, 3.0, 40.0, 1e4]  # standard deviations of a limit from the mean


def affairs():
    return {name: np.array(values, dtype=float) for name, values in STORED["data"].items()}


def simulated(n=400, seed=0, lower=0.0, upper=np.inf):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    first = rng.random(n) < 0.6
    u = np.where(first, 30 + 20 * x, 10 - 15 * x) + np.where(first, 5.0, 10.0) * rng.standard_normal(n)
    return x[:, None], np.clip(u, lower, upper)


@pytest.mark.parametrize(
    ("which", "family"), [("left", "censored"), ("both", "censored[0:4]"), ("both", Censored(0.0, 4.0))]
)
def test_one_expert_is_tobit_of_aer(which, family):
    d, found = affairs(), STORED[which]
    d["affairs"] = np.minimum(d["affairs"], 4.0 if which == "both" else np.inf)
    moe = MoERegressor.from_formula(FORMULA, d, n_experts=1, family=family)
    assert moe.log_likelihood_ == pytest.approx(found["logLik"], abs=1e-6)
    *coefficients, variance = moe.inference()["estimate"]
    np.testing.assert_allclose(coefficients, list(found["coefficients"].values()), atol=1e-4)
    assert np.exp(variance / 2) == pytest.approx(found["scale"], abs=1e-4)
    *errors, of_variance = moe.inference()["std_error"]
    *theirs, of_scale = found["se"].values()
    np.testing.assert_allclose(errors, theirs, rtol=1e-3)
    assert of_variance / 2 == pytest.approx(of_scale, rel=1e-3)


@pytest.mark.parametrize("limits", [(0.0, np.inf), (-np.inf, 30.0), (5.0, 30.0)])
def test_two_experts_are_the_maximum_of_a_likelihood_written_anew(limits):
    x, y = simulated(lower=limits[0], upper=limits[1])
    moe = MoERegressor(family=Censored(*limits), gate_features=[], n_starts=6, random_state=0).fit(x, y)

    def loss(p):
        f = []
        for a, b, v in (p[1:4], p[4:7]):
            law = stats.norm(a + b * x[:, 0], np.exp(v / 2))
            seen = np.where(y >= limits[1], law.logsf(limits[1]), law.logpdf(y))
            f.append(np.where(y <= limits[0], law.logcdf(limits[0]), seen))
        return -np.logaddexp(f[0] - np.logaddexp(0, -p[0]), f[1] - np.logaddexp(0, p[0])).sum()

    m = moe.measure_
    ours = [m.log_weights[0] - m.log_weights[1]]
    for e in range(2):
        ours += [m.intercepts[e, 0], m.slopes[e, 0, 0], m.nuisances[e, 0]]
    assert -loss(np.array(ours)) == pytest.approx(moe.log_likelihood_, rel=1e-10)
    better = optimize.minimize(loss, ours, method="L-BFGS-B")
    assert -better.fun <= moe.log_likelihood_ + 1e-5


@pytest.mark.parametrize("limits", [(0.0, np.inf), (-np.inf, 0.0), (-0.5, 0.7)])
@pytest.mark.parametrize("mean", [-5.0, -0.8, 0.0, 1.3, 5.0])
def test_moments_are_integrals(limits, mean):
    law, sd = Censored(*limits), 1.7
    eta, low, high = np.array([mean, 2 * np.log(sd)]), max(limits[0], -60.0), min(limits[1], 60.0)
    normal = stats.norm(mean, sd)

    def expected(of):
        middle = integrate.quad(lambda t: of(t) * normal.pdf(t), low, high, epsabs=1e-13, points=[mean])[0]
        return middle + of(low) * normal.cdf(low) + of(high) * normal.sf(high)

    m = expected(lambda t: t)
    assert law.mean(eta) == pytest.approx(m, abs=1e-9)
    assert law.variance(eta) == pytest.approx(expected(lambda t: (t - m) ** 2), abs=1e-9)
    ends = [v for v in limits if np.isfinite(v)]
    information = sum(
        -law.curvature(eta, np.array(v)) * (normal.cdf(v) if v == limits[0] else normal.sf(v)) for v in ends
    )
    for i, j in ((0, 0), (1, 1)):
        inside = integrate.quad(
            lambda t, i=i, j=j: -law.curvature(eta, np.array(t))[i, j] * normal.pdf(t),
            np.nextafter(low, high), np.nextafter(high, low), epsabs=1e-13, points=[mean],
        )[0]  # fmt: skip
        assert law.information(eta)[i, j] == pytest.approx(information[i, j] + inside, abs=1e-9)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_tails_keep_their_digits(side):
    """The slope and the curvature of ln Phi(t) far below, against their series in 1 / t."""
    law = Censored(0.0, np.inf) if side > 0 else Censored(-np.inf, 0.0)
    t = np.array(WIDE)
    eta, y = np.column_stack([-side * t, np.zeros(len(t))]), np.zeros(len(t))
    assert np.isfinite(law.log_density(eta, y)).all()
    score, fall = -side * law.score(eta, y)[:, 0], -law.curvature(eta, y)[:, 0, 0]
    far = t < -100
    u = 1 / t[far] ** 2
    np.testing.assert_allclose(score[far], -t[far] * (1 + u - 2 * u**2 + 10 * u**3), rtol=1e-12)
    np.testing.assert_allclose(fall[far], 1 - u + 6 * u**2 - 50 * u**3, rtol=1e-12)
    assert (np.diff(fall) <= 0).all() and (fall >= 0).all()
    assert np.linalg.eigvalsh(law.information(eta)).min() >= 0
    assert (law.variance(eta) >= 0).all() and law.supports(law.mean(eta)).all()


def test_a_limit_beyond_doubles_is_no_warning():
    """Warnings are errors here: predictors so far from a limit that their ratio is no double."""
    law = make_family("censored[0:]")
    eta = np.array([[1e160, -700.0], [-1e160, -700.0]])
    np.testing.assert_array_equal(law.mean(eta), [1e160, 0.0])
    assert np.isfinite(law.variance(eta)).all()


def test_limits_have_a_name():
    for name, limits in {
        "censored[0:]": (0, np.inf),
        "censored[:5]": (-np.inf, 5),
        "censored[-1.5:1e+06]": (-1.5, 1e6),
        "censored[0.1:0.30000000000000004]": (0.1, 0.1 + 0.2),
    }.items():
        law = make_family(name)
        assert (law.lower, law.upper) == limits
        assert law.name == name == known_as(law.on(3.0, 2.0))
    assert make_family("censored") == Censored(0.0, np.inf)


class TestWhatFollows:
    def fitted(self, **how):
        x, y = simulated(lower=5.0, upper=30.0)
        how = {"family": "censored[5:30]", "n_starts": 4, "random_state": 0} | how
        return MoERegressor(**how).fit(x, y), x, y

    def test_limits_have_a_probability(self):
        moe, x, y = self.fitted()
        law = moe.predict_distribution(x)
        for limit, chance in ((5.0, law.cdf(5.0)), (30.0, 1 - law.cdf(np.nextafter(30.0, 0)))):
            np.testing.assert_allclose(law.pdf(limit), chance, rtol=1e-9)
            assert chance.mean() == pytest.approx((y == limit).mean(), abs=0.03)
        between = np.linspace(5, 30, 20_002)[1:-1]
        inside = law.at(slice(5)).pdf(np.tile(between, (5, 1))).sum(axis=1) * (between[1] - between[0])
        ends = (law.pdf(5.0) + law.pdf(30.0))[:5]
        np.testing.assert_allclose(inside + ends, 1.0, atol=1e-3)
        assert np.isneginf(moe.log_density(x[:2], [4.0, 31.0])).all()
        assert (law.pdf(4.0) == 0).all() and (law.cdf(4.0) == 0).all()
        np.testing.assert_allclose(law.cdf(30.0), 1, rtol=1e-12)
        q = law.quantile(np.array([0.01, 0.5, 0.99]))
        assert ((q >= 5) & (q <= 30)).all() and (q == 5.0).any() and (q == 30.0).any()
        drawn = law.sample(200, random_state=0)
        np.testing.assert_allclose(drawn.mean(axis=1), law.mean(), atol=6 * law.std().max() / 200**0.5)
        assert drawn.min() == pytest.approx(5, abs=1e-12) and drawn.max() == pytest.approx(30, abs=1e-12)
        assert stats.kstest(moe.quantile_residuals(x, y, random_state=0), "norm").pvalue > 1e-3

    def test_rows_sum_to_the_likelihood_also_in_groups_with_offset_and_weights(self):
        x, y = simulated(lower=5.0, upper=30.0)
        rng = np.random.default_rng(0)
        o, ids, w = rng.standard_normal(len(y)), np.arange(len(y)) // 4, np.repeat(rng.integers(1, 3, 100), 4)
        moe = MoERegressor(family="censored[5:30]", gate_features=[], n_starts=3, random_state=0)
        moe.fit(x, y, groups=ids, offset=o, sample_weight=w)
        rows = moe.log_density(x, y, groups=ids, offset=o)
        assert rows @ w[::4] == pytest.approx(moe.log_likelihood_, rel=1e-9)

    def test_files_and_estimates_know_the_limits(self, tmp_path):
        moe, x, y = self.fitted(family=Censored(5.0, 30.0))
        assert moe.log_density(x, y).sum() == pytest.approx(moe.log_likelihood_, rel=1e-9)
        np.testing.assert_allclose(moe.measure_.log_density(x, y, x), moe.log_density(x, y), atol=1e-8)
        moe.save(tmp_path / "m.json")
        again = moestro.load_model(tmp_path / "m.json")
        np.testing.assert_array_equal(again.predict(x), moe.predict(x))
        np.testing.assert_array_equal(again.responsibilities(x, y), moe.responsibilities(x, y))
        assert again.get_params()["family"] == "censored[5:30]"
        assert "censored[5:30]" in moe.summary()

    def test_the_shell_takes_them(self, tmp_path):
        x, y = simulated(150)
        lines = ["y,x", *(f"{b!r},{a!r}" for a, b in zip(x[:, 0].tolist(), y.tolist(), strict=True))]
        (tmp_path / "d.csv").write_text("\n".join(lines))
        data, model = (str(tmp_path / name) for name in ("d.csv", "m.json"))
        words = ["fit", data, "-f", "y ~ x | 1", "-k", "2", "--family", "censored[0:]", "--starts", "3"]
        done = CliRunner().invoke(main, [*words, "--out", model])
        assert done.exit_code == 0, done.output
        assert "log(variance)" in done.output
        predicted = CliRunner().invoke(main, ["predict", model, data])
        assert predicted.exit_code == 0, predicted.output
        wrong = CliRunner().invoke(main, [*words[:-3], "censored[9:0]"])
        assert wrong.exit_code and "a lower limit below an upper one" in wrong.output
        chosen = select_experts("y ~ x | 1", {"y": y, "x": x[:, 0]}, family="censored", n_experts=[1, 2])
        assert chosen.best.fit.k == 2

    def test_what_does_not_go_with_them_says_so(self):
        x, y = simulated(60)
        for how, says in (
            ({"family": ["censored", "gaussian"]}, "stand alone"),
            ({"family": ["zero", "censored"]}, "stand alone"),
            ({"family": "censored", "penalty": "l1"}, "censored"),
            ({"family": "censored", "shared_variance": True}, "belongs to family='gaussian'"),
        ):
            with pytest.raises(DataError, match=says):
                MoERegressor(**how).fit(x, y)
        few = {"n_experts": 1, "n_starts": 1, "random_state": 0}
        pair = [MoERegressor(family=f, **few).fit(x, y) for f in ("censored", "gaussian")]
        with pytest.raises(DataError, match="where one has a probability, at a limit"):
            moestro.compare(*pair)


def test_without_a_row_at_a_limit_experts_are_gaussian():
    x, y = simulated(300, lower=-np.inf)
    limit = y.min() - 1
    censored, gaussian = (
        MoERegressor(family=f, gate_features=[], n_starts=4, random_state=0).fit(x, y)
        for f in (Censored(limit), "gaussian")
    )
    assert censored.log_likelihood_ == pytest.approx(gaussian.log_likelihood_, abs=1e-6)

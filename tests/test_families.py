"""Families of experts against statsmodels with one expert and a likelihood written anew with two."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import optimize, special, stats

import moestro
from conftest import family_of
from moestro import LocatedMoERegressor, MoERegressor, select_experts
from moestro.cli.main import main
from moestro.errors import DataError
from moestro.experts import FAMILIES

SMALL = [n for n in FAMILIES if n not in ("multinomial", "ordinal", "gaussian", "interval", "poisson")]

# scipy's law of y given the linear predictor u and the nuisances v, written anew.
LAWS = {
    "negative-binomial": lambda y, u, v: stats.nbinom.logpmf(y, np.exp(-v[0]), 1 / (1 + np.exp(u + v[0]))),
    "truncated-poisson": lambda y, u, v: stats.poisson.logpmf(y, np.exp(u)) - np.log(-np.expm1(-np.exp(u))),
    "binomial": lambda y, u, v: stats.bernoulli.logpmf(y, special.expit(u)),
    "binomial-probit": lambda y, u, v: stats.bernoulli.logpmf(y, stats.norm.cdf(u)),
    "binomial-cloglog": lambda y, u, v: stats.bernoulli.logpmf(y, 1 - np.exp(-np.exp(u))),
    "gamma": lambda y, u, v: stats.gamma.logpdf(y, np.exp(-v[0]), scale=np.exp(u + v[0])),
    "inverse-gaussian": lambda y, u, v: stats.invgauss.logpdf(y, np.exp(u + v[0]), scale=np.exp(-v[0])),
    "lognormal": lambda y, u, v: stats.lognorm.logpdf(y, np.exp(v[0] / 2), scale=np.exp(u)),
    "beta": lambda y, u, v: stats.beta.logpdf(
        y, special.expit(u) * np.exp(-v[0]), special.expit(-u) * np.exp(-v[0])
    ),
    "censored": lambda y, u, v: np.where(
        y <= 0, stats.norm.logcdf(-u * np.exp(-v[0] / 2)), stats.norm.logpdf(y, u, np.exp(v[0] / 2))
    ),
    "student": lambda y, u, v: stats.t.logpdf(y, np.exp(v[1]), u, np.exp(v[0] / 2)),
    "skew-t": lambda y, u, v: _skew_t(y, u, np.exp(v[0] / 2), v[1], np.exp(v[2])),
    "weibull": lambda y, u, v: stats.weibull_min.logpdf(y, np.exp(-v[0]), scale=np.exp(u)),
}


def _skew_t(y, location, scale, slant, nu):
    z = (y - location) / scale
    right = stats.t.logcdf(slant * z * np.sqrt((nu + 1) / (nu + z**2)), nu + 1)
    return np.log(2) + stats.t.logpdf(z, nu) - np.log(scale) + right


def two_laws(name, n=400, seed=0):
    """x (n, 1), y of two experts, and an offset."""
    law, rng = family_of(name), np.random.default_rng(seed)
    x, o = rng.standard_normal(n), 0.3 * rng.standard_normal(n)
    first = rng.random(n) < 0.6
    low, high = (bound[2 : 2 + law.nuisances] for bound in law.bounds())
    nuisances = np.tile(np.clip(0.5 * (low + high), -2.0, 1.2), (n, 1))
    u = np.where(first, 1.0 + 0.7 * x, -1.2 - 0.5 * x) + o
    return x[:, None], law.sample(np.column_stack([u, nuisances]), rng), o


@pytest.mark.parametrize("name", SMALL)
class TestEveryFamily:
    def test_two_experts_are_the_maximum_of_a_likelihood_written_anew(self, name):
        x, y, o = two_laws(name)
        moe = MoERegressor(family=name, gate_features=[], n_starts=6, random_state=0).fit(x, y, offset=o)
        nu = family_of(name).nuisances

        def loss(p):
            g, (a, b) = p[0], np.split(p[1:], 2)
            f = [LAWS[name](y, e[0] + e[1] * x[:, 0] + o, e[2:]) for e in (a, b)]
            return -np.logaddexp(f[0] - np.logaddexp(0, -g), f[1] - np.logaddexp(0, g)).sum()

        m = moe.measure_
        ours = [m.log_weights[0] - m.log_weights[1]]
        for e in range(2):
            ours += [m.intercepts[e, 0], m.slopes[e, 0, 0], *m.nuisances[e]]
        assert len(ours) == 5 + 2 * nu
        assert -loss(np.array(ours)) == pytest.approx(moe.log_likelihood_, rel=1e-9)
        with np.errstate(all="ignore"):
            better = optimize.minimize(loss, ours, method="L-BFGS-B")
        assert -better.fun <= moe.log_likelihood_ + 1e-5

    def test_it_predicts_tests_itself_and_is_kept_by_files(self, name, tmp_path):
        x, y, _ = two_laws(name)
        moe = MoERegressor(family=name, gate_features=[], n_starts=4, random_state=0).fit(x, y)
        law = moe.predict_distribution(x[:20])
        low, high = law.interval(0.8)
        assert (law.cdf(high) - law.cdf(np.nextafter(low, -np.inf)) >= 0.8 - 1e-6).all()
        if not law.family.discrete:
            np.testing.assert_allclose(law.cdf(high), 0.9, atol=1e-6)
        residuals = moe.quantile_residuals(x, y, random_state=0)
        assert stats.kstest(residuals, "norm").pvalue > 1e-3
        table = moe.inference()
        assert len(table.columns["term"]) == len(moe.fit_.theta)
        assert "±" in moe.summary()
        moe.save(tmp_path / "m.json")
        json.loads((tmp_path / "m.json").read_text())
        again = moestro.load_model(tmp_path / "m.json")
        np.testing.assert_array_equal(again.predict(x), moe.predict(x))
        assert again.inference().columns["std_error"] == table.columns["std_error"]


WITNESSES = {
    "negative-binomial": lambda sm, y, X: sm.NegativeBinomial(y, X).fit(disp=0, maxiter=500, gtol=1e-9).llf,
    "truncated-poisson": lambda sm, y, X: _truncated(y, X),
    "binomial": lambda sm, y, X: sm.Logit(y, X).fit(disp=0).llf,
    "binomial-probit": lambda sm, y, X: sm.Probit(y, X).fit(disp=0).llf,
    "binomial-cloglog": lambda sm, y, X: (
        sm.GLM(y, X, family=sm.families.Binomial(sm.families.links.CLogLog())).fit().llf
    ),
    "gamma": lambda sm, y, X: _with_dispersion(sm, y, X, sm.families.Gamma(sm.families.links.Log()), "gamma"),
    "inverse-gaussian": lambda sm, y, X: _with_dispersion(
        sm, y, X, sm.families.InverseGaussian(sm.families.links.Log()), "inverse-gaussian"
    ),
    "lognormal": lambda sm, y, X: sm.OLS(np.log(y), X).fit().llf - np.log(y).sum(),
    "beta": lambda sm, y, X: _beta(y, X),
    "censored": lambda sm, y, X: (
        -optimize.minimize(lambda p: -LAWS["censored"](y, X @ p[:3], p[3:]).sum(), np.zeros(4), tol=1e-9).fun
    ),
    "student": lambda sm, y, X: _t_model(y, X),
    "skew-t": lambda sm, y, X: (
        -optimize.minimize(
            lambda p: -LAWS["skew-t"](y, X @ p[:3], p[3:]).sum(), np.append(np.zeros(5), 1.0), tol=1e-9
        ).fun
    ),
    "weibull": lambda sm, y, X: (
        -optimize.minimize(lambda p: -LAWS["weibull"](y, X @ p[:3], p[3:]).sum(), np.zeros(4), tol=1e-9).fun
    ),
}


def _with_dispersion(sm, y, X, family, name):
    """A generalised linear model's means, with the dispersion that maximises the likelihood at them."""
    u = np.log(sm.GLM(y, X, family=family).fit(tol=1e-12).fittedvalues)
    return -optimize.minimize_scalar(lambda v: -LAWS[name](y, u, [v]).sum(), tol=1e-12).fun


def _beta(y, X):
    from statsmodels.othermod.betareg import BetaModel

    return BetaModel(y, X).fit(disp=0, gtol=1e-9, maxiter=500).llf


def _truncated(y, X):
    from statsmodels.discrete.truncated_model import TruncatedLFPoisson

    return TruncatedLFPoisson(y, X).fit(disp=0, maxiter=500, gtol=1e-9).llf


def _t_model(y, X):
    from statsmodels.miscmodels.tmodel import TLinearModel

    return TLinearModel(y, X).fit(disp=0, maxiter=5000, maxfun=5000, xtol=1e-10, ftol=1e-12).llf


@pytest.mark.parametrize("name", WITNESSES)
def test_one_expert_is_the_model_of_statsmodels(name):
    sm = pytest.importorskip("statsmodels.api")
    law, rng = family_of(name), np.random.default_rng(4)
    x = rng.standard_normal((300, 2))
    low, high = (bound[2 : 2 + law.nuisances] for bound in law.bounds())
    nuisances = np.tile(np.clip(0.5 * (low + high), -1.5, 1.2), (300, 1))
    y = law.sample(np.column_stack([0.3 + 0.6 * x[:, 0] - 0.4 * x[:, 1], nuisances]), rng)
    moe = MoERegressor(1, family=name).fit(x, y)
    assert moe.log_likelihood_ == pytest.approx(WITNESSES[name](sm, y, sm.add_constant(x)), abs=1e-6)


def test_every_family_has_a_witness():
    assert set(WITNESSES) == set(LAWS) == set(SMALL)


class TestTrials:
    """Successes in known numbers of trials, as two columns or prop(successes, trials)."""

    def data(self, n=150, seed=0):
        rng = np.random.default_rng(seed)
        a, t = rng.standard_normal(n), rng.integers(1, 30, n)
        u = np.where(rng.random(n) < 0.5, 1 + a, -1.5 - 0.5 * a)
        return {"a": a, "t": t.astype(float), "s": rng.binomial(t, special.expit(u)).astype(float)}

    @pytest.mark.parametrize("link", ["binomial", "binomial-probit", "binomial-cloglog"])
    def test_one_expert_is_a_generalised_linear_model(self, link):
        sm = pytest.importorskip("statsmodels.api")
        d = self.data()
        moe = MoERegressor(1, family=link).fit(d["a"][:, None], np.column_stack([d["s"], d["t"]]))
        links = sm.families.links
        how = {"binomial": links.Logit, "binomial-probit": links.Probit, "binomial-cloglog": links.CLogLog}
        both = np.column_stack([d["s"], d["t"] - d["s"]])
        other = sm.GLM(both, sm.add_constant(d["a"]), family=sm.families.Binomial(how[link]())).fit()
        assert moe.log_likelihood_ == pytest.approx(other.llf, abs=1e-6)

    def test_two_experts_are_the_maximum_of_a_likelihood_written_anew(self):
        d = self.data()
        moe = MoERegressor.from_formula("prop(s, t) ~ a | 1", d, family="binomial", random_state=0)

        def loss(p):
            f = [stats.binom.logpmf(d["s"], d["t"], special.expit(p[i] + p[i + 1] * d["a"])) for i in (1, 3)]
            return -np.logaddexp(f[0] - np.logaddexp(0, -p[0]), f[1] - np.logaddexp(0, p[0])).sum()

        best = optimize.minimize(loss, [0.0, 1.0, 0.5, -1.0, -0.5], method="BFGS")
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)
        again = MoERegressor.from_formula(moe.formula, d, family="binomial", random_state=0, engine="array")
        assert again.log_likelihood_ == pytest.approx(moe.log_likelihood_, rel=1e-10)

    def test_what_follows_knows_them(self, tmp_path):
        d = self.data()
        moe = MoERegressor.from_formula("prop(s, t) ~ a", d, family="binomial", random_state=0)
        X, Y = d["a"][:, None], np.column_stack([d["s"], d["t"]])
        arrays = MoERegressor(family="binomial", random_state=0).fit(X, Y)
        assert arrays.log_likelihood_ == moe.log_likelihood_
        for m, at in ((moe, (d,)), (moe, (d, Y)), (arrays, (X, Y))):
            assert m.log_density(*at).sum() == pytest.approx(moe.log_likelihood_, rel=1e-12)
            assert abs(m.quantile_residuals(*at, random_state=0).std() - 1) < 0.15
            assert m.score(*at) == pytest.approx(moe.score(d))
        assert (moe.predict(d) < 1).all()  # of one trial
        moe.save(tmp_path / "m.json")
        again = moestro.load_model(tmp_path / "m.json")
        np.testing.assert_array_equal(again.responsibilities(d), moe.responsibilities(d))

    def test_a_trial_a_row_in_groups_is_the_same_likelihood(self):
        d = self.data(60)
        one = MoERegressor.from_formula("prop(s, t) ~ a | 1", d, family="binomial", random_state=0)
        ids = np.repeat(np.arange(60), d["t"].astype(int))
        y = np.concatenate([np.arange(t) < s for s, t in zip(d["s"], d["t"], strict=True)]).astype(float)
        rows = {"y": y, "a": d["a"][ids]}
        many = MoERegressor.from_formula("y ~ a | 1", rows, groups=ids, family="binomial", random_state=0)
        ways = np.log(special.comb(d["t"], d["s"])).sum()
        assert many.log_likelihood_ + ways == pytest.approx(one.log_likelihood_, abs=1e-6)

    def test_who_counts_no_trials_says_so(self):
        d = self.data()
        for fit, says in (
            (lambda: MoERegressor.from_formula("prop(s, t) ~ a", d), "binomial experts"),
            (lambda: LocatedMoERegressor.from_formula("prop(s, t) ~ a", d), "binomial experts"),
            (lambda: select_experts("prop(s, t) ~ a", d), "binomial experts"),
            (lambda: select_experts("prop(s, t) ~ a", d, family="multinomial"), "a class has one"),
            (lambda: select_experts("prop(s, t) ~ a", d, model="located"), "located models count no trials"),
            (lambda: MoERegressor.from_formula("prop(s, q) ~ a", d, family="binomial"), "'q' is missing"),
            (
                lambda: MoERegressor.from_formula("prop(s, t) ~ a", d, family="binomial", penalty="l1"),
                "penalised fits",
            ),
        ):
            with pytest.raises(DataError, match=says):
                fit()


def test_counts_that_are_not_overdispersed_end_as_poisson_ones():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 1))
    y = rng.binomial(12, 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    moe, poisson = (MoERegressor(1, family=f).fit(x, y) for f in ("negative-binomial", "poisson"))
    assert str(moe.status_) == "at a boundary: expert 1: no overdispersion: a Poisson law"
    assert moe.status_.usable
    assert moe.log_likelihood_ == pytest.approx(poisson.log_likelihood_, abs=1e-3)
    np.testing.assert_allclose(moe.predict(x), poisson.predict(x), rtol=1e-4)


def test_the_shell_fits_and_predicts_with_any_family(tmp_path):
    x, y, _ = two_laws("gamma", 120)
    lines = ["y,x", *(f"{b!r},{a!r}" for a, b in zip(x[:, 0].tolist(), y.tolist(), strict=True))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    data, model = str(tmp_path / "d.csv"), str(tmp_path / "m.json")
    words = ["fit", data, "-f", "y ~ x | 1", "-k", "2", "--family", "gamma", "--starts", "3", "--out", model]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "log(dispersion)" in done.output
    predicted = CliRunner().invoke(main, ["predict", model, data])
    assert predicted.exit_code == 0, predicted.output
    wrong = CliRunner().invoke(main, [*words[:-4], "--family", "tweedie"])
    assert "choose one of" in wrong.output


def test_penalties_refuse_nuisances_that_are_no_variance():
    x, y, _ = two_laws("gamma", 60)
    with pytest.raises(DataError, match="gamma experts"):
        MoERegressor(family="gamma", penalty="l1").fit(x, y)


def test_numbers_without_outliers_end_as_gaussian_ones():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 1))
    y = x[:, 0] + rng.uniform(-1, 1, 200)
    moe, gaussian = (MoERegressor(1, family=f).fit(x, y) for f in ("student", "gaussian"))
    assert "tails of a Gaussian law" in str(moe.status_)
    assert moe.log_likelihood_ == pytest.approx(gaussian.log_likelihood_, abs=1.0)


@pytest.mark.parametrize(
    ("name", "y", "says"),
    [
        ("negative-binomial", [-1.0, 2.0, 3.0, 1.0], "counts"),
        ("negative-binomial", [0.5, 2.0, 3.0, 1.0], "counts"),
        ("binomial", [0.0, 1.0, 2.0, 1.0], "2 successes in 1 trials"),
        ("binomial-probit", [0.0, 1.0, 0.3, 1.0], "successes and trials"),
        ("binomial", [[0, 2], [3, 2], [1, 2], [1, 2]], "row 2 has 3 successes in 2 trials"),
        ("binomial", [[0, 2], [1, 0], [1, 2], [1, 2]], "whole numbers of at least 1"),
        ("binomial", [[0, 2, 1]] * 4, "3 columns"),
        ("gamma", [0.0, 1.0, 2.0, 3.0], "positive numbers"),
        ("gamma", [2.0, 2.0, 2.0, 2.0], "constant"),
        ("inverse-gaussian", [-1.0, 1.0, 2.0, 3.0], "positive numbers"),
        ("lognormal", [-1.0, 1.0, 2.0, 3.0], "positive numbers"),
        ("beta", [0.0, 0.2, 0.5, 0.9], "strictly between 0 and 1"),
        ("beta", [0.1, 0.2, 0.5, 1.3], "strictly between 0 and 1"),
        ("student", [1.0, 1.0, 1.0, 1.0], "constant"),
        ("censored", [-1.0, 0.0, 2.0, 3.0], "beyond the limits of censored.0:.: a censored response is the"),
        ("censored[0:5]", [1.0, 0.0, 2.0, 7.0], "has 7, beyond"),
        ("censored[0:5]", [5.0, 0.0, 2.0, 5.0], "no two different values between"),
        ("censored[5:0]", [1.0, 2.0, 3.0, 4.0], "a lower limit below an upper one"),
        ("censored[:]", [1.0, 2.0, 3.0, 4.0], "one of them at least"),
        ("censored[0]", [1.0, 2.0, 3.0, 4.0], "write 'censored.0:.'"),
        ("censored[low:]", [1.0, 2.0, 3.0, 4.0], "has no limits"),
        ("tweedie", [1.0, 2.0, 3.0, 4.0], "choose one of"),
        ("multinomial", [1.0, 2.0, 3.0, 4.0], "MoEClassifier"),
    ],
)
def test_what_a_family_does_not_take_is_refused_in_one_sentence(name, y, says):
    with pytest.raises(DataError, match=says) as refused:
        MoERegressor(1, family=name).fit(np.arange(4.0)[:, None], np.array(y))
    assert "\n" not in str(refused.value)

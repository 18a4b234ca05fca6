"""Responses of which an interval is known: survival times, and numbers beyond limits of each row's own."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import optimize, stats

import moestro
from moestro import DataError, MoEClassifier, MoERegressor, select_experts
from moestro.cli.main import main
from moestro.design.known import OPEN
from moestro.experts import Interval, Weibull

STORED = json.loads((Path(__file__).parent / "witness" / "survival.json").read_text())
LUNG = {n: np.array(v, dtype=float) for n, v in STORED["lung"].items()}
LUNG["upper"] = np.where(np.array(STORED["upper"]) < 0, np.inf, STORED["upper"])
LUNG["open"] = np.where(LUNG["lower"] > 0, LUNG["lower"], -np.inf)
TOBIN = {n: np.array(v, dtype=float) for n, v in STORED["tobin"].items()}
TOBIN["status"] = np.where(TOBIN["durable"] > 0, 1, 2)
COLUMNS = "age + sex + `ph.ecog`"


@pytest.mark.parametrize(
    ("name", "family", "formula", "data"),
    [
        ("weibull", "weibull", f"cens(time, seen) ~ {COLUMNS}", LUNG),
        ("weibull_interval", "weibull", f"interval(lower, upper) ~ {COLUMNS}", LUNG),
        ("gaussian_interval", "interval", f"interval(open, upper) ~ {COLUMNS}", LUNG),
        ("gaussian", "interval", "cens(durable, status) ~ age + quant", TOBIN),
    ],
)
def test_one_expert_is_survreg(name, family, formula, data):
    moe, witness = MoERegressor(1, family=family, formula=formula).fit(data), STORED[name]
    assert moe.log_likelihood_ == pytest.approx(witness["logLik"], abs=1e-6)
    double = 2 if family == "interval" else 1  # a variance, not a standard deviation
    found = moe.inference()
    expected = [*witness["coefficients"].values(), double * np.log(witness["scale"])]
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["std_error"][:-1], list(witness["se"].values())[:-1], rtol=1e-4)


def some(n=30, seed=0):
    """Two laws, eta with the other end last, y as their response, and lower and upper ends."""
    rng = np.random.default_rng(seed)
    for law in (Weibull(), Interval(center=0.3, scale=2.0)):
        eta = rng.standard_normal((n, 2)) * [0.7, 0.5]
        y = np.exp(rng.standard_normal(n)) if law.lowest == 0 else rng.standard_normal(n)
        number = y if law.lowest == 0 else 2 * y + 0.3
        ways = [OPEN, -OPEN, number, number * 1.7 + 0.1, number * 0.4, number + 1e-3]
        other = np.choose(np.arange(n) % 6, [np.broadcast_to(w, n) for w in ways])
        open_other = np.where(np.abs(other) < OPEN, other, np.sign(other) * np.inf)
        ends = np.sort(np.stack([number, open_other]), axis=0)
        yield law, np.column_stack([eta, other]), y, ends


@pytest.mark.parametrize(("law", "eta", "y", "ends"), list(some()), ids=["weibull", "gaussian"])
class TestDensities:
    def test_are_those_of_scipy(self, law, eta, y, ends):
        scale = getattr(law, "scale", 1.0)
        if law.lowest == 0:
            witness = stats.weibull_min(np.exp(-eta[:, 1]), scale=np.exp(eta[:, 0]))
        else:
            witness = stats.norm(2 * eta[:, 0] + 0.3, 2 * np.exp(eta[:, 1] / 2))
        low, high = ends
        above = witness.sf(low) - witness.sf(high)  # the digits of the nearer tail
        gap = np.where(witness.cdf(low) > 0.5, above, witness.cdf(high) - witness.cdf(low))
        gap = np.where(low == high, 1.0, gap)
        exact = witness.logpdf(np.where(low == high, high, 1.0))
        expected = np.where(low == high, exact, np.log(gap))
        found = law.log_density(eta, y) + law.log_base(y) - np.log(scale)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)

    def test_have_these_derivatives(self, law, eta, y, ends):
        for j in range(2):
            step = np.zeros(3)
            step[j] = h = 1e-6
            up, down = (f(eta + step, y) - f(eta - step, y) for f in (law.log_density, law.score))
            np.testing.assert_allclose(law.score(eta, y)[:, j], up / (2 * h), rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(law.curvature(eta, y)[:, :, j], down / (2 * h), rtol=1e-5, atol=1e-4)


def test_two_experts_are_the_maximum_of_a_likelihood_written_anew():
    rng = np.random.default_rng(0)
    n = 300
    x, first = rng.standard_normal(n), rng.random(n) < 0.6
    shape, scale = np.where(first, 3.0, 1.5), np.exp(np.where(first, 1 + 0.7 * x, -1 - 0.5 * x))
    time, limit = scale * rng.weibull(shape), rng.exponential(4.0, n)
    y = np.column_stack([np.minimum(time, limit), np.where(time <= limit, time, np.inf)])
    moe = MoERegressor(family="weibull", gate_features=[], n_starts=4, random_state=0).fit(x[:, None], y)
    seen = time <= limit

    def loss(p):
        f = []
        for a, b, v in (p[1:4], p[4:]):
            law = stats.weibull_min(np.exp(-v), scale=np.exp(a + b * x))
            f.append(np.where(seen, law.logpdf(y[:, 0]), law.logsf(y[:, 0])))
        return -np.logaddexp(f[0] - np.logaddexp(0, -p[0]), f[1] - np.logaddexp(0, p[0])).sum()

    best = optimize.minimize(loss, [0.4, 1, 0.7, -1, -1, -0.5, -0.4], method="BFGS")
    assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-4)
    assert moe.log_density(x[:, None], y).sum() == pytest.approx(moe.log_likelihood_, rel=1e-9)
    assert abs(moe.quantile_residuals(x[:, None], y, random_state=0).std() - 1) < 0.15
    assert moe.responsibilities(x[:, None], y).shape == (n, 2)
    with pytest.raises(DataError, match="log_density"):
        moe.score(x[:, None], y)


def test_seen_responses_are_as_ever():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((80, 1)), rng.weibull(2.0, 80)
    for family, other in (("weibull", "weibull"), ("interval", "gaussian")):
        twice = MoERegressor(1, family=family).fit(x, np.column_stack([y, y]))
        plain = MoERegressor(1, family=other).fit(x, y)
        assert twice.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-8)
        np.testing.assert_allclose(twice.predict(x), plain.predict(x), rtol=1e-6)


def test_files_sweeps_and_the_command(tmp_path):
    rows = {n: v for n, v in LUNG.items() if n in ("time", "seen", "age")}
    moe = MoERegressor(1, family="weibull", formula="cens(time, seen) ~ age").fit(rows)
    moe.save(tmp_path / "m.json")
    again = moestro.load_model(tmp_path / "m.json")
    np.testing.assert_array_equal(again.log_density(rows), moe.log_density(rows))
    chosen = select_experts("cens(time, seen) ~ age", rows, family="weibull", n_experts=[1])
    assert chosen.best.fit.log_likelihood == pytest.approx(moe.log_likelihood_, abs=1e-8)
    with pytest.raises(DataError, match="censored"):
        moe.inference(cov="bootstrap", resample="parametric", n_bootstrap=2)
    path = tmp_path / "d.csv"
    lines = [",".join(rows), *(",".join(map(str, line)) for line in np.column_stack(list(rows.values())))]
    path.write_text("\n".join(lines) + "\n")
    words = ["fit", str(path), "-f", "cens(time, seen) ~ age", "-k", "1", "--family"]
    done = CliRunner().invoke(main, [*words, "weibull", "--out", str(tmp_path / "c.json")])
    assert done.exit_code == 0, done.output
    assert f"{moe.log_likelihood_:.4f}" in done.output
    done = CliRunner().invoke(main, ["predict", str(tmp_path / "c.json"), str(path), "--posterior"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, [*words, "gamma"])
    assert done.exit_code == 2 and "experts of censored responses" in done.output


@pytest.mark.parametrize(
    ("family", "y", "says"),
    [
        ("weibull", [[2.0, 1.0]], "a lower end above the upper one"),
        ("weibull", [[-1.0, np.inf]], "no end that is a number"),
        ("weibull", [[-2.0, -1.0]], "not above 0"),
        ("interval", [[-np.inf, np.inf]], "no end that is a number"),
        ("interval", [[np.nan, 1.0]], "missing"),
        ("gamma", [[1.0, 2.0]], "y"),
    ],
)
def test_ends_that_are_refused(family, y, says):
    with pytest.raises(ValueError, match=says):
        MoERegressor(1, family=family).fit(np.arange(6.0)[:, None], [*y, *([[1.0, 2.0]] * 5)])


def test_forms_that_are_refused():
    d = {"x": np.arange(6.0), "a": np.arange(1.0, 7.0), "b": np.array([1, 0, 1, 3, 1, 0.0])}
    for family, formula, says in (
        ("weibull", "cens(a, b) ~ x", "in row 4"),
        ("weibull", "prop(a, b) ~ x", "binomial"),
        ("binomial", "interval(a, b) ~ x", "experts of censored responses"),
        ("gaussian", "interval(a, b) ~ x", "experts of censored responses"),
    ):
        with pytest.raises(DataError, match=says):
            MoERegressor(1, family=family, formula=formula).fit(d)
    with pytest.raises(DataError):
        MoEClassifier(1, formula="cens(a, b) ~ x").fit(d)

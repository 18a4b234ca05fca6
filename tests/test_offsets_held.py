"""Offsets and trials beside what a model holds, known experts, and rows with missing values."""

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import norm, poisson

from moestro import MoERegressor, bootstrap_test, select_experts
from moestro.cli.main import main
from moestro.errors import DataError

N = 250
COMPLETE = np.isin(np.arange(N), (3, 7, 9), invert=True)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    x, z, o = rng.normal(size=(3, N))
    second = rng.random(N) < expit(z)
    counts = rng.poisson(np.exp(np.where(second, 1.5 + 0.4 * x, -0.5 + 0.4 * x) + 0.5 * o)).astype(float)
    y = np.where(second, 3 + x, -3 - x) + 0.5 * o + rng.normal(size=N)
    trials = rng.integers(1, 9, N).astype(float)
    s = rng.binomial(trials.astype(int), expit(np.where(second, 1.5, -1.0) + x + 0.5 * o)).astype(float)
    known = np.where(rng.random(N) < 0.3, second + 1.0, np.nan)
    return {"x": x, "z": z, "o": 0.5 * o, "y": y, "c": counts, "s": s, "t": trials, "e": known}


def holed(data, *names):
    """A missing value in each of three columns, in the rows that are not complete."""
    out = {n: v.copy() for n, v in data.items()}
    for name, row in zip(names, np.flatnonzero(~COMPLETE), strict=True):
        out[name][row] = np.nan
    return out


def complete(data):
    return {n: v[COMPLETE] for n, v in data.items()}


def fitted(response, data, family="poisson", **how):
    formula = f"{response} ~ x | z"
    return MoERegressor.from_formula(
        formula, data, offset="o", family=family, n_experts=2, random_state=0, **how
    )


def counted(v, d, slopes, known=None):
    """Log-likelihood of two Poisson experts, v = (gate 2, intercepts 2)."""
    gate = v[0] + v[1] * d["z"]
    log_pi = np.column_stack([-np.logaddexp(0, -gate), -np.logaddexp(0, gate)])
    eta = v[2:4] + d["x"][:, None] * slopes + d["o"][:, None]
    joint = log_pi + poisson.logpmf(d["c"][:, None], np.exp(eta))
    total = logsumexp(joint, axis=1)
    if known is not None:
        has = ~np.isnan(known)
        total[has] = joint[has, known[has].astype(int) - 1]
    return total.sum()


class TestHeld:
    def test_common_slope(self, data):
        def lost(v):
            return -counted(v, data, v[4])

        moe = fitted("c", data, common=["x"])
        best = minimize(lost, [0, -1, 1.5, -0.5, 0.4])
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)

    def test_fixed_slope(self, data):
        moe = fitted("c", data, fixed={"x": 0.3})
        best = minimize(lambda v: -counted(v, data, 0.3), [0, -1, 1.5, -0.5])
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)

    def test_fixed_intercept_of_a_scaled_response(self, data):
        def lost(v):
            gate = v[0] + v[1] * data["z"]
            log_pi = np.column_stack([-np.logaddexp(0, -gate), -np.logaddexp(0, gate)])
            mean = np.column_stack([2.5 + v[2] * data["x"], v[3] + v[4] * data["x"]]) + data["o"][:, None]
            return -logsumexp(log_pi + norm.logpdf(data["y"][:, None], mean, np.exp(v[5:7])), axis=1).sum()

        moe = fitted("y", data, family="gaussian", fixed={"1:(intercept)": 2.5})
        best = minimize(lost, [0, 1, 1, -3, -1, 0, 0])
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)

    @pytest.mark.parametrize("engine", ["native", "array"])
    def test_known_experts(self, data, engine):
        moe = fitted("c", data, partial="e", engine=engine)
        v = [0, -1, -0.5, 1.5, 0.4, 0.4]
        best = minimize(lambda v: -counted(v, data, v[4:6], data["e"]), v)
        assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)
        with pytest.raises(DataError, match="no weights, clusters or known experts"):
            moe.inference("bootstrap", resample="parametric", n_bootstrap=5)

    @pytest.mark.parametrize("family", ["gamma", "weibull"])
    def test_families_whose_experts_share_a_slope(self, data, family):
        d = data | {"r": np.exp(data["y"] / 3)}
        free, common = fitted("r", d, family), fitted("r", d, family, common=["x"])
        half = free.likelihood_ratio_test("1:x = 2:x").statistic / 2
        assert common.log_likelihood_ == pytest.approx(free.log_likelihood_ - half, abs=1e-6)

    def test_influence_is_told_against_the_reference_of_the_table(self, data):
        plain, told = fitted("c", data), fitted("c", data, reference_expert=1)
        a, b = (dict(zip(m.parameter_names_, m.influence().T, strict=True)) for m in (plain, told))
        assert np.allclose(b["gate:2:z"], -a["gate:1:z"], rtol=1e-6, atol=1e-9)

    def test_numbers_of_experts_need_equal_experts(self, data):
        one = MoERegressor.from_formula("c ~ x | z", data, family="poisson", n_experts=1)
        how = {"family": "poisson", "n_experts": 2, "random_state": 0}
        known = MoERegressor.from_formula("c ~ x | z", data, partial="e", **how)
        common = MoERegressor.from_formula("c ~ x | z", data, common=["x"], **how)
        for larger, says in ((known, "all experts are alike"), (common, "the same but for n_experts")):
            with pytest.raises(DataError, match=says):
                bootstrap_test(one, larger, n_replicates=3)


class TestMissing:
    def test_a_formula(self, data):
        holes = holed(data, "o", "x", "c")
        moe, clean = fitted("c", holes, missing="drop"), fitted("c", complete(data))
        assert moe.log_likelihood_ == clean.log_likelihood_
        assert moe.dropped_.columns == (("c", 1), ("o", 1), ("x", 1))
        assert np.flatnonzero(np.isnan(moe.predict(holes))).tolist() == [3, 7]
        chosen = select_experts(
            "c ~ x | z", holes, offset="o", missing="drop", family="poisson", n_experts=[2], random_state=0
        )
        assert chosen.best.fit.log_likelihood == clean.log_likelihood_
        assert chosen.models[2].dropped.rows == 3
        strata = np.arange(N) % 3
        errors, of_clean = (
            m.inference("survey", strata=s)["std_error"]
            for m, s in ((moe, strata), (clean, strata[COMPLETE]))
        )
        assert errors == of_clean

    def test_arrays(self, data):
        holes = holed(data, "o", "x", "c")
        how = {"family": "poisson", "n_experts": 2, "random_state": 0, "expert_features": [0]}
        (X, y, o), (X1, y1, o1) = (
            (np.column_stack([d["x"], d["z"]]), d["c"], d["o"]) for d in (holes, complete(data))
        )
        moe = MoERegressor(missing="drop", **how).fit(X, y, offset=o)
        clean = MoERegressor(**how).fit(X1, y1, offset=o1)
        assert moe.log_likelihood_ == clean.log_likelihood_
        assert moe.score(X, y, offset=o) == clean.score(X1, y1, offset=o1)
        for out in (moe.log_density(X, y, offset=o), moe.quantile_residuals(X, y, 0, offset=o)):
            assert np.array_equal(np.isfinite(out), COMPLETE)
        assert np.array_equal(moe.log_density(X, y, offset=o)[COMPLETE], clean.log_density(X1, y1, offset=o1))
        with pytest.raises(DataError, match="expected 250 rows"):
            moe.fit(X, y, offset=o[:5])

    def test_known_experts(self, data):
        holes = holed(data, "o", "x", "c")
        moe, clean = (
            fitted("c", d, partial="e", missing=m) for d, m in ((holes, "drop"), (complete(data), "error"))
        )
        assert moe.log_likelihood_ == clean.log_likelihood_

    def test_trials(self, data):
        holes, clean = holed(data, "o", "s", "t"), complete(data)
        moe = fitted("prop(s, t)", holes, "binomial", missing="drop")
        assert moe.log_likelihood_ == fitted("prop(s, t)", clean, "binomial").log_likelihood_
        assert moe.dropped_.columns == (("o", 1), ("s", 1), ("t", 1))
        assert moe.score(holes) == pytest.approx(moe.score(clean))
        X, S = np.column_stack([data["x"], data["z"]]), np.column_stack([holes["s"], holes["t"]])
        how = {"family": "binomial", "n_experts": 2, "random_state": 0, "expert_features": [0]}
        arrays = MoERegressor(missing="drop", gate_features=[1], **how).fit(X, S, offset=holes["o"])
        assert arrays.log_likelihood_ == pytest.approx(moe.log_likelihood_, abs=1e-8)

    def test_known_experts_and_a_common_slope_of_trials(self, data):
        native, array = (
            fitted("prop(s, t)", data, "binomial", partial="e", common=["x"], engine=e)
            for e in ("native", "array")
        )
        assert native.log_likelihood_ == pytest.approx(array.log_likelihood_, abs=1e-8)
        assert "Constraints     the same in every expert: x" in native.summary()


def test_refused_in_one_sentence(data, tmp_path):
    for formula, says in (
        ("c ~ common(offset(o)) + x", "stands by itself"),
        ("c ~ offset(common(o)) + x", "no coefficient that could be common"),
    ):
        with pytest.raises(DataError, match=says):
            MoERegressor.from_formula(formula, data, family="poisson")
    with pytest.raises(DataError, match="no column of the experts"):
        fitted("c", data, common=["o"])
    X, path = np.column_stack([data["x"], data["z"]]), str(tmp_path / "m.json")
    MoERegressor(family="poisson", n_experts=1).fit(X, data["c"], offset=data["o"]).save(path)
    (tmp_path / "d.csv").write_text("x0,x1\n1,2\n")
    done = CliRunner().invoke(main, ["predict", path, str(tmp_path / "d.csv")])
    assert done.exit_code and "fitted to arrays with an offset" in done.output

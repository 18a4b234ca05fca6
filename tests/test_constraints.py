"""Coefficients that are common or fixed, known experts, and the order of experts."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, load_model
from moestro.cli.main import main
from moestro.errors import DataError
from moestro.solvers.elimination import eliminated

N = 240


def data(seed=3, grouped=False):
    """Two lines in x, parted by a gate on z, with a common slope of u; columns far from zero."""
    rng = np.random.default_rng(seed)
    x, u, z = rng.normal(20, 2, N), rng.normal(-5, 1, N), rng.normal(size=N)
    expert = (rng.random(N) > 1 / (1 + np.exp(-1.5 * z))).astype(int)
    expert = np.repeat(expert[::3], 3) if grouped else expert
    y = np.where(expert == 0, 1 + 0.5 * x, 30 - x) + 0.7 * u + 0.8 * rng.normal(size=N)
    counts = rng.poisson(np.exp(np.where(expert == 0, 0.3, 1.5) + 0.2 * (u + 5)))
    return {"x": x, "u": u, "z": z, "y": y, "n": counts, "expert": expert + 1, "id": np.arange(N) // 3}


def gaussian_mixture(v, d, known=None):
    """Independent log-likelihoods of two Gaussian lines, v = (gate 2, experts 3 + 3, log-variances 2)."""
    gate = v[0] + v[1] * d["z"]
    log_pi = np.column_stack([-np.logaddexp(0, -gate), -np.logaddexp(0, gate)])
    mean = np.column_stack([a + b * d["x"] + c * d["u"] for a, b, c in (v[2:5], v[5:8])])
    f = -0.5 * (np.log(2 * np.pi) + v[8:] + (d["y"][:, None] - mean) ** 2 / np.exp(v[8:]))
    joint = log_pi + f
    if known is None:
        return logsumexp(joint, axis=1)
    own = joint[np.arange(len(joint)), np.maximum(known, 0)]
    return np.where(known >= 0, own, logsumexp(joint, axis=1))


def parameters(moe):
    """The user's parameters in the order of `gaussian_mixture`."""
    values = dict(zip(moe.parameter_names_, moe.inference()["estimate"], strict=True))
    names = ["gate:1:(intercept)", "gate:1:z"]
    names += [f"{e}:{t}" for e in (1, 2) for t in ("(intercept)", "x", "u")]
    return names, np.array(
        [values[n] for n in names] + [values["1:log(variance)"], values["2:log(variance)"]]
    )


def hessian(f, v, h):
    """Central differences."""
    P = len(v)
    out = np.empty((P, P))
    for i in range(P):
        for j in range(P):
            a, b = np.eye(P)[i] * h[i], np.eye(P)[j] * h[j]
            out[i, j] = (f(v + a + b) - f(v + a - b) - f(v - a + b) + f(v - a - b)) / (4 * h[i] * h[j])
    return out


# Words, and theta = A phi + b in the user's units, by hand.
def common_u():
    A = np.delete(np.eye(10), 7, axis=1)
    A[7, 4] = 1.0
    return {"common": ["u"]}, A, np.zeros(10)


def common_intercept():
    A = np.delete(np.eye(10), 5, axis=1)
    A[5, 2] = 1.0
    return {"common": ["(intercept)"]}, A, np.zeros(10)


def fixed_everywhere():
    A, b = np.delete(np.eye(10), [4, 7], axis=1), np.zeros(10)
    b[[4, 7]] = 0.6
    return {"fixed": {"u": 0.6}}, A, b


def fixed_in_one():
    A, b = np.delete(np.eye(10), [1, 5], axis=1), np.zeros(10)
    b[1], b[5] = 1.0, 28.0
    return {"fixed": {"2:(intercept)": 28.0, "gate:1:z": 1.0}}, A, b


CASES = {f.__name__: f() for f in (common_u, common_intercept, fixed_everywhere, fixed_in_one)}


@pytest.mark.parametrize("engine", ["native", "array"])
@pytest.mark.parametrize("case", list(CASES))
def test_an_independent_likelihood_agrees_in_value_maximum_and_curvature(case, engine):
    words, A, b = CASES[case]
    d = data()
    moe = MoERegressor(formula="y ~ x + u | z", random_state=0, engine=engine, n_starts=6, **words).fit(d)
    names, v = parameters(moe)
    assert moe.n_parameters_ == A.shape[1]
    assert str(moe.status_).startswith("converged")
    np.testing.assert_allclose(A @ np.linalg.lstsq(A, v - b, rcond=None)[0] + b, v, atol=1e-9)
    assert gaussian_mixture(v, d).sum() == pytest.approx(moe.log_likelihood_, abs=1e-8)

    def negative(phi):
        return -gaussian_mixture(A @ phi + b, d).sum()

    # Centred columns make the optimiser's work easy; the maximum is the same.
    phi = np.linalg.lstsq(A, v - b, rcond=None)[0]
    h = 1e-3 * np.where(np.abs(A.T @ [1, 1, 1, 0.05, 0.2, 1, 0.05, 0.2, 1, 1]) > 0.5, 1, 0.05)
    H = hessian(negative, phi, h)
    scale = 1 / np.sqrt(np.diag(H))
    found = minimize(lambda s: negative(phi + scale * s), 0.1 * np.ones(len(phi)), method="BFGS")
    assert moe.log_likelihood_ >= -found.fun - 1e-5
    expected = A @ np.linalg.inv(H) @ A.T
    ours = moe.covariance_matrix()
    at = [moe.parameter_names_.index(n) for n in [*names, "1:log(variance)", "2:log(variance)"]]
    size = np.sqrt(np.diag(expected))
    size[size == 0] = 1.0
    np.testing.assert_allclose(
        ours[np.ix_(at, at)] / np.outer(size, size), expected / np.outer(size, size), atol=2e-3
    )
    table = moe.inference()
    assert {n for n, note in zip(moe.parameter_names_, table["note"], strict=True) if note == "fixed"} == {
        label
        for label in moe.parameter_names_
        for key in words.get("fixed", {})
        if label in (key, f"1:{key}", f"2:{key}")
    }


def test_both_engines_and_both_ways_of_saying_it():
    d = data()
    how = {"random_state": 0, "n_starts": 6}
    ways = [
        MoERegressor.from_formula("y ~ x + u | z", d, common=["u"], **how),
        MoERegressor.from_formula("y ~ x + common(u) | z", d, **how),
        MoERegressor.from_formula("y ~ x + u | z", d, common=["u"], engine="array", **how),
        MoERegressor.from_formula("y ~ x + u | z", d, common=["u"], solver="em", tol=1e-6, **how),
        MoERegressor(2, gate_features=["z"], expert_features=["x", "u"], common=["u"], **how).fit(
            pytest.importorskip("pandas").DataFrame({n: d[n] for n in ("x", "u", "z")}), d["y"]
        ),
    ]
    for moe in ways[1:]:
        assert moe.log_likelihood_ == pytest.approx(ways[0].log_likelihood_, abs=1e-6)
        assert moe.n_parameters_ == 9
    assert ways[1].measure_.expert_names == ("x", "common(u)")
    free = MoERegressor.from_formula("y ~ x + u | z", d, **how)
    assert free.log_likelihood_ >= ways[0].log_likelihood_
    test = free.likelihood_ratio_test(equal="u")
    assert 2 * (free.log_likelihood_ - ways[0].log_likelihood_) == pytest.approx(test.statistic, abs=1e-5)
    held = MoERegressor.from_formula("y ~ x + u | z", d, fixed={"u": 0.6}, **how)
    test = free.likelihood_ratio_test("1:u = 0.6, 2:u = 0.6")
    assert 2 * (free.log_likelihood_ - held.log_likelihood_) == pytest.approx(test.statistic, abs=1e-5)


def test_one_expert_with_a_fixed_coefficient_is_a_model_with_an_offset():
    statsmodels = pytest.importorskip("statsmodels.api")
    d = data()
    X = np.column_stack([np.ones(N), d["x"]])
    moe = MoERegressor.from_formula("n ~ x + u", d, n_experts=1, family="poisson", fixed={"u": 0.25})
    glm = statsmodels.GLM(d["n"], X, family=statsmodels.families.Poisson(), offset=0.25 * d["u"]).fit(
        tol=1e-12
    )
    assert moe.log_likelihood_ == pytest.approx(glm.llf, abs=1e-8)
    table = moe.inference()
    np.testing.assert_allclose(table["estimate"][:2], glm.params, rtol=1e-6)
    np.testing.assert_allclose(table["std_error"][:2], glm.bse, rtol=1e-5)
    assert table["estimate"][2] == pytest.approx(0.25, abs=1e-12)
    assert table["note"][2] == "fixed"
    origin = MoERegressor.from_formula("y ~ x + u", d, n_experts=1, fixed={"(intercept)": 0.0}, tol=1e-11)
    ols = statsmodels.OLS(d["y"], np.column_stack([d["x"], d["u"]])).fit()
    assert origin.log_likelihood_ == pytest.approx(ols.llf, abs=1e-8)
    np.testing.assert_allclose(origin.inference()["estimate"][1:3], ols.params, rtol=1e-8)


def test_all_columns_common_is_a_mixture_of_intercepts():
    d = data()
    moe = MoERegressor.from_formula("n ~ u | 1", d, family="poisson", common=["u"], random_state=0)

    def negative(v):
        log_pi = np.array([-np.logaddexp(0, -v[0]), -np.logaddexp(0, v[0])])
        eta = v[1:3] + v[3] * d["u"][:, None]
        f = d["n"][:, None] * eta - np.exp(eta) - gammaln(d["n"][:, None] + 1)
        return -logsumexp(log_pi + f, axis=1).sum()

    best = min(
        (
            minimize(negative, start, method="BFGS", options={"gtol": 1e-8})
            for start in ([0, 0.5, 2, 0.1], [0, 2, 0, 0])
        ),
        key=lambda r: r.fun,
    )
    assert moe.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)
    assert moe.measure_.slopes[0, 0, 0] == pytest.approx(best.x[3], abs=1e-4)
    assert moe.measure_.slopes[0] == pytest.approx(moe.measure_.slopes[1], abs=1e-12)


def test_a_label_on_every_row_is_a_regression_an_expert_and_a_logit():
    statsmodels = pytest.importorskip("statsmodels.api")
    d = data()
    X, Z = np.column_stack([np.ones(N), d["x"], d["u"]]), np.column_stack([np.ones(N), d["z"]])
    own = [statsmodels.OLS(d["y"][d["expert"] == e], X[d["expert"] == e]).fit() for e in (1, 2)]
    logit = statsmodels.Logit((d["expert"] == 1).astype(float), Z).fit(disp=0, tol=1e-12)
    for engine in ("native", "array"):
        moe = MoERegressor(formula="y ~ x + u | z", engine=engine, random_state=0).fit(d, partial="expert")
        assert moe.log_likelihood_ == pytest.approx(sum(r.llf for r in own) + logit.llf, abs=1e-7)
        table = moe.inference()
        np.testing.assert_allclose(table["estimate"][:2], logit.params, rtol=1e-5)
        np.testing.assert_allclose(table["std_error"][:2], logit.bse, rtol=1e-5)
        np.testing.assert_allclose(table["estimate"][2:8], np.r_[own[0].params, own[1].params], rtol=1e-6)
        assert moe.icl_ == pytest.approx(moe.bic_, abs=1e-9)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("engine", ["native", "array"])
def test_some_labels(engine, grouped):
    d = data(grouped=grouped)
    known = np.where(d["id"] % 4 == 0, d["expert"], 0)
    labels = np.where(known > 0, known, np.nan)
    words = {"groups": "id"} if grouped else {}
    formula = "y ~ x + u | 1" if grouped else "y ~ x + u | z"
    moe = MoERegressor(formula=formula, engine=engine, random_state=0, n_starts=6)
    moe.fit(d | {"label": labels}, partial="label", **words)
    assert str(moe.status_).startswith("converged")
    flat = {n: v - 0.0 for n, v in d.items()}
    if grouped:
        table = dict(zip(moe.parameter_names_, moe.inference()["estimate"], strict=True))
        v = np.array(
            [
                table["gate:1:(intercept)"],
                0,
                *(table[f"{e}:{t}"] for e in (1, 2) for t in ("(intercept)", "x", "u")),
            ]
        )
        v = np.r_[v, table["1:log(variance)"], table["2:log(variance)"]]

        def each(v):
            gate = np.array([-np.logaddexp(0, -v[0]), -np.logaddexp(0, v[0])])
            mean = np.column_stack([a + b * d["x"] + c * d["u"] for a, b, c in (v[2:5], v[5:8])])
            f = -0.5 * (np.log(2 * np.pi) + v[8:] + (d["y"][:, None] - mean) ** 2 / np.exp(v[8:]))
            joint = gate + np.add.reduceat(f, np.arange(0, N, 3), axis=0)
            own = known[::3] - 1
            return np.where(
                own >= 0, joint[np.arange(len(own)), np.maximum(own, 0)], logsumexp(joint, axis=1)
            )
    else:
        _, v = parameters(moe)

        def each(v):
            return gaussian_mixture(v, flat, known - 1)

    assert each(v).sum() == pytest.approx(moe.log_likelihood_, abs=1e-7)
    free = np.delete(np.arange(10), 1) if grouped else np.arange(10)
    h = np.array([1e-4, 1e-4, 1e-4, 5e-6, 1e-5, 1e-4, 5e-6, 1e-5, 1e-4, 1e-4])
    scores = np.column_stack(
        [(each(v + h[i] * np.eye(10)[i]) - each(v - h[i] * np.eye(10)[i])) / (2 * h[i]) for i in free]
    )
    assert np.abs(scores.sum(axis=0) * h[free]).max() < 1e-4
    H = hessian(lambda p: each(v + np.eye(10)[:, free] @ p).sum(), np.zeros(len(free)), 10 * h[free])
    inverse = np.linalg.inv(H)
    names = moe.parameter_names_
    at = [names.index(n) for n in ["gate:1:(intercept)", *([] if grouped else ["gate:1:z"])]]
    at += [names.index(f"{e}:{t}") for e in (1, 2) for t in ("(intercept)", "x", "u")]
    at += [names.index("1:log(variance)"), names.index("2:log(variance)")]
    for kind, matrix in (("observed", -inverse), ("sandwich", inverse @ scores.T @ scores @ inverse)):
        ours = moe.covariance_matrix(kind)[np.ix_(at, at)]
        np.testing.assert_allclose(np.sqrt(np.diag(ours)), np.sqrt(np.diag(matrix)), rtol=5e-3)
    r = moe.responsibilities(d)
    assert (r.argmax(axis=1) == d["expert"] - 1).mean() > 0.7  # not the other way round: labels stay


def test_labels_follow_weights_duplicates_and_missing_rows():
    d = data()
    labels = np.where(d["id"] % 4 == 0, d["expert"], 0).astype(object)
    labels[labels == 0] = None
    how = {"formula": "y ~ x + u | z", "random_state": 0, "n_starts": 4}
    twice = {n: np.r_[v, v[:40]] for n, v in d.items()}
    w = np.r_[np.full(40, 2.0), np.ones(N - 40)]
    a = MoERegressor(**how).fit(d, sample_weight=w, partial=labels)
    b = MoERegressor(**how).fit(twice, partial=np.r_[labels, labels[:40]])
    assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, abs=1e-8)
    holes = d | {"u": np.where(np.arange(N) < 3, np.nan, d["u"])}
    c = MoERegressor(missing="drop", **how).fit(holes, partial=labels)
    e = MoERegressor(**how).fit({n: v[3:] for n, v in d.items()}, partial=labels[3:])
    assert c.log_likelihood_ == e.log_likelihood_
    none = MoERegressor(**how).fit(d, partial=np.full(N, np.nan))
    assert none.log_likelihood_ == MoERegressor(**how).fit(d).log_likelihood_


def test_experts_stand_in_the_order_that_was_asked_for():
    d = data()
    how = {"formula": "y ~ x + u | z", "n_starts": 6}
    for seed in range(3):
        by_mean = MoERegressor(random_state=seed, order_by="mean", **how).fit(d)
        means = [by_mean.predict_distribution({n: v.mean(keepdims=True) for n, v in d.items()})]
        fitted = by_mean._fitted().expert_means(np.array([[d["x"].mean(), d["u"].mean()]]))[0, :, 0]
        assert (np.diff(fitted) > 0).all()
        assert means
        by_x = MoERegressor(random_state=seed, order_by="x", **how).fit(d)
        assert by_x.measure_.slopes[0, 0, 0] < by_x.measure_.slopes[1, 0, 0]
        by_share = MoERegressor(random_state=seed, order_by="share", **how).fit(d)
        assert by_share.fit_.mass[0] > by_share.fit_.mass[1]
        assert by_x.log_likelihood_ == pytest.approx(by_share.log_likelihood_, abs=1e-8)
    counts = MoERegressor.from_formula("n ~ u | 1", d, family="poisson", order_by="mean", random_state=1)
    assert counts.measure_.intercepts[0, 0] < counts.measure_.intercepts[1, 0]


def test_the_gate_is_told_against_the_expert_that_was_asked_for(tmp_path):
    d = data()
    how = {"formula": "y ~ x | z", "n_experts": 3, "random_state": 0, "n_starts": 4}
    last = MoERegressor(**how).fit(d)
    first = MoERegressor(reference_expert=1, **how).fit(d)
    V, names = last.covariance_matrix(), last.parameter_names_
    told = dict(
        zip(
            first.parameter_names_,
            zip(*(first.inference()[c] for c in ("estimate", "std_error")), strict=True),
            strict=True,
        )
    )
    value = dict(zip(names, last.inference()["estimate"], strict=True))
    assert [n for n in first.parameter_names_ if n.startswith("gate:1:")] == []
    for term in ("(intercept)", "z"):
        a, b = names.index(f"gate:1:{term}"), names.index(f"gate:2:{term}")
        assert told[f"gate:3:{term}"] == pytest.approx((-value[f"gate:1:{term}"], np.sqrt(V[a, a])), rel=1e-6)
        expected = value[f"gate:2:{term}"] - value[f"gate:1:{term}"], np.sqrt(V[a, a] + V[b, b] - 2 * V[a, b])
        assert told[f"gate:2:{term}"] == pytest.approx(expected, rel=1e-6)
    one = first.likelihood_ratio_test("gate:2:z = 0")
    assert one.statistic == pytest.approx(
        last.likelihood_ratio_test("gate:1:z = gate:2:z").statistic, abs=1e-5
    )
    assert np.array_equal(first.predict(d), last.predict(d))
    assert "Gate (log odds against expert 1)" in first.summary()
    first.save(tmp_path / "m.json")
    assert load_model(tmp_path / "m.json").summary() == first.summary()
    for wrong in (0, 4, "1", 1.5):
        with pytest.raises(DataError, match="must be an expert from 1 to 3"):
            MoERegressor(reference_expert=wrong, **how).fit(d)


def test_classes():
    d = data()
    rng = np.random.default_rng(0)
    d["c"] = np.array(["a", "b", "c"])[rng.integers(0, 3, N)]
    one = MoEClassifier.from_formula("c ~ x + u", d, n_experts=1, fixed={"a:u": 0.5, "x": 0.0})
    assert one.n_parameters_ == 3
    assert one.inference()["note"].count("fixed") == 3
    assert one.measure_.slopes[0, 0] == pytest.approx([0.0, 0.5], abs=1e-12)
    both = MoEClassifier.from_formula("c ~ u | 1", d, common=["u"], random_state=0, n_starts=4)
    assert both.measure_.slopes[0] == pytest.approx(both.measure_.slopes[1], abs=1e-10)
    assert both.n_parameters_ == 1 + 4 + 2


def test_the_reference_class_is_the_last_that_levels_names(tmp_path):
    d = data()
    d["c"] = np.array(["a", "b", "c"])[np.random.default_rng(0).integers(0, 3, N)]
    how = {"n_experts": 1}
    usual, told = (MoEClassifier(formula="c ~ x", levels=v, **how).fit(d) for v in (None, ["c", "a", "b"]))
    assert told.classes_.tolist() == ["c", "a", "b"]
    assert told.log_likelihood_ == pytest.approx(usual.log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(told.predict_proba(d)[:, [1, 2, 0]], usual.predict_proba(d), atol=1e-5)
    assert (told.predict(d) == usual.predict(d)).all()
    names = [n for n in told.parameter_names_ if n.endswith(":x")]
    assert names == ["1:c:x", "1:a:x"]
    assert "Experts (log odds against b)" in told.summary()
    held = MoEClassifier.from_formula("c ~ x", d, n_experts=1, fixed={"c:x": 0.0}, levels=["c", "a", "b"])
    proba = held.predict_proba({"x": np.array([-2.0, 2.0])})
    assert proba[0, 0] / proba[0, 2] == pytest.approx(proba[1, 0] / proba[1, 2])
    (tmp_path / "c.csv").write_text(
        "c,x\n" + "\n".join(f"{c},{x}" for c, x in zip(d["c"], d["x"], strict=True)) + "\n"
    )
    words = ["fit", str(tmp_path / "c.csv"), "-f", "c ~ x", "--family", "multinomial", "-k", "1"]
    done = CliRunner().invoke(main, [*words, "--levels", "c,a,b", "--out", str(tmp_path / "c.json")])
    assert done.exit_code == 0, done.output
    again = load_model(tmp_path / "c.json")
    assert again.levels == ["c", "a", "b"]
    assert (again.predict(d) == usual.predict(d)).all()
    number = MoEClassifier(1, formula="n ~ x", levels=["2", "0", "1"]).fit(d | {"n": d["id"] % 3})
    assert number.classes_.tolist() == [2, 0, 1]
    arrays = MoEClassifier(1, levels=["c", "a", "b"])
    arrays.fit(d["x"][:, None], d["c"])
    assert arrays.log_likelihood_ == told.log_likelihood_


def test_one_row_that_knows_its_expert_speaks_for_its_group():
    d = data(grouped=True)
    known = d["id"] % 4 == 0
    every = np.where(known, d["expert"], np.nan)
    first = np.unique(d["id"], return_index=True)[1]
    some = np.where(np.isin(np.arange(N), first), every, np.nan)
    how = {"n_experts": 2, "random_state": 0, "n_starts": 2, "groups": "id"}
    a, b = (MoERegressor.from_formula("y ~ x | 1", d, partial=p, **how) for p in (every, some))
    assert a.log_likelihood_ == b.log_likelihood_
    some[np.flatnonzero(d["id"] == d["id"][first[0]])[1]] = 3 - d["expert"][first[0]]
    some[first[0]] = d["expert"][first[0]]
    with pytest.raises(DataError, match=r"partial names experts . and . in the group"):
        MoERegressor.from_formula("y ~ x | 1", d, partial=some, **how)


def test_common_effects_of_a_category():
    d = data()
    d["g"] = np.array(["p", "q"])[np.arange(N) % 2]
    with pytest.raises(DataError, match=r"write g alone, and common=\['g'\] beside it"):
        MoERegressor.from_formula("y ~ x + common(C(g))", d)
    moe = MoERegressor.from_formula("y ~ x + g", d, common=["g"], random_state=0, n_starts=2)
    assert moe.measure_.slopes[0, 0, 1] == moe.measure_.slopes[1, 0, 1]


def test_files_summary_and_refits(tmp_path):
    d = data()
    moe = MoERegressor.from_formula(
        "y ~ x + u | z", d, common=["u"], fixed={"2:x": -1.0}, random_state=0, n_starts=6, engine="array"
    )
    moe.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert again.get_params() == moe.get_params()
    assert again.inference()["std_error"] == moe.inference()["std_error"]
    assert again.summary() == moe.summary()
    assert "the same in every expert: u" in moe.summary()
    assert "fixed: 2:x = -1" in moe.summary()
    wald = moe.wald_test("1:u = 0.7")
    assert wald.df == 1
    boot = moe.inference("bootstrap", n_bootstrap=8, random_state=0)
    assert boot["std_error"][moe.parameter_names_.index("2:x")] is None
    damaged = json.loads((tmp_path / "m.json").read_text())
    damaged["model"]["constraints"]["common"] = [7]
    (tmp_path / "bad.json").write_text(json.dumps(damaged))
    with pytest.raises(DataError, match="column"):
        load_model(tmp_path / "bad.json")


def test_criteria_count_what_is_free():
    d = data()
    moe = MoERegressor(
        "bic", max_experts=3, formula="y ~ x + u | z", common=["u"], random_state=0, n_starts=6
    ).fit(d)
    table = moe.selection_
    assert table["df"] == [4, 9, 14]
    assert all(
        a <= b + 1e-6 for a, b in zip(table["log_likelihood"], table["log_likelihood"][1:], strict=False)
    )


@pytest.mark.parametrize(
    ("words", "fit", "match"),
    [
        ({"common": "u"}, {}, "common must be a list of columns"),
        ({"common": ["v"]}, {}, "common names 'v', which is no column of the experts: these are x, u"),
        ({"fixed": {"v": 0.0}}, {}, "fixed names 'v', which is no coefficient: these are"),
        ({"fixed": {"3:x": 0.0}}, {}, "fixed names '3:x'"),
        ({"fixed": {"x": "a"}}, {}, "fixed holds 'x' at 'a': give a finite number"),
        ({"fixed": {"x": np.nan}}, {}, "give a finite number"),
        ({"fixed": ["x"]}, {}, "fixed must map coefficients to values"),
        ({"fixed": {"x": 1.0, "2:x": 2.0}}, {}, "contradict each other"),
        ({"common": ["x"], "fixed": {"1:x": 1.0, "2:x": 2.0}}, {}, "contradict each other"),
        ({"n_experts": "bic", "fixed": {"1:x": 1.0}}, {}, "only where n_experts is a number"),
        ({"order_by": "v"}, {}, "order_by names 'v'"),
        ({"order_by": "u", "common": ["u"]}, {}, "orders nothing"),
        ({"order_by": "x", "fixed": {"1:u": 0.0}}, {}, "order_by has nothing to order"),
        ({"order_by": "x"}, {"partial": "expert"}, "order_by has nothing to order"),
        ({"penalty": "l1", "common": ["u"]}, {}, "common does not go with a penalty"),
        ({"penalty": "l1"}, {"partial": "expert"}, "penalised fits take no partial labels"),
        ({"top_k": 1}, {"partial": "expert"}, "leave out top_k"),
        ({}, {"partial": "nobody"}, "column 'nobody' is missing"),
        ({}, {"partial": np.full(N, 3)}, "partial names expert 3: give experts from 1 to 2"),
        ({}, {"partial": np.full(N, 1.5)}, "partial names expert 1.5"),
        ({}, {"partial": np.full(N, "one")}, "partial holds text"),
        ({}, {"partial": [1, 2]}, "partial has shape"),
        ({"n_experts": "bic"}, {"partial": "expert"}, "n_experts must be a number"),
        ({"formula": "y ~ x | common(z)"}, {}, "common(...) belongs to the experts' part"),
        ({"formula": "y ~ common(x, 2)"}, {}, "common takes one argument"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words, fit, match):
    import re

    with pytest.raises(DataError, match=re.escape(match)):
        MoERegressor(**{"formula": "y ~ x + u | z", "n_starts": 1, **words}).fit(data(), **fit)


def test_a_column_that_is_only_called_so_is_not_common():
    d = data()
    frame = {"in common(EUR)": d["x"], "u": d["u"]}
    pandas = pytest.importorskip("pandas")
    fit = MoERegressor(n_starts=1, random_state=0).fit(pandas.DataFrame(frame), d["y"])
    plain = MoERegressor(n_starts=1, random_state=0).fit(np.column_stack(list(frame.values())), d["y"])
    assert fit.log_likelihood_ == plain.log_likelihood_
    assert fit.n_parameters_ == plain.n_parameters_
    LocatedMoERegressor(1, n_starts=1).fit(pandas.DataFrame(frame), d["y"])  # is not refused


def test_where_a_word_is_not_known():
    d = data()
    with pytest.raises(DataError, match=r"located models take no partial labels"):
        LocatedMoERegressor(2, formula="y ~ x").fit(d, partial="expert")
    with pytest.raises(DataError, match=r"located models take no common"):
        LocatedMoERegressor(2, formula="y ~ common(x)").fit(d)
    with pytest.raises(DataError, match="order_by='mean' needs a response of numbers"):
        MoEClassifier(1, formula="expert ~ x", order_by="mean").fit(d)
    with pytest.raises(DataError, match="give the labels themselves"):
        MoERegressor().fit(d["x"][:, None], d["y"], partial="expert")


def test_elimination_by_hand():
    free, A, b = eliminated(
        np.array([[1.0, -1, 0, 0], [0, 1, -1, 0], [0, 0, 0, 2]]), np.array([0.0, 0, 3]), np.zeros(4, bool)
    )
    assert free.tolist() == [True, False, False, False]
    assert np.array_equal(A, [[1], [1], [1], [0]])
    assert np.array_equal(b, [0, 0, 0, 1.5])
    with pytest.raises(DataError, match="contradict"):
        eliminated(np.array([[1.0, -1], [2.0, -2]]), np.array([0.0, 1.0]), np.zeros(2, bool))
    free, _, _ = eliminated(np.array([[1.0, -1], [2.0, -2]]), np.zeros(2), np.zeros(2, bool))
    assert free.sum() == 1


@pytest.mark.parametrize("far", [0.0, 1e3, 1e9])
@pytest.mark.parametrize("words", [{"common": ["x"]}, {"common": ["(intercept)"]}, {"fixed": {"2:x": 3.0}}])
def test_a_file_holds_what_the_constraints_say_to_the_last_digits(tmp_path, words, far):
    r = np.random.default_rng(4)
    x = r.normal(size=60)
    y = np.where(r.random(60) < 0.5, 2 * x, 3 - x) + 0.3 * r.normal(size=60)
    frame = {"x": far + x, "y": y}
    moe = MoERegressor(2, formula="y ~ x | 1", n_starts=2, random_state=0, **words).fit(frame)
    moe.save(tmp_path / "m.json")
    theta = moe.fit_.theta
    coordinates = moe.fit_.coordinates
    assert np.array_equal(load_model(tmp_path / "m.json").fit_.theta, theta)
    phi = coordinates.map.read(theta)
    assert np.allclose(coordinates.collapse(theta), phi, rtol=1e-6, atol=1e-6)
    assert np.abs(coordinates.expand(phi) - theta).max() <= coordinates.map.rounding(phi).max()
    moved = theta + np.diag(1e-3 * (1 + np.abs(theta)))
    allowed = [coordinates.allow(one, 1e-9) for one in moved]
    assert any(allowed) and not all(allowed)


def test_the_shell(tmp_path):
    pandas = pytest.importorskip("pandas")
    d = data()
    d["label"] = np.where(np.arange(N) < 40, d["expert"], np.nan)
    pandas.DataFrame(d).to_csv(tmp_path / "d.csv", index=False)
    call = ["fit", str(tmp_path / "d.csv"), "-f", "y ~ x + u | z", "-k", "2", "--starts", "4"]
    done = CliRunner().invoke(main, [*call, "--common", "u", "--fixed", "2:x=-1", "--partial", "label"])
    assert "the same in every expert: u" in done.output
    assert "fixed: 2:x = -1" in done.output
    assert "experts that rows are known to have" in done.output
    done = CliRunner().invoke(main, [*call, "--order-by", "x"])
    assert done.exit_code == 0
    for wrong, match in (
        (["--fixed", "x"], "write a coefficient and its value"),
        (["--fixed", "x=a"], "write a coefficient and its value"),
        (["--common", "v"], "common names 'v'"),
        (["--gate", "gaussian", "--common", "u"], "--common has no meaning for --gate gaussian"),
        (["--penalty", "l1", "--partial", "label"], "--partial does not go with --penalty"),
    ):
        done = CliRunner().invoke(main, [*call[:-2], *wrong])
        assert done.exit_code == 2
        assert match in done.output

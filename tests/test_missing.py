"""Rows with missing values, and columns of categories without a formula."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, load_model, select_experts
from moestro.cli.main import main
from moestro.errors import DataError
from moestro.penalties import L1

pandas = pytest.importorskip("pandas")
KINDS = {
    "softmax": (MoERegressor, {}),
    "penalised": (MoERegressor, {"penalty": L1(0.1), "n_starts": 2}),
    "located": (LocatedMoERegressor, {"n_starts": 2}),
    "classes": (MoEClassifier, {"n_experts": 1}),
}


def data(n: int = 160, seed: int = 5) -> "pandas.DataFrame":
    rng = np.random.default_rng(seed)
    x, u = rng.uniform(-2, 2, n), rng.normal(size=n)
    g = np.array(["north", "south", "east"])[rng.integers(0, 3, n)]
    side = rng.random(n) < 1 / (1 + np.exp(-2 * x))
    y = np.where(side, 1 + x, 4 - x) + (g == "south") + 0.3 * rng.normal(size=n)
    c = np.where(y > np.median(y), "high", "low")
    return pandas.DataFrame({"x": x, "u": u, "g": g, "y": y, "c": c, "who": np.arange(n) // 4})


def with_holes(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    out = frame.copy()
    out.loc[[3, 17], "x"] = np.nan
    out.loc[[17, 40], "u"] = np.nan
    out.loc[50, ["y", "c"]] = None
    return out


def equal(a, b) -> bool:
    return np.array_equal(np.asarray(a, dtype=float), np.asarray(b, dtype=float), equal_nan=True)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("formula", [True, False])
def test_a_row_with_a_hole_is_a_row_that_is_not_there(kind, formula):
    estimator, words = KINDS[kind]
    y = "c" if kind == "classes" else "y"
    holes, full = with_holes(data()), data()
    rows = np.delete(np.arange(len(full)), [3, 17, 40, 50])
    words = {"random_state": 0, **words, **({"formula": f"{y} ~ x + u"} if formula else {})}

    def given(frame):
        return (frame,) if formula else (frame[["x", "u"]], frame[y])

    moe = estimator(missing="drop", **words).fit(*given(holes))
    alone = estimator(**words).fit(*given(full.iloc[rows]))
    assert moe.log_likelihood_ == alone.log_likelihood_
    dropped = moe.dropped_
    assert (dropped.rows, dropped.of) == (4, 160)
    assert dict(dropped.columns) == {"x": 2, "u": 2, y if formula else "y": 1}
    assert "4 of 160 rows left out" in moe.summary()
    assert alone.dropped_ is None

    X = given(holes)[0] if formula else holes[["x", "u"]]
    seen = np.delete(np.arange(len(full)), [3, 17, 40])
    predicted = moe.predict(X)
    assert pandas.isna(predicted[[3, 17, 40]]).all()
    assert np.array_equal(predicted[seen], alone.predict(X.iloc[seen]))
    assert equal(moe.gate_proba(X)[rows], alone.gate_proba(X.iloc[rows]))
    r, d = moe.responsibilities(*given(holes)), moe.log_density(*given(holes))
    assert np.isnan(r[[3, 17, 40, 50]]).all()
    assert np.isnan(d[[3, 17, 40, 50]]).all()
    assert equal(d[rows], alone.log_density(*given(full.iloc[rows])))
    assert moe.score(*given(holes)) == alone.score(*given(full.iloc[rows]))
    assert moe.assign(*given(holes))["expert"][3] is None
    assert pandas.isna(moe.sample(X, random_state=0)[[3, 17, 40]]).all()
    with pytest.raises(
        DataError, match=r"'x' has missing values in 2 rows \(the first is row 4\), .*4 rows in all"
    ):
        estimator(**words).fit(*given(holes))
    with pytest.raises(DataError, match=r"'u' has missing values in 2 rows.* 3 rows in all"):
        alone.predict(X)


def test_laws_and_averages_leave_rows_out():
    holes, full = with_holes(data()), data()
    rows = np.delete(np.arange(len(full)), [3, 17, 40])
    for family in ("gaussian", "poisson"):
        frame, clean = holes.copy(), full.copy()
        if family == "poisson":
            frame["y"], clean["y"] = (np.round(np.exp(f["y"] / 3)) for f in (holes, full))
        moe = MoERegressor(1, formula="y ~ x + u", family=family, missing="drop").fit(frame)
        law, alone = moe.predict_distribution(frame), moe.predict_distribution(clean.iloc[rows])
        every = {
            "mean": (),
            "variance": (),
            "cdf": (1.0,),
            "log_pdf": (1.0,),
            "quantile": (0.3,),
            "interval": (),
        }
        for name, args in every.items():
            ours, theirs = getattr(law, name)(*args), getattr(alone, name)(*args)
            assert np.isnan(np.asarray(ours)[..., [3, 17, 40]]).all()
            assert equal(np.asarray(ours)[..., rows], theirs)
        assert equal(law.sample(random_state=1)[rows], alone.sample(random_state=1))
        table, same = moe.margins(frame, of="mixture"), moe.margins(clean.iloc[rows], of="mixture")
        assert table["estimate"] == same["estimate"]
        assert np.isnan(moe.quantile_residuals(frame, random_state=0)[50])


def test_groups_weights_and_clusters_follow_their_rows():
    holes, full = with_holes(data()), data()
    holes.loc[[60, 61, 62, 63], "x"] = np.nan  # a whole group
    rows = np.delete(np.arange(len(full)), [3, 17, 40, 50, 60, 61, 62, 63])
    w = 1.0 + np.arange(len(full)) // 4 % 3
    words = {"formula": "y ~ x + u | 1", "random_state": 0}
    moe = MoERegressor(missing="drop", **words).fit(holes, sample_weight=w, groups="who")
    alone = MoERegressor(**words).fit(full.iloc[rows], sample_weight=w[rows], groups="who")
    assert moe.log_likelihood_ == alone.log_likelihood_
    per = moe.log_density(holes, groups="who")
    assert per.shape == (40,)
    assert np.isnan(per[15])
    assert equal(np.delete(per, 15), alone.log_density(full.iloc[rows], groups="who"))
    past = (holes.iloc[:80], None, "who")
    after = moe.predict(holes, groups="who", history=past)
    assert np.isnan(after[[3, 60]]).all()
    assert np.isfinite(after[rows]).all()
    single = MoERegressor(missing="drop", **words).fit(holes)
    reference = MoERegressor(**words).fit(full.iloc[rows])
    ours = single.inference("cluster", cluster=full["who"])["std_error"]
    assert ours == reference.inference("cluster", cluster=full["who"].iloc[rows])["std_error"]


def test_all_rows_and_no_row():
    frame = data()
    moe = MoERegressor(formula="y ~ x + g", missing="drop", n_experts=1).fit(frame)
    assert moe.dropped_.rows == 0
    assert "left out" not in moe.summary()
    nothing = frame.assign(x=np.nan)
    assert np.isnan(moe.predict(nothing)).all()
    with pytest.raises(DataError, match="every row has a missing value"):
        MoERegressor(formula="y ~ x", missing="drop").fit(nothing)
    with pytest.raises(DataError, match="missing='omit' is unknown: choose one of error, drop"):
        MoERegressor(missing="omit").fit(frame[["x"]], frame["y"])
    with pytest.raises(DataError, match="'x' is infinite in row 2"):
        MoERegressor(formula="y ~ x", missing="drop").fit(frame.assign(x=np.r_[0.0, np.inf, np.ones(158)]))
    with pytest.raises(DataError, match="column 'x0' is infinite in row 2"):
        MoERegressor(missing="drop").fit(np.r_[0.0, np.inf, np.ones(158)][:, None], frame["y"])


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("formula", [None, "y ~ x"])
def test_columns_of_other_lengths_are_refused_by_name(formula, missing):
    x, y = with_holes(data())["x"].to_numpy(), with_holes(data())["y"].to_numpy()
    given = x[:, None] if formula is None else {"x": x}
    with pytest.raises(DataError, match=r"different numbers of rows: 'x0?' has 160, 'y' has 159"):
        MoERegressor(formula=formula, missing=missing).fit(given, y[:-1])


def test_a_response_of_one_column_is_that_column():
    d = with_holes(data())
    moe = MoERegressor(1, formula="y ~ x", missing="drop")
    with pytest.warns(UserWarning, match="column-vector"):
        as_frame = moe.fit(d, d[["y"]]).log_likelihood_
    assert moe.dropped_.columns == (("x", 2), ("y", 1))
    assert as_frame == moe.fit(d, d["y"]).log_likelihood_


def test_a_response_of_three_columns_is_no_proportion():
    d = {"x": np.arange(6.0), "s": np.ones(6), "t": np.full(6, 2.0)}
    moe = MoERegressor(1, family="binomial", formula="prop(s, t) ~ x")
    with pytest.raises(DataError, match="reads s, t: leave y out"):
        moe.fit(d, np.ones((6, 3)))


def test_sparse_and_lists():
    sparse = pytest.importorskip("scipy.sparse")
    holes, full = with_holes(data()), data()
    rows = np.delete(np.arange(len(full)), [3, 17, 40])
    words = {"n_experts": 1, "penalty": L1(0.1), "random_state": 0}
    moe = MoERegressor(missing="drop", **words).fit(
        sparse.csr_matrix(holes[["x", "u"]].to_numpy()), full["y"]
    )
    alone = MoERegressor(**words).fit(
        sparse.csr_matrix(full[["x", "u"]].to_numpy()[rows]), full["y"].iloc[rows]
    )
    assert moe.log_likelihood_ == alone.log_likelihood_
    assert dict(moe.dropped_.columns) == {"x0": 2, "x1": 2}
    listed = MoERegressor(1, missing="drop").fit(
        [[1.0], [None], [2.0], [4.0], [3.0]], [1.0, 2.0, 2.5, 3.0, 3.0]
    )
    assert listed.dropped_.rows == 1


@pytest.mark.parametrize("estimator", [MoERegressor, LocatedMoERegressor])
def test_files_and_the_shell(estimator, tmp_path):
    holes = with_holes(data())
    moe = estimator(1, formula="y ~ x + u", missing="drop").fit(holes)
    moe.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert again.dropped_ == moe.dropped_
    assert again.missing == "drop"
    assert equal(again.predict(holes), moe.predict(holes))

    holes.to_csv(tmp_path / "d.csv", index=False)

    def call(*args):
        return CliRunner().invoke(main, [str(a) for a in args])

    gate = ["--gate", "gaussian"] if estimator is LocatedMoERegressor else []
    fit = ["fit", tmp_path / "d.csv", "-f", "y ~ x + u", "-k", 1, *gate]
    refused = call(*fit)
    assert refused.exit_code == 2
    assert "4 rows in all" in refused.output
    done = call(*fit, "--missing", "drop", "--out", tmp_path / "c.json")
    assert "Missing values  4 of 160 rows left out: 'u' in 2, 'x' in 2, 'y' in 1" in done.output
    assert load_model(tmp_path / "c.json").missing == "drop"
    shown = call("predict", tmp_path / "c.json", tmp_path / "d.csv")
    lines = shown.output.splitlines()[1:]
    assert len(lines) == 160
    assert set(lines[3]) == {","}
    first = float(lines[0].split(",")[0])
    assert first == pytest.approx(moe.predict(holes)[0], rel=1e-6)
    assert call("predict", tmp_path / "c.json", tmp_path / "d.csv", "--missing", "error").exit_code == 2
    damaged = json.loads((tmp_path / "c.json").read_text())
    damaged["dropped"]["rows"] = 10**6
    (tmp_path / "bad.json").write_text(json.dumps(damaged))
    with pytest.raises(DataError, match="number of rows left out"):
        load_model(tmp_path / "bad.json")


def test_select_experts_leaves_rows_out():
    holes, full = with_holes(data()), data()
    rows = np.delete(np.arange(len(full)), [3, 50])
    how = {"random_state": 0, "n_experts": [1, 2]}
    ours = select_experts("y ~ log(x + 5) + g", holes.assign(u=0), missing="drop", **how)
    same = select_experts("y ~ log(x + 5) + g", full.iloc[np.delete(np.arange(160), [3, 17, 50])], **how)
    assert rows.size == 158
    assert ours.table["log_likelihood"] == same.table["log_likelihood"]


# Categories


def frames():
    frame = data()
    yield frame[["x", "g"]]
    yield frame[["x", "g"]].astype({"g": "category"}).set_index(frame.index[::-1])
    polars = pytest.importorskip("polars")
    yield polars.DataFrame({"x": frame["x"].to_numpy(), "g": frame["g"].tolist()})
    yield polars.DataFrame({"x": frame["x"].to_numpy(), "g": frame["g"].tolist()}).with_columns(
        polars.col("g").cast(polars.Categorical)
    )


@pytest.mark.parametrize("which", range(4))
def test_categories_are_those_of_a_formula(which, tmp_path):
    X, y = list(frames())[which], data()["y"]
    moe = MoERegressor(random_state=0).fit(X, y)
    formula = MoERegressor.from_formula("y ~ x + g", data(), random_state=0)
    assert moe.measure_.expert_names == formula.measure_.expert_names == ("x", "g[T.north]", "g[T.south]")
    assert moe.log_likelihood_ == pytest.approx(formula.log_likelihood_, abs=1e-8)
    assert np.allclose(moe.predict(X), formula.predict(data()), rtol=1e-6)
    assert moe.n_features_in_ == 2
    assert moe.feature_names_in_.tolist() == ["x", "g"]
    moe.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert np.array_equal(again.predict(X), moe.predict(X))
    west = pandas.DataFrame({"x": [0.0], "g": ["west"]})
    for model in (moe, again):
        with pytest.raises(
            DataError, match=r"'g' has the level 'west', .* the known levels are east, north, south"
        ):
            model.predict(west)
    effects = moe.margins(X, of="mixture")
    assert effects["contrast"] == ["slope", "north - east", "south - east"]
    theirs = formula.margins(data(), of="mixture", variables=["x", "g"])
    assert np.allclose(effects["estimate"], theirs["estimate"], rtol=1e-4)


def test_a_categorical_says_which_level_is_the_reference():
    frame = data()
    order = ["south", "east", "nowhere", "north"]
    frame["g"] = pandas.Categorical(frame["g"], categories=order)
    names = ("g[T.east]", "g[T.north]")
    assert MoERegressor(1).fit(frame[["g"]], frame["y"]).measure_.expert_names == names
    for formula in ("y ~ g", "y ~ C(g)"):
        moe = MoERegressor.from_formula(formula, frame, n_experts=1)
        assert [n.replace("C(g)", "g") for n in moe.measure_.expert_names] == list(names)
        assert np.allclose(moe.predict(frame.astype({"g": str})), moe.predict(frame))
        with pytest.raises(DataError, match="'g' has the level 'nowhere'"):
            moe.predict(frame.assign(g="nowhere"))
    polars = pytest.importorskip("polars")
    enum = polars.DataFrame({"g": frame["g"].tolist()}).with_columns(polars.col("g").cast(polars.Enum(order)))
    assert MoERegressor(1).fit(enum, frame["y"]).measure_.expert_names == names
    numbers = frame.assign(g=pandas.Categorical((np.arange(160) % 3) * 10))
    for moe in (
        MoERegressor.from_formula("y ~ g", numbers, n_experts=1),
        MoERegressor(1).fit(numbers[["g"]], numbers["y"]),
    ):
        assert moe.measure_.expert_names == ("g[T.10]", "g[T.20]")
        assert np.allclose(moe.predict(numbers[["g"]].astype(int)), moe.predict(numbers[["g"]]))


def test_categories_of_gate_and_experts_by_name():
    frame = data()
    X, y = frame[["x", "g"]], frame["y"]
    moe = MoERegressor(expert_features=["g"], gate_features=["x"], random_state=0).fit(X, y)
    assert moe.measure_.expert_names == ("g[T.north]", "g[T.south]")
    assert moe.measure_.gate_names == ("x",)
    held = MoERegressor(penalty=L1(0.1), n_starts=2, gate_features=["x"], random_state=0).fit(X, y)
    assert held.support_.shape == (2,)
    located = LocatedMoERegressor(1).fit(X, y)
    assert located.measure_.d == 3
    classes = MoEClassifier(1, gate_transform="tanh").fit(X, frame["c"])
    assert classes.measure_.gate_names == ("tanh(x)", "tanh(g[T.north])", "tanh(g[T.south])")
    whole = X.to_numpy()
    with pytest.warns(UserWarning, match="valid feature names"):
        assert np.array_equal(classes.predict(whole), classes.predict(X))
    with pytest.raises(DataError, match="'g' holds categories: give a frame"):
        classes.predict(np.zeros((3, 2)))
    with pytest.raises(DataError, match="'x' holds text, but the model was fitted on numbers"):
        classes.predict(X.assign(x="a"))
    holes = X.assign(g=np.where(np.arange(160) == 7, None, X["g"]), flag=np.arange(160) % 2 == 0)
    dropped = MoERegressor(1, missing="drop").fit(holes, y)
    assert dict(dropped.dropped_.columns) == {"g": 1}
    assert dropped.measure_.expert_names[-1] == "flag"
    with pytest.raises(DataError, match="'g' has missing values in row 8"):
        MoERegressor(1).fit(holes, y)

"""Formulas: the same model through every frame library, remembered levels, and no code."""

import numpy as np
import pytest

from conftest import two_lines
from moestro import (
    DataError,
    LocatedMoERegressor,
    MoEClassifier,
    MoERegressor,
    load_dataset,
    load_model,
    select_experts,
)
from moestro.design.expressions import ELEMENTWISE
from moestro.design.formula import FormulaDesign, FormulaSide
from moestro.design.grammar import split
from moestro.design.response import numeric_response
from moestro.tables import Table

pytest.importorskip("formulaic")


def frame(n=200, seed=0):
    x, y = two_lines(n, seed)
    rng = np.random.default_rng(seed)
    return {
        "y": y,
        "x": x[:, 0],
        "z": rng.standard_normal(n),
        "g": np.array(["u", "v", "w"])[rng.integers(0, 3, n)].astype(object),
    }


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("y ~ a", ("y", "a", None)),
        ("y ~ a + b | c", ("y", "a + b", "c")),
        ("log(y)~a|1", ("log(y)", "a", "1")),
    ],
)
def test_parts(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize("text", ["", "y", "y ~", "~ x", "y ~ x | ", "y ~ x | z | w", "y ~ x ~ z"])
def test_formulas_that_are_none(text):
    with pytest.raises(DataError, match="formula"):
        split(text)


def test_a_formula_is_the_matrix_that_it_says():
    data = frame()
    model = MoERegressor.from_formula("y ~ x + z | x", data, random_state=0)
    wide = np.column_stack([data["x"], data["z"]])
    plain = MoERegressor(gate_features=[0], random_state=0).fit(wide, data["y"])
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-9)
    np.testing.assert_allclose(model.predict(data), plain.predict(wide), atol=1e-8)
    assert model.measure_.expert_names == ("x", "z")
    assert model.measure_.gate_names == ("x",)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_the_same_through_every_frame_library(backend):
    pytest.importorskip(backend)
    import narwhals as nw

    data = frame()
    native = nw.from_dict({k: v.tolist() for k, v in data.items()}, backend=backend).to_native()
    a = MoERegressor.from_formula("y ~ x + g | z", native, random_state=0)
    b = MoERegressor.from_formula("y ~ x + g | z", data, random_state=0)
    assert a.log_likelihood_ == b.log_likelihood_
    assert a.measure_.expert_names == b.measure_.expert_names == ("x", "g[T.v]", "g[T.w]")
    np.testing.assert_array_equal(a.predict(native), b.predict(data))


@pytest.mark.parametrize(
    "text",
    [
        "y ~ center(x) + g | z",
        "y ~ bs(x, df=4) | x",
        "y ~ poly(x, 2) + x:z",
        "y ~ log(x**2 + 1) | 1",
        "y ~ np.exp(x) | C(g)",
    ],
)
def test_files_remember_levels_and_transforms(text, tmp_path):
    data = frame()
    model = MoERegressor.from_formula(text, data, n_starts=2, random_state=0)
    model.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    few = {k: v[3:6] for k, v in data.items()}  # other means, fewer levels
    np.testing.assert_allclose(again.predict(few), model.predict(data)[3:6], rtol=1e-10)


def test_responses_may_be_expressions():
    data = frame()
    data["y"] = np.exp(data["y"])
    model = MoERegressor.from_formula("log(y) ~ x", data, random_state=0)
    plain = MoERegressor.from_formula("y ~ x", data | {"y": np.log(data["y"])}, random_state=0)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-9)


def test_unseen_levels_are_refused():
    data = frame()
    model = MoERegressor.from_formula("y ~ x + g", data, n_starts=2, random_state=0)
    with pytest.raises(DataError, match="'q', which was not seen"):
        model.predict(data | {"g": np.where(data["g"] == "u", "q", data["g"])})
    coded = data | {"c": np.arange(200) % 3}
    model = MoERegressor.from_formula("y ~ x + C(c)", coded, n_experts=1)
    np.testing.assert_array_equal(
        model.predict(coded), model.predict(coded | {"c": coded["c"].astype(float)})
    )
    with pytest.raises(DataError, match="'c' has the level '3', which was not seen"):
        model.predict(coded | {"c": coded["c"] + 1})
    model = MoERegressor.from_formula("y ~ x + C(abs(c))", coded, n_experts=1)
    with pytest.raises(DataError, match="not seen"):
        model.predict(coded | {"c": coded["c"] + 1})


def test_the_words_of_a_summary():
    """Slopes of known signs, in words."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200))
    noise = 0.1 * rng.standard_normal(200)
    for y, words in (
        (a + b, "rising with"),
        (a - b, "rising with a and falling with b"),
        (-a, "falling with a"),
    ):
        text = MoERegressor.from_formula("y ~ a + b", {"a": a, "b": b, "y": y + noise}, n_experts=1).summary()
        assert words in _words(text)
    x, y = two_lines()
    text = MoERegressor.from_formula("y ~ x", {"x": x[:, 0], "y": y}, random_state=0).summary()
    assert "Its weight rises as x rises. Expert 2" in _words(text)
    assert _words(text).endswith("Its weight rises as x falls.")


def _words(text):
    """What a summary says in words, on one line."""
    return " ".join(text.split("In words")[1].split())


def test_missing_columns_are_named():
    data = frame()
    model = MoERegressor.from_formula("y ~ x | z", data, n_starts=2, random_state=0)
    with pytest.raises(DataError, match="'z' is missing"):
        model.predict({"x": data["x"]})
    with pytest.raises(DataError, match="'nothing' is missing"):
        MoERegressor.from_formula("y ~ nothing", data)


def test_missing_values_are_named():
    data = frame()
    with pytest.raises(DataError, match=r"'x' has missing values in 62 rows \(the first is row 5"):
        MoERegressor.from_formula("y ~ x", data | {"x": np.where(data["x"] > 1, np.nan, data["x"])})
    with pytest.raises(DataError, match="'g' has missing"):
        MoERegressor.from_formula("y ~ g", data | {"g": np.where(data["g"] == "u", None, data["g"])})


def test_an_infinite_level_is_no_level():
    """Of a column of categories or of objects, read as it is or by an interaction."""
    pd = pytest.importorskip("pandas")
    values = np.tile([1.0, 2.0, np.inf], 10)
    frame = pd.DataFrame({"o": values.astype(object), "c": pd.Categorical(values), "y": np.arange(30.0)})
    for text in ("y ~ o", "y ~ o:o", "y ~ C(o)", "y ~ c", "y ~ c:c", "y ~ 1 | c:c"):
        with pytest.raises(DataError, match=r"infinite level: remove those rows|is infinite in 10 rows"):
            MoERegressor.from_formula(text, frame, n_experts=2, n_starts=1)
    with pytest.raises(DataError, match="'c' has an infinite level"):
        MoERegressor(1).fit(frame[["c"]], frame["y"])


def test_columns_that_are_no_numbers():
    data = frame()
    days = np.datetime64("2020-01-01") + np.arange(200)
    for dates in (days, days.astype(object)):
        with pytest.raises(DataError, match="'day' holds dates: turn it into a number"):
            MoERegressor.from_formula("y ~ day", data | {"day": dates})
    with pytest.raises(DataError, match=r"'log\(x\)' is not a finite number in 100 rows .the first is row 1"):
        MoERegressor.from_formula("y ~ log(x)", data | {"x": np.repeat([0.0, 1.0], 100)})
    coded = {"g": np.array(["0", "1", "2", "3+"])[np.arange(200) % 4].astype(object)}
    assert MoERegressor.from_formula("y ~ g", data | coded, n_experts=1).measure_.expert_names == (
        "g[T.1]", "g[T.2]", "g[T.3+]",
    )  # fmt: skip


def test_the_response_is_called_by_its_name():
    data = frame()
    data["pay"] = np.where(np.arange(200) == 6, np.nan, data["y"])
    for estimator in (MoERegressor, LocatedMoERegressor):
        with pytest.raises(DataError, match="'pay' has missing values in row 7"):
            estimator.from_formula("pay ~ x", data)
        with pytest.raises(DataError, match="response 'g' holds text"):
            estimator.from_formula("g ~ x", data)
    with pytest.raises(DataError, match="'one' has only one class"):
        MoEClassifier.from_formula("one ~ x", data | {"one": np.zeros(200, dtype=int)})
    with pytest.raises(DataError, match="the response 'pay' is NaN or infinite in row 7"):
        numeric_response(data["pay"], "pay")
    with pytest.raises(DataError, match="sample_weight holds text"):
        MoERegressor.from_formula("y ~ x", data, sample_weight=data["g"])


class TestTables:
    def test_a_table_is_a_sequence_of_rows(self):
        table = Table({"k": [1, 2, 3], "bic": np.array([3.0, 1.0, 2.0])})
        assert (len(table), table[1], table[-1]["k"]) == (3, {"k": 2, "bic": 1.0}, 3)
        assert table["k"] == [1, 2, 3]
        assert table[:2]["k"] == [1, 2]
        assert table.rows() == list(table) == [table[i] for i in range(3)]
        assert len(table.rows()) == len(table.rows()[1:]) + 1

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_a_table_is_a_frame(self, library):
        made = pytest.importorskip(library).DataFrame(load_dataset("voters"))
        assert list(made.columns) == list(load_dataset("voters").columns)
        for name, cells in load_dataset("voters").columns.items():
            assert list(made[name]) == list(cells)

    def test_starts(self):
        starts = MoERegressor.from_formula("y ~ x", frame(), n_starts=2, random_state=0).starts_
        assert len(starts) == len(starts.rows()) >= 2
        assert starts[0]["strategy"] == starts["strategy"][0]


@pytest.mark.parametrize(
    "text",
    [
        "y ~ __import__('os').system('true')",
        "y ~ exp(x.__class__)",
        "y ~ np.load('x')",
        "y ~ open('x')",
        "y ~ exp((lambda: 1)())",
        "y ~ eval('x')",
        "eval('y') ~ x",
    ],
)
def test_formulas_run_no_code(text):
    with pytest.raises(DataError, match="formula"):
        MoERegressor.from_formula(text, frame())


def test_the_intercept_stays():
    with pytest.raises(DataError, match="intercept"):
        MoERegressor.from_formula("y ~ 0 + x", frame())


def test_text_responses_need_a_classifier():
    with pytest.raises(DataError, match="text"):
        MoERegressor.from_formula("g ~ x", frame())
    model = MoEClassifier.from_formula("g ~ x", frame(), n_experts=1)
    assert list(model.classes_) == ["u", "v", "w"]


def test_gate_options_do_not_mix_with_formulas():
    with pytest.raises(DataError, match=r"after '\|'"):
        MoERegressor.from_formula("y ~ x", frame(), gate_features=["x"])


def test_select_experts_returns_every_fit():
    chosen = select_experts("y ~ x", frame(), n_experts=[1, 2, 3], random_state=0)
    assert chosen.best.fit.model.k == 2
    assert set(chosen.models) == {1, 2, 3}
    assert chosen.table["chosen"] == [False, True, False]
    with pytest.raises(DataError, match="bic"):
        select_experts("y ~ x", frame(), criterion="magic")
    with pytest.raises(DataError, match="'experts' is not an option"):
        select_experts("y ~ x", frame(), experts=[1, 2])
    with pytest.raises(DataError, match="shared_variance belongs to family='gaussian'"):
        select_experts("y ~ x", frame(), family="poisson", shared_variance=True)
    with pytest.raises(DataError, match="rank_on belongs to a sparse gate"):
        MoERegressor.from_formula("y ~ x", frame(), rank_on="logit")


def test_weights_in_formulas():
    data = frame()
    w = (data["x"] > 0).astype(float)
    a = MoERegressor.from_formula("y ~ x", data, sample_weight=w, random_state=0)
    b = MoERegressor.from_formula("y ~ x", {k: v[w > 0] for k, v in data.items()}, random_state=0)
    assert a.log_likelihood_ == b.log_likelihood_
    data |= {"w": w, "gone": np.where(np.arange(200) < 5, np.nan, data["x"])}
    by_name = MoERegressor.from_formula("y ~ x", data, sample_weight="w", random_state=0)
    assert by_name.log_likelihood_ == a.log_likelihood_
    assert by_name.score(data, data["y"], sample_weight="w") == a.score(data, data["y"], sample_weight=w)
    assert by_name.margins(data, sample_weight="w") == a.margins(data, sample_weight=w)
    assert by_name.profiles(data, sample_weight="w") == a.profiles(data, sample_weight=w)
    dropped, same = (
        MoERegressor.from_formula("y ~ gone", data, sample_weight=v, missing="drop", random_state=0)
        for v in ("w", w)
    )
    assert dropped.log_likelihood_ == same.log_likelihood_
    chosen, same = (select_experts("y ~ x", data, n_experts=[1], sample_weight=v) for v in ("w", w))
    assert str(chosen) == str(same)
    with pytest.raises(DataError, match="'weight'"):
        MoERegressor.from_formula("y ~ x", data, sample_weight="weight")
    with pytest.raises(DataError, match="sample_weight='w' names a column, which without a formula"):
        MoERegressor(1).fit(data["x"][:, None], data["y"], sample_weight="w")


def test_data_sets():
    voters = load_dataset("voters")
    assert len(voters) == 944
    assert set(voters["party"]) == {"Democrat", "Independent", "Republican"}
    tone = load_dataset("tone")
    assert len(tone) == 150
    assert sum(tone["tuned"]) == pytest.approx(310.832)  # colSums(mixtools::tonedata) in R
    assert sum(tone["stretchratio"]) == pytest.approx(324.78)
    with pytest.raises(DataError, match="voters"):
        load_dataset("nothing")


def test_designs_survive_a_round_trip():
    design = FormulaDesign.learn("y ~ x + g | z", frame())
    again = FormulaDesign.from_dict(design.to_dict())
    assert again == design


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_every_function_of_numbers_is_numpys(name):
    a = np.array([0.2, 0.5, 1.5])
    side, _ = FormulaSide.learn(f"{name}(a) + np.{name}(a + 1)", {"a": a})
    exact = np.column_stack([getattr(np, name)(a), getattr(np, name)(a + 1)])
    np.testing.assert_allclose(side.matrix({"a": a}), exact, rtol=1e-15)

"""What a formula may ask for: checked before anything is evaluated, at the fit and where a file is read."""

import json
import re
import time

import numpy as np
import pytest

from conftest import two_lines
from moestro import DataError, MoERegressor, load_model
from moestro.design import FormulaDesign
from moestro.design.expressions import FUNCTIONS, numeric_names, parse_expression, width
from moestro.design.grammar import COLUMNS, LENGTH, TERMS, parse, refuse_names, variables

pytest.importorskip("formulaic")

LETTERS = "+".join("abcdefgh")
# A part of a formula, and words of the sentence that refuses it.
TOO_MUCH = {
    "I(x*10**10**9)": "raises a number to a power",
    "I(x*(9**9**9>1))": "raises a number to a power",
    "I(x*(2**(9*9)))": "raises a number to a power",
    "I(x**(9*9))": "exponent that is computed",
    "I(x**1000)": "to the power 1000: at most 100",
    "I(x**-1000)": "to the power -1000",
    "I(x**9**9)": "exponent that is computed",
    "poly(x,100000)": "degree=100000: a whole number from 1 to 20",
    "poly(x, degree=10**9)": "option of poly that is computed",
    "poly(x, 2.5)": "degree=2.5",
    "bs(x,df=10000000)": "df=10000000: a whole number from 1 to 100",
    "bs(x, df=5, degree=999)": "degree=999",
    "bs(x, knots=[" + ",".join(["0.5"] * 101) + "])": "at most 100 numbers",
    "cr(x,df=20000)": "df=20000",
    "cc(x,df=20000)": "df=20000",
    "cs(x,20000)": "df=20000",
    f"({LETTERS})**40": "whole number from 1 to 10",
    f"({LETTERS})**10": "forms more than 10000 products",
    f"(({LETTERS})**3)**3": "forms more than 10000 products",
    "*".join("abcdefghijklmno"): "forms more than 10000 products",
    "(x+y)**50": "whole number from 1 to 10",
    "(x+y)^50": "whole number from 1 to 10",
    "x**1000000000": "whole number from 1 to 10",
    "(x+y)**x": "whole number from 1 to 10",
    " + ".join(f"x{i}" for i in range(3000)): "characters: at most 10000",
    " + ".join(f"a{i}" for i in range(TERMS + 1)): f"has {TERMS + 2} terms: at most {TERMS}",
    "x" * (LENGTH + 1): "characters: at most 10000",
    "bs(x,df=100):bs(y,df=100)": "up to 10001 columns",
    "bs(x,df=100):bs(y,df=100):bs(z,df=100)": "up to 1000001 columns",
    "exp(x, where=False)": "exp takes one argument and no options",
    "exp(x, out=y)": "exp takes one argument and no options",
    "exp(x, y)": "exp takes one argument and no options",
    "np.exp(x, dtype='O')": "exp takes one argument and no options",
    "exp()": "exp takes one argument",
    "exp(*x)": "not allowed in a formula",
    "center(x, **y)": "center takes one argument",
    "poly(x, y)": "option of poly that is computed",
    "poly(x, _state=1)": "poly takes a column and degree, raw",
    "cr(x, 3, None, 0, 1, [[1]])": "constraints",
    "cr(x, df=4, cyclic=True)": "cr takes a column and df",
    "bs(x, df=4, extrapolation='no')": "extrapolation='no'",
    "scale(x, ddof=-1)": "ddof=-1",
    "C(g, contr.poly)": "C takes a column and levels",
    "C(g, levels=g)": "computed",
    "np.poly(x)": "not allowed in a formula",
    "np.random(x)": "not allowed in a formula",
    "I('a'*1000000000)": "arithmetic with a text",
    "I('%1000000000d' % x)": "arithmetic with a text",
    "I([1]*1000000000)": "not allowed in a formula",
    "I((1,)*1000000000)": "not allowed in a formula",
    "I(1 << x)": "not allowed in a formula",
    "I(x @ x)": "not allowed in a formula",
    "I(0 < x < 1)": "compares more than two",
    "I(f'{x}')": "not allowed in a formula",
    "I(x[0])": "not allowed in a formula",
    "I(x if x else y)": "not allowed in a formula",
    "I([v for v in x])": "not allowed in a formula",
    "I(x * 1e999)": "too large",
    "I(x * " + "9" * 400 + ")": "too large",
    "I(1j)": "neither a number nor a text",
    "I(b'x')": "neither a number nor a text",
    "I(exp)": "'exp' as a column",
    "I(" + "-" * 500 + "x)": "nested more than 20 deep",
    "I(" + "(" * 300 + "x" + ")" * 300 + ")": "not an expression",
    "I(" + "x+" * 600 + "x)": "characters: at most 1000",
    "I(" + "x+" * 100 + "x)": "nested more than 20 deep",
    "I(" + "exp(" * 30 + "x" + ")" * 30 + ")": "nested more than 20 deep",
    "{__import__('os').getcwd()}": "not allowed in a formula",
    "x %y% z": "cannot be read",
    "I(x\0)": "not an expression",
}  # fmt: skip


def short_id(text):
    return text if len(text) < 40 else f"{text[:37]}..."


PLACES = [(text, "experts") for text in TOO_MUCH]
PLACES += [(text, place) for text in list(TOO_MUCH)[::7] for place in ("gate", "response")]


def data(n=60):
    rng = np.random.default_rng(0)
    out = {name: rng.uniform(1, 2, n) for name in [*"abcdefhxyz", *(f"a{i}" for i in range(TERMS + 1))]}
    return out | {"g": np.array(["u", "v", "w"])[np.arange(n) % 3].astype(object)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A model's file as data, of a formula with a transform and a category."""
    parse("x")
    x, y = two_lines(60)
    frame = data() | {"x": x[:, 0], "y": y}
    path = tmp_path_factory.mktemp("kept") / "m.json"
    MoERegressor.from_formula("log(y + 9) ~ bs(x, df=4) + g | x", frame, n_experts=1).save(path)
    return json.loads(path.read_text())


@pytest.mark.parametrize(("text", "place"), PLACES, ids=short_id)
def test_too_much_is_refused_in_a_sentence(text, place):
    formula = {"experts": f"y ~ {text}", "gate": f"y ~ x | {text}", "response": f"{text} ~ x"}[place]
    parse("x")  # formulaic is imported once
    start = time.process_time()
    with pytest.raises(DataError, match=re.escape(TOO_MUCH[text])) as caught:
        MoERegressor.from_formula(formula, data())
    assert time.process_time() - start < 1
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("text", "place"), PLACES, ids=short_id)
def test_too_much_in_a_file_is_refused_where_it_is_read(text, place, kept, tmp_path):
    changed = json.loads(json.dumps(kept))
    if place == "response":
        changed["design"]["response"] = text
    else:
        changed["design"][place]["text"] = text
    (tmp_path / "m.json").write_text(json.dumps(changed))
    start = time.process_time()
    with pytest.raises(DataError, match=r"m\.json: .*" + re.escape(TOO_MUCH[text])):
        load_model(tmp_path / "m.json")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d["experts"]["state"]["bs(x, df=4)"].update(knots=[0.0] * 5000), "remembers more than"),
        (
            lambda d: d["experts"]["state"]["bs(x, df=4)"].update(knots=[float("1e400")]),
            "not a number|NaN or inf",
        ),
        (lambda d: d["experts"].update(levels={"g": list(range(COLUMNS + 1))}), "columns: at most"),
        (lambda d: d["experts"].update(state=[1]), "no dictionary"),
        (lambda d: d["experts"]["state"].update({"bs(x, df=4)": [[1.0], [1.0, 2.0]]}), "is damaged"),
        (lambda d: d.update(response_state={"log(y + 9)": {"a": [0.0] * 5000}}), "remembers more than"),
        (lambda d: d["experts"].update(variables=["x", "z"]), "columns are not those of"),
        (lambda d: d["gate"].update(variables=[]), "columns are not those of"),
        (lambda d: d["experts"].update(text="bs(x, df=4)"), "columns are not those of"),
        (lambda d: d.update(text="y ~ x"), "is not that of its parts"),
        (lambda d: d.update(response="y"), "is not that of its parts"),
    ],
)  # fmt: skip
def test_a_file_whose_parts_do_not_agree(change, match, kept, tmp_path):
    changed = json.loads(json.dumps(kept))
    change(changed["design"])
    (tmp_path / "m.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match=match):
        load_model(tmp_path / "m.json")


@pytest.mark.parametrize("name", ["bs(z, df=4)[1]", "x", "bs(x, df=4)", "g[T.v]:x", ""])
def test_names_of_other_factors_are_refused_where_the_file_is_read(name, kept, tmp_path):
    changed = json.loads(json.dumps(kept))
    changed["design"]["experts"]["names"][1] = name
    (tmp_path / "m.json").write_text(json.dumps(changed))
    if name == "bs(x, df=4)":  # a name of this factor, but not one that it makes: told apart by evaluation
        with pytest.raises(DataError, match=r"makes the columns .* but was fitted with"):
            load_model(tmp_path / "m.json").predict(data() | {"y": np.ones(60)})
        return
    with pytest.raises(DataError, match=r"m\.json: the formula part .* makes no column"):
        load_model(tmp_path / "m.json")


def test_categories_that_meet_without_their_own_terms_are_read_again():
    """Of a:b alone the first category has a column of its own."""
    frame = {"a": np.array(["p", "q"] * 6, dtype=object), "b": np.array([*"uvw"] * 4, dtype=object)}
    design = FormulaDesign.learn("y ~ a:b", frame | {"y": np.arange(12.0)})
    assert any(":" not in name for name in design.expert_names)
    assert FormulaDesign.from_dict(design.to_dict()).expert_names == design.expert_names


def test_a_name_with_many_ways_to_close_its_brackets():
    name = "a[" + "".join(f"]:{letter}[" for letter in "bcdefgh") * 200
    with pytest.raises(DataError, match="makes no column"):
        refuse_names(LETTERS.replace("+", ":"), [name])
    refuse_names(LETTERS.replace("+", ":"), [name + "]"])


def test_knots_in_a_file_that_make_it_too_wide():
    """A spline says df=4 in its text; what the file remembers is what would be evaluated."""
    design = FormulaDesign.learn("y ~ bs(x, df=4):bs(z, df=4)", data()).to_dict()
    for state in design["experts"]["state"].values():
        state["knots"] = np.linspace(0, 3, 300).tolist()
    with pytest.raises(DataError, match=r"up to \d+ columns: at most 5000"):
        FormulaDesign.from_dict(design)


def test_categories_that_make_it_too_wide():
    """What the data add to a text that looks small."""
    n = 400
    rng = np.random.default_rng(0)
    many = {name: np.arange(n).astype(float) for name in "ax"} | {"y": rng.standard_normal(n)}
    with pytest.raises(DataError, match="columns: at most"):
        MoERegressor.from_formula("y ~ C(a):C(x)", many)
    texts = {"g": np.array([f"g{i % 100}" for i in range(n)], dtype=object)}
    with pytest.raises(DataError, match="columns: at most"):
        MoERegressor.from_formula("y ~ g:C(x)", many | texts)


@pytest.mark.parametrize(
    "text", ["I(g*1000000000)", "I(I(g)*2)", "exp(g)", "poly(g, 2)", "I(-g)", "center(g)"]
)
def test_arithmetic_needs_numbers(text):
    with pytest.raises(DataError, match=r"'g' holds text, and the formula part .* needs numbers"):
        MoERegressor.from_formula(f"y ~ {text}", data())


@pytest.mark.parametrize("text", ["1", "x - x", "x - x + 1", "0 + 1"])
@pytest.mark.parametrize("place", ["experts", "gate"])
def test_a_part_of_the_intercept_alone(text, place, tmp_path):
    """Whatever terms it is what remains of."""
    x, y = two_lines(60)
    frame = data() | {"x": x[:, 0], "y": y}
    formula = f"y ~ {text} | x" if place == "experts" else f"y ~ x | {text}"
    moe = MoERegressor.from_formula(formula, frame, n_experts=2, n_starts=1, random_state=0)
    told = moe.inference()
    slopes = {part for part, term in zip(told["part"], told["term"], strict=True) if term == "x"}
    assert slopes == {"gate" if place == "experts" else "expert"}
    moe.save(tmp_path / "m.json")
    np.testing.assert_array_equal(load_model(tmp_path / "m.json").predict(frame), moe.predict(frame))


@pytest.mark.parametrize("text", ["I(3)", "C(1)", "offset(2)"])
def test_a_part_that_reads_no_column(text):
    with pytest.raises(DataError, match="has a term that reads no column"):
        MoERegressor.from_formula(f"y ~ {text}", data())


@pytest.mark.parametrize("formula", ["y ~ scale(x)", "y ~ a | scale(x)", "scale(x) ~ a"])
def test_a_transform_that_overflows_is_refused(formula):
    """The deviation is infinite, and the column would be zero."""
    found = data() | {"y": np.arange(60.0), "x": np.linspace(-1e200, 1e200, 60)}
    with pytest.raises(DataError, match=r"scale\(x\).* is beyond double precision: rescale"):
        MoERegressor.from_formula(formula, found, n_experts=1)


def test_a_name_that_is_not_there_is_told_in_short():
    with pytest.raises(DataError, match=r"column 'xx+\.\.\.' is missing") as caught:
        MoERegressor.from_formula(f"y ~ {'x' * 5000}", {"y" * 5000: np.ones(3)})
    assert len(str(caught.value)) < 500


GOOD = [
    "x", "I(x**2)", "I(x**-0.5)", "I(2**x)", "I(x**y)", "(a+b+c)**2", "(a+b)**3", "a*b*c", "a/b", "b %in% a",
    "a:b - a", "log(a) + np.log1p(b)", "poly(x, 3)", "poly(x, degree=3, raw=True)", "scale(x)",
    "scale(x, True, False)", "center(log(x))", "bs(x, df=5)", "bs(x, df=5, degree=2, include_intercept=True)",
    "bs(x, knots=[1.2, 1.6], lower_bound=0, upper_bound=3)", "bs(x, df=4, extrapolation='clip')",
    "cr(x, df=4)", "cc(x, df=4)", "cs(x, df=4, constraints='center')", "C(g)", "C(x > 1.5)",
    "C(g, levels=['u', 'v', 'w'])", "I((x > 1) & (y < 2))", "I(g == 'u')", "I(-x + 2.5e3 * y / 3)",
    "I(x % 2)",
    "+".join(f"a{i}" for i in range(TERMS - 1)), f"({LETTERS.replace('g+', '')})**2", "{x + 1}",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD, ids=short_id)
def test_what_people_write_is_read_and_remembered(text):
    found = data()
    design = FormulaDesign.learn(f"y ~ {text}", found)
    x, _ = design.matrices(found)
    again = FormulaDesign.from_dict(json.loads(json.dumps(design.to_dict())))
    few = {name: column[5:9] for name, column in found.items()}
    np.testing.assert_allclose(again.matrices(few)[0], x[5:9], rtol=1e-10, atol=1e-12)


def test_the_tree_tells_columns_and_widths():
    assert variables("log(x) + C(g) + I(h == 'u') + bs(z, df=7) + a:b") == ["a", "b", "g", "h", "x", "z"]
    assert numeric_names(parse_expression("I(a + (g == 'u') * exp(b))")) == {"a", "b"}
    assert numeric_names(parse_expression("C(a)")) == set()
    assert [width(parse_expression(t)) for t in ("bs(x, df=50)", "poly(x, 7)", "cr(x, knots=[1, 2])")] == [
        50,
        7,
        13,
    ]
    assert {"exp", "bs", "C"} <= FUNCTIONS

"""The numbers that a report's page computes are those of the library."""

import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pandas
import pytest

from conftest import FAMILIES, response, two_lines
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, experts, gates
from moestro.design import FormulaDesign
from moestro.experts import Gaussian
from moestro.plots.data import rows_of
from moestro.report import NotHere, explorer_of

NODE = shutil.which("node")
FEW = {"random_state": 0, "n_starts": 1, "max_iter": 1}
pytestmark = pytest.mark.filterwarnings("ignore::moestro.errors.SearchWarning")
SCRIPT = """
const explorer = require(process.argv[1]);
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answer = a => a.cases.map(c => explorer.evaluate(a.spec, c, a.grid, a.response));
console.log(JSON.stringify(asked.map(answer)));
"""


def in_node(asked):
    """What the script answers to each {spec, cases, grid, response}."""
    path = str(files("moestro.report") / "explorer.js")
    done = subprocess.run(
        [NODE, "-e", SCRIPT, path], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def columns(n=60, seed=3):
    rng = np.random.default_rng(seed)
    return pandas.DataFrame(
        {
            "a": rng.standard_normal(n),
            "b": rng.uniform(0.5, 3, n),
            "c": rng.choice(["u", "v", "w <b>"], n),
        }
    )


def family(name):
    rng = np.random.default_rng(4)
    data = columns()
    y = response({"trials": "binomial"}.get(name, name), len(data), rng)
    if name in ("multinomial", "ordinal"):
        return MoEClassifier(2, family=name, **FEW).fit(data[["a", "b"]], y.astype(int)), data[["a", "b"]]
    if name in ("interval", "survival"):  # every third seen, the others beyond a number or below another
        ends = np.stack([y, np.where(np.arange(len(y)) % 3 == 1, np.inf, 2 * np.abs(y) + 1)], axis=1)
        y = np.where(np.arange(len(y))[:, None] % 3, ends, y[:, None])
    if name == "trials":
        y = np.column_stack([rng.binomial(7, 0.4, len(data)), np.full(len(data), 7)])
    words = {
        "shared": {"shared_variance": True},
        "trials": {"family": "binomial"},
        "survival": {"family": "weibull"},
    }.get(name, {"family": name})
    return MoERegressor(2, **words, **FEW).fit(data[["a", "b"]], y), data[["a", "b"]]


def gate(name):
    x, y = two_lines(60)
    data = columns()
    data["a"] = x[:, 0]
    words = {"top-k": {"top_k": 2}, "top-k by logit": {"top_k": 2, "rank_on": "logit"}}.get(
        name, {"gate": name}
    )
    k = 3 if name.startswith("top-k") else 2
    return MoERegressor(k, **words, **FEW).fit(data[["a", "b"]], y), data[["a", "b"]]


def formula(text):
    data = columns()
    data["y"] = two_lines(60)[1]
    return MoERegressor(2, formula=text, **FEW).fit(data), data


def located(**words):
    x, y = two_lines(60)
    data = columns()[["a", "b"]].assign(a=x[:, 0])
    q = words.pop("q", 1)
    y = y if q == 1 else np.column_stack([y, data["b"] - y])
    return LocatedMoERegressor(2, **words, **FEW).fit(data, y), data


def transformed(name):
    data = columns()[["a", "b"]]
    return MoERegressor(2, gate_transform=name, **FEW).fit(data, two_lines(60)[1]), data


GATES = (
    "softmax", "top-k", "top-k by logit", "sigmoid", "laplace", "temperature", "activated-temperature",
    "cosine", "perturbed-cosine",
)  # fmt: skip
MODELS = {
    **{f"family {name}": (family, name) for name in FAMILIES},
    **{f"gate {name}": (gate, name) for name in GATES},
    **{f"transform {name}": (transformed, name) for name in ("tanh", "sin", "cube", "sigmoid")},
    "formula of functions": (formula, "y ~ log(b) + I(a**2) + a:c + sqrt(abs(a)) | b + C(c)"),
    "formula of products": (formula, "y ~ a*b - 1 + 1 | a:b"),
    "located": (lambda _: located(), None),
    "located, degree 2": (lambda _: located(degree=2), None),
    "located, Student": (lambda _: located(student=True), None),
    "located, inverse, two responses": (lambda _: located(direction="inverse", q=2), None),
}  # fmt: skip


def drawn(spec, n, rng):
    """Random values of the sliders, (n, inputs)."""
    out = []
    for slider in spec["inputs"]:
        if "levels" in slider:
            out.append(rng.integers(0, len(slider["levels"]), n).astype(float))
        elif slider.get("whole"):
            out.append(rng.integers(int(slider["low"]), int(slider["high"]) + 1, n).astype(float))
        else:
            out.append(rng.uniform(slider["low"], slider["high"], n))
    return np.column_stack(out)


def frame(spec, values):
    """The user's columns of these values."""
    out = {}
    for slider, column in zip(spec["inputs"], values.T, strict=True):
        known = slider.get("levels")
        out[slider["name"]] = column if known is None else [known[int(v)] for v in column]
    return pandas.DataFrame(out)


def expected(moe, spec, values, grid, response):
    """Gate, means and densities of the library."""
    X = frame(spec, values)
    model = moe._fitted()
    X = X[[c for c in X if not c.startswith("(")]]
    d = len(model.design.expert_names)
    if isinstance(model.design, FormulaDesign):
        x, z = model.design.matrices(X)
    else:
        offset = None if spec["offset"] is None or not model.design.known else values[:, spec["offset"]]
        x, z = moe._matrices(X if hasattr(moe, "feature_names_in_") else X.to_numpy(), offset)
    known = [spec[word] for word in ("offset", "trials") if spec[word] is not None]
    x = np.column_stack([x[:, :d], values[:, known]])
    gate, means = np.exp(model.log_gate(x, z)), model.expert_means(x)
    if model.classes:
        return gate, means, model.mean(x, z)
    law = list(model.marginals(x, z).values())[response]
    return gate, means[:, :, response], law.pdf(np.tile(grid, (len(x), 1)))


def agree(found, exact, what):
    """Within 1e-9 of the largest number of its kind, or of itself."""
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9, err_msg=what)


@pytest.fixture(scope="module")
def table():
    """What is asked of every model at 50 random inputs, and what Python answers."""
    rng = np.random.default_rng(0)
    asked, answers = [], []
    for name, (make, word) in MODELS.items():
        moe, data = make(word)
        own = moe._found.rows
        spec = explorer_of(moe._fitted(), rows_of(moe), dict(data))
        assert spec["offset"] is None or own is not None
        values = drawn(spec, 50, rng)
        for place in range(len(spec["responses"])):
            grid = spec["grids"][place] if spec["grids"] else []
            asked.append({"spec": spec, "cases": values.tolist(), "grid": grid, "response": place})
            answers.append((name, expected(moe, spec, values, grid, place)))
    return json.loads(json.dumps(asked)), answers


def all_agree(answers, found):
    for (name, exact), answer in zip(answers, found, strict=True):
        for part, numbers in zip(("gate", "means", "density"), exact, strict=True):
            agree([case[part] for case in answer], numbers, f"{name}: {part}")


@pytest.mark.skipif(NODE is None, reason="the page's script is run by node, which is not here")
def test_every_family_gate_and_design_as_in_python(table):
    asked, answers = table
    all_agree(answers, in_node(asked))


@pytest.mark.slow
def test_every_family_gate_and_design_in_a_browser(table, browser):
    asked, answers = table
    page = browser.new_page()
    page.add_script_tag(path=str(files("moestro.report") / "explorer.js"))
    answer = "a => a.cases.map(c => moestro.evaluate(a.spec, c, a.grid, a.response))"
    all_agree(answers, [page.evaluate(answer, a) for a in asked])


def test_no_family_and_no_gate_is_left_out():
    families = {part for name in FAMILIES for part in name.split("[")[0].split(",")}
    assert {*experts.FAMILIES} <= families
    assert {*gates.GATES} <= {*GATES}


def test_what_a_page_cannot_evaluate_says_why():
    class Own(Gaussian):
        name = "own"

    x, y = two_lines(80)
    moe = MoERegressor(2, family=Own(), **FEW).fit(x, y)
    with pytest.raises(NotHere, match=r"its family .* is one that the page does not know"):
        explorer_of(moe._fitted(), rows_of(moe))
    moe, data = formula("y ~ a + poly(b, 2)")
    with pytest.raises(NotHere, match=r"'poly\(b, 2\)\[1\]'|poly"):
        explorer_of(moe._fitted(), rows_of(moe), dict(data))
    moe, _ = formula("y ~ log(b)")
    with pytest.raises(NotHere, match="the range of 'b'"):
        explorer_of(moe._fitted(), rows_of(moe))
    own = MoERegressor(2, gate_transform=lambda z: z**2, **FEW).fit(x, y)
    with pytest.raises(NotHere, match="Python object"):
        explorer_of(own._fitted(), rows_of(own))

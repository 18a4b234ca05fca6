"""A report stands alone: one file, every name as text, everything that a reader asks, in that order."""

import json
import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest
from click.testing import CliRunner

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model
from moestro.cli import main
from moestro.penalties import L1
from moestro.report.contents import _candidates, _chosen
from moestro.tables import Table
from test_explorer import agree, drawn, expected

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

NAMES = ['<script>alert("x")</script>', "\"quo'te$x_{", "😀 列", "n" * 200]
ORDER = [
    "doubts", "fitted", "how-many", "search", "experts", "coefficients", "gate", "predictions", "diagnostics",
    "explorer", "again",
]  # fmt: skip
FEW = {"random_state": 0, "n_starts": 2}
pytestmark = pytest.mark.filterwarnings("ignore::moestro.errors.SearchWarning")


def hostile(n=150):
    x, y = two_lines(n)
    rng = np.random.default_rng(0)
    columns = [x[:, 0], rng.standard_normal(n), rng.standard_normal(n), rng.choice(["<b>one</b>", "two"], n)]
    return pandas.DataFrame(dict(zip(NAMES, columns, strict=True))), y


def collapsed():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (80, 1))
    y = np.where(rng.random(80) < 0.2, 1.0, x[:, 0] + rng.standard_normal(80))
    return MoERegressor(2, rank_by="likelihood", **FEW).fit(x, y), (x, y)


def counts(family="poisson"):
    rng = np.random.default_rng(1)
    frame = pandas.DataFrame(
        {"a": rng.standard_normal(150), "b": rng.uniform(0.5, 3, 150), "g": rng.choice(list("uvw"), 150)}
    )
    frame["y"] = rng.poisson(np.exp(0.5 + frame["a"])) + 1.0
    moe = MoERegressor(2, family=family, formula="y ~ a + C(g) + offset(log(b)) | log(b)", **FEW).fit(frame)
    return moe, (frame,)


def penalised(**words):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 6))
    y = np.where(x[:, 0] > 0, 2 * x[:, 1], -x[:, 2]) + 0.5 * rng.standard_normal(120)
    return MoERegressor(2, penalty=L1(**words), random_state=0).fit(x, y), (x, y)


def grades():
    x, y = three_classes()
    return MoEClassifier(2, family="ordinal", levels=["a", "b", "c"], **FEW).fit(x, y), ()


def zeros():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((150, 1))
    y = np.where(rng.random(150) < 0.4, 0.0, rng.poisson(np.exp(0.8 + 0.3 * x[:, 0])))
    return MoERegressor(2, family=["zero", "poisson"], **FEW).fit(x, y), ()


def durations():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((120, 1))
    y = rng.weibull(1.5, 120) * np.exp(1 + 0.5 * x[:, 0])
    ends = np.column_stack([np.minimum(y, 4.0), np.where(y > 4.0, np.inf, y)])
    return MoERegressor(2, family="weibull", **FEW).fit(x, ends), ()


def censored():
    x, y = two_lines()
    return MoERegressor(2, family="censored[0:]", **FEW).fit(x, np.maximum(y, 0.0)), ()


FITS = {
    "hostile": lambda: (MoERegressor(2, **FEW).fit(*hostile()), hostile()),
    "numbers": lambda: (MoERegressor("bic", max_experts=2, **FEW).fit(*two_lines()), ()),
    "classes": lambda: (MoEClassifier(2, **FEW).fit(*three_classes()), ()),
    "counts": counts,
    "two responses": lambda: (
        LocatedMoERegressor(2, student=True, **FEW).fit(
            two_lines()[0], np.column_stack([two_lines()[1], two_lines(seed=1)[1]])
        ),
        (),
    ),
    "grades": grades,
    "zeros": zeros,
    "censored": censored,
    "penalised": penalised,
    "one strength": lambda: penalised(alpha=0.05),
    "durations": durations,
    "own transform": lambda: (MoERegressor(2, gate_transform=np.arctan, **FEW).fit(*two_lines()), ()),
    "collapsed": collapsed,
    "groups": lambda: (
        MoERegressor(2, gate_features=[], **FEW).fit(*two_lines(), groups=np.repeat(np.arange(50), 4)), ()
    ),
}  # fmt: skip


WITHOUT = {"own transform"}  # fits that the explorer cannot evaluate, and says so


class Reader(HTMLParser):
    """What a browser would see: tags with attributes, and text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.scripts, self.inside = [], "", [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside = tag
            self.scripts += [""] * (tag == "script")

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif not self.inside:
            self.text += data


def check(path, explorer=True):
    """What holds of any report; returns what a browser would see."""
    text = path.read_text("utf-8")
    assert len(text.encode()) < 2 * 2**20
    read = Reader(text)
    named = [a["id"] for tag, a in read.tags if tag == "h2"]
    assert named == [name for name in ORDER if name in named]
    assert {"doubts", "fitted", "how-many", "search", "experts", "diagnostics", "explorer", "again"} <= set(
        named
    )
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)  # no network
    every = [a["id"] for _, a in read.tags if "id" in a]
    assert len(every) == len(set(every))
    for tag, a in read.tags:
        assert not any(name.startswith("on") for name in a)
        if tag == "svg":
            assert a["role"] == "img"
            assert a["aria-label"]
        if tag == "th" and "scope" not in a:
            raise AssertionError("a head without a scope")
    assert len(read.scripts) == (2 if explorer else 0)
    if explorer:
        spec = json.loads(read.scripts[0])
        assert len(spec["experts_names"]) >= 1
    assert "None" not in read.text.replace("alpha=None", "")  # a word of the call, no cell
    return read


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A fit and its report, made once."""
    folder = tmp_path_factory.mktemp("reports")

    @cache
    def of(name):
        moe, data = FITS[name]()
        moe.report(folder / f"{name}.html", *data)
        return moe, folder / f"{name}.html"

    return of


def test_names_are_text_and_nothing_else(reported):
    read = check(reported("hostile")[1])
    for name in NAMES:
        assert name in read.text
    assert not [t for t, _ in read.tags if t in ("b", "img")]
    spec = json.loads(read.scripts[0])
    assert [i["name"] for i in spec["inputs"]] == NAMES
    assert spec["inputs"][3]["levels"] == ["<b>one</b>", "two"]


def test_a_long_table_of_candidates_keeps_the_chosen_one():
    n, chosen = 50, 33
    table = Table(
        {"alpha": [1.0 / (i + 1) for i in range(n)], "bic": [abs(i - chosen) + 0.5 for i in range(n)]}
        | {"aic": [float(-i) for i in range(n)], "chosen": [i == chosen for i in range(n)]}
    )
    block = _candidates(table)
    assert block.caption == f"{len(block.content)} of the 50 candidates"
    assert len(block.content) <= 21
    assert block.content["alpha"][block.content["choice"].index("chosen")] == table["alpha"][chosen]
    assert _chosen(table, 1) == (
        "50 strengths of the penalty were tried, and one, 0.02941, was chosen: BIC is smallest there."
    )
    assert len(_candidates(table[:4]).content) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FITS if n != "hostile"])
def test_every_fit_has_its_report(name, reported):
    read = check(reported(name)[1], explorer=name not in WITHOUT)
    assert "No picture" not in read.text
    if name == "collapsed":
        first = read.text.index("What was fitted, on what", read.text.index("Variance collapsed"))
        assert read.text.index("Variance collapsed") < first
    if name == "classes":
        assert "predicted a" in read.text
    if name in ("penalised", "one strength"):
        assert ("Slopes along the path" in read.text) == (name == "penalised")
        assert "Shares with standard errors" not in read.text
    if name == "numbers":
        assert "2 candidates were tried, and one with 2 experts was chosen: AIC, BIC and ICL" in read.text


@pytest.mark.slow
def test_a_report_from_the_shell_and_from_a_file(tmp_path):
    X, y = hostile()
    frame = X.set_axis(list("abcd"), axis=1).assign(y=y)
    frame.to_csv(tmp_path / "d.csv", index=False)
    words = ["fit", str(tmp_path / "d.csv"), "-f", "y ~ a + d | a", "-k", "1-2", "--starts", "2", "-q"]
    files = ["--report", str(tmp_path / "one.html"), "--out", str(tmp_path / "m.json")]
    done = CliRunner().invoke(main, [*words, *files])
    assert done.exit_code == 0, done.output
    read = check(tmp_path / "one.html")
    assert "--formula 'y ~ a + d | a' --experts 1,2 --starts 2" in read.text.replace("-f ", "--formula ")
    done = CliRunner().invoke(
        main,
        ["report", str(tmp_path / "m.json"), str(tmp_path / "d.csv"), "--out", str(tmp_path / "two.html")],
    )
    assert done.exit_code == 0, done.output
    again = check(tmp_path / "two.html")
    assert again.scripts == read.scripts
    MoERegressor(2, **FEW).fit(frame[["a", "b"]], y).save(tmp_path / "arrays.json")
    done = CliRunner().invoke(
        main,
        ["report", str(tmp_path / "arrays.json"), str(tmp_path / "d.csv"), "--out", str(tmp_path / "3.html")],
    )
    assert done.exit_code == 0, done.output


def test_refused(tmp_path):
    x, y = two_lines(60)
    moe = MoERegressor(1).fit(x, y)
    moe.save(tmp_path / "m.json")
    with pytest.raises(DataError, match="give X and y"):
        load_model(tmp_path / "m.json").report(tmp_path / "r.html")
    with pytest.raises(DataError, match="are given with X"):
        moe.report(tmp_path / "r.html", y=y)
    done = CliRunner().invoke(
        main, ["report", str(tmp_path / "m.json"), "-", "--out", str(tmp_path / "no/r.html")]
    )
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "r.html").exists()
    done = CliRunner().invoke(
        main, ["report", str(tmp_path / "m.json"), "-", "--out", str(tmp_path / "r.pdf")]
    )
    assert done.exit_code == 2
    assert "ends in .html" in done.output


ASKED = """cases => {
  const spec = JSON.parse(document.getElementById("explorer-model").textContent);
  return cases.map(c => moestro.evaluate(spec, c, spec.grids[0] || [], 0));
}"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_in_a_browser(name, reported, browser):
    """No error, no overflow at two widths, from file://; the explorer moves, with the library's numbers."""
    moe, path = reported(name)
    for width in (1280, 390):
        page = browser.new_page(viewport={"width": width, "height": 900})
        said = []
        page.on("console", lambda m, said=said: said.append(m.text))
        page.on("pageerror", lambda e, said=said: said.append(str(e)))
        page.on("dialog", lambda d, said=said: said.append(d.message))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if name not in WITHOUT:
            before = page.locator(".heard").inner_text()
            for slider in page.locator("input[type=range]").all():
                label = page.locator(f"label[for={slider.get_attribute('id')}]")
                assert label.inner_text()
                slider.evaluate("s => { s.value = s.max; s.dispatchEvent(new Event('input')); }")
            assert page.locator(".heard").inner_text() != before
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not said
    if name not in WITHOUT:
        spec = json.loads(Reader(path.read_text("utf-8")).scripts[0])
        values = drawn(spec, 50, np.random.default_rng(0))
        exact = expected(moe, spec, values, spec["grids"][0] if spec["grids"] else [], 0)
        found = page.evaluate(ASKED, values.tolist())
        for part, numbers in zip(("gate", "means", "density"), exact, strict=True):
            agree([case[part] for case in found], numbers, part)
    if name == "hostile":
        for text in NAMES:
            assert text in page.locator("body").inner_text()

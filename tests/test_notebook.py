"""What a notebook, a paper and a page are given: whole tables, with every name as text."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from conftest import two_lines
from moestro import LocatedMoERegressor, MoERegressor
from moestro.solvers import Status, StatusKind
from moestro.tables import Table

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "a|b_c*d`e`[f](g)",
    "50% & $x$ #1 {y} ~^\\",
    "😀\u202ex",
]


class Reader(HTMLParser):
    """Tags, and the text of cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open = tag in ("td", "th")
        if self.open:
            self.cells.append("")

    def handle_endtag(self, tag):
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data):
        if self.open:
            self.cells[-1] += data


@pytest.fixture
def table():
    return Table({"name": HOSTILE, "<b>": [1.5, -2.25, None, 1e-9, 3e8], "n": range(5), "note": [""] * 5})


def test_html_shows_every_name_as_text(table):
    read = Reader(table.to_html(caption="<i>"))
    assert set(read.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    names = [*HOSTILE[:4], "😀\\u202ex"]
    assert read.cells[:3] == ["name", "<b>", "n"]
    assert read.cells[3::3] == names
    assert read.cells[4::3] == ["1.5000", "-2.2500", "-", "1.000e-09", "3.000e+08"]
    assert table._repr_html_() == table.to_html()


def test_markdown_has_the_cells_of_the_table(table):
    lines = table.to_markdown().split("\n")
    assert lines[1] == "| :-- | --: | --: |"
    for line, name in zip(lines[2:], [*HOSTILE[:4], "😀\\u202ex"], strict=True):
        cells = re.split(r"(?<!\\)\|", re.sub(r"\\\\", "\0", line))
        assert len(cells) == 5
        plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cells[1].strip()).replace("\0", "\\")
        assert plain == name
        assert not re.search(r"(?<!\\)[<*_`$&]", cells[1])


def test_latex_escapes_what_is_special(table):
    text = table.to_latex(digits=2)
    assert text.startswith("\\begin{tabular}{lrr}\n\\toprule\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}")
    rows = text.split("\n")[4:-2]
    assert r"50\% \& \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in rows[3]
    assert r"$-2.25$" in rows[1]
    assert r"$1.0 \times 10^{-9}$" in rows[3]
    assert all(len(re.findall(r"(?<!\\)&", row)) == 2 for row in rows)


def test_a_frame_is_the_table(table):
    pandas = pytest.importorskip("pandas")
    frame = table.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["name"].tolist() == HOSTILE


def test_packages_that_set_tables_take_fits():
    """`maketables.ETable` reads a fit by names that its documentation states; great-tables takes a frame."""
    pytest.importorskip("pandas")
    x, y = two_lines()
    moe = MoERegressor(2, random_state=0, n_starts=2).fit(x, y)
    frame, table = moe.__maketables_coef_table__, moe.inference()
    assert list(frame.columns) == ["b", "se", "t", "p", "ci95l", "ci95u"]
    np.testing.assert_array_equal(frame["b"], table["estimate"])
    np.testing.assert_array_equal(frame["se"], np.array(table["std_error"], dtype=float))
    assert frame.index.is_unique
    assert frame.loc["gate 1, x0", "p"] == table["p"][table["part"].index("gate") + 1]
    assert moe.__maketables_depvar__ == "y"
    assert moe.__maketables_stat__("N") == 200
    assert moe.__maketables_stat__("bic") == moe.bic_
    assert moe.__maketables_stat__("r2_within") is None
    try:
        from great_tables import GT
        from maketables import ETable
    except ImportError:
        return  # neither is an extra of the library
    both = ETable([moe, MoERegressor(1).fit(x, y)]).make(type="html")
    assert "gate 1, x0" in str(both)
    assert "Log-likelihood" in str(both)
    assert "x0" in GT(table.to_frame()).as_raw_html()


def test_a_status_is_a_sentence():
    html = Status(StatusKind.FLAT, "<b>x")._repr_html_()
    assert html == "<p><strong>flat</strong>: &lt;b&gt;x</p>"


def test_a_fit_shows_the_tables_of_its_summary():
    x, y = two_lines()
    data = {HOSTILE[0]: x[:, 0], HOSTILE[1]: np.random.default_rng(0).standard_normal(len(y))}
    import pandas

    moe = MoERegressor(2, random_state=0, n_starts=2).fit(pandas.DataFrame(data), y)
    html = moe._repr_html_()
    read = Reader(html)
    assert not {"script", "img"} & set(read.tags)
    assert "sk-top-container" not in html
    table = moe.inference()
    for term, value, se in zip(table["term"], table["estimate"], table["std_error"], strict=True):
        at = [i for i, c in enumerate(read.cells) if c == term]
        assert any(read.cells[i + 1] == Table({"v": [value]}).to_text().split()[-1] for i in at)
        assert any(read.cells[i + 2] == Table({"v": [se]}).to_text().split()[-1] for i in at)
    assert moe._repr_mimebundle_()["text/html"] == html
    assert "sk-" in MoERegressor()._repr_html_()


def test_a_test_of_hypotheses_shows_its_line_and_its_table():
    x, y = two_lines()
    test = MoERegressor(2, random_state=0, n_starts=2).fit(x, y).wald_test("1:x0 = 2:x0")
    html = test._repr_html_()
    assert html.startswith("<p><strong>Wald test</strong> (observed): chi2(1) = ")
    assert html.endswith(test.table.to_html())
    assert str(test).split(": ")[-1] in unescape(html)
    named = replace(test, name=HOSTILE[0], kind=HOSTILE[1], table=Table({"hypothesis": HOSTILE}))
    assert not {"script", "img"} & set(Reader(named._repr_html_()).tags)


def test_doubts_and_located_experts_are_shown():
    x, y = two_lines(60)
    moe = LocatedMoERegressor(2, random_state=0, n_starts=2, max_iter=2).fit(x, y)
    html = moe._repr_html_()
    assert "<strong>Warning:</strong> Stopped at the limit" in html
    assert "Shares" in html
    assert moe._repr_mimebundle_()["text/plain"].startswith("LocatedMoERegressor(")


def test_p_values_as_papers_print_them():
    table = Table({"term": ["a", "b", "c"], "p": [3.1e-17, 0.0449, None]})
    assert [cell in table.to_html() for cell in ("&lt;0.001", "0.045")] == [True, True]
    assert "0.045" in table.to_latex()
    assert "0.001" in table.to_markdown()
    assert "3.1" not in table.to_html() + table.to_latex() + table.to_markdown()

"""The site that `make docs` built: a phone shows it all, nothing goes wrong, and no network is asked."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

SITE = Path(__file__).parents[1] / "docs/_build/html"
PAGES = [*sorted(SITE.glob("*.html")), *sorted(SITE.glob("gallery/*.html")), SITE / "api/moestro.html"]
# The right edge of what does not lie in a box that scrolls.
EDGE = """() => {
  const inside = e => { for (let p = e.parentElement; p; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
  return Math.max(...[...document.querySelectorAll("main *")].filter(e => !inside(e))
    .map(e => e.getBoundingClientRect().right));
}"""
# Boxes of the first sum of a page, of its sign and of what stands below it.
SUM = """() => [...document.querySelector("munder, munderover").children, document.querySelector("math")]
  .map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom, b.width])"""
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "embed": "src"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SITE.is_dir(), reason="the site is not built: make docs"),
]


class Asked(HTMLParser):
    """What a page loads by itself, and where its links go."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.linked, self.ids = [], [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a[name] for name in ("id", "name") if a.get(name)}
        if tag in LOADED and LOADED[tag] in a:
            self.loaded.append(a[LOADED[tag]])
        if tag == "link" and "href" in a and not {"next", "prev", "author", "search"} & {a.get("rel")}:
            self.loaded.append(a["href"])
        if tag == "a" and "href" in a:
            self.linked.append(a["href"])


@pytest.fixture(scope="module")
def pages():
    static = SITE / "_static"  # of the theme, with templates of pages among it
    return {path: Asked(path) for path in SITE.rglob("*.html") if static not in path.parents}


def test_pages_load_what_lies_beside_them(pages):
    for path, page in pages.items():
        for target in page.loaded:
            assert not re.match(r"(\w+:)?//", target), (path.name, target)
            assert target.startswith(("data:", "#")) or (path.parent / target.split("?")[0]).exists(), target
    for path in SITE.rglob("*.css"):
        assert not re.search(r"""(url\(["']?|@import ["'])(https?:)?//""", path.read_text("utf-8")), path.name


def test_links_within_the_site_arrive(pages):
    """At a page that is there and, if they name one, at a place that it has."""
    for path, page in pages.items():
        for target in page.linked:
            if re.match(r"[a-z]+:", target):
                continue
            where, _, place = target.partition("#")
            there = (path.parent / where).resolve() if where else path
            assert there.is_file(), (path.name, target)
            if place and there.suffix == ".html":
                assert place in pages[there].ids, (path.name, target)


def test_every_page_fits_a_phone_and_asks_no_network(browser):
    page = browser.new_context(viewport={"width": 390, "height": 900}, offline=True).new_page()
    said, asked = [], []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else asked.append(r.url))
    for path in PAGES:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        assert page.evaluate(EDGE) <= 391, path.name
        assert not said, (path.name, said)
        assert not asked, (path.name, asked)


def test_formulas_are_drawn_without_a_network(browser):
    page = browser.new_context(offline=True).new_page()
    page.goto((SITE / "api/moestro.MoERegressor.html").as_uri())
    sign, below, whole = page.evaluate(SUM)
    assert sign[1] - 1 <= below[0]  # the index stands below the sign of the sum
    assert whole[2] > 100
    assert "\\sum" not in page.locator("main").inner_text()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("experts.Censored", ("Tobin, 1958", "ln Phi(a)")),
        ("gates.LaplaceGate", ("arXiv 2402.03226", "beta_0i - |x - W_i|")),
        ("selection.bic", ("BIC = -2 L + df log n",)),
        ("deep.HyperRouter", ("arXiv 2312.07035",)),
        ("MoERegressor", ("Adaptive mixtures of local experts",)),
    ],
)
def test_pages_of_the_api_have_formula_and_source(page, words):
    """Those that stand at the top of a file too."""
    text = re.sub(r"<[^>]+>", "", (SITE / f"api/moestro.{page}.html").read_text("utf-8"))
    assert all(word in unescape(text) for word in words)


def test_the_cheat_sheet_is_printed_on_one_page(browser):
    page = browser.new_page()
    page.goto((SITE / "cheat-sheet.html").as_uri())
    printed = page.pdf(format="A4", margin={s: "10mm" for s in ("top", "bottom", "left", "right")})
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1

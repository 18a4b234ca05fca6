"""The site that `make docs` built, on a phone: nothing is wider than the screen, and nothing goes wrong."""

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


@pytest.mark.slow
@pytest.mark.skipif(not SITE.is_dir(), reason="the site is not built: make docs")
def test_every_page_fits_a_phone(browser):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    said = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    for path in PAGES:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        assert page.evaluate(EDGE) <= 391, path.name
        wrong = [text for text in said if "Failed to load resource" not in text]  # formulas come by network
        assert not wrong, (path.name, wrong)

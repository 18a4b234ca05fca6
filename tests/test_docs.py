"""What the documentation prints is what the code prints."""

import contextlib
import doctest
import importlib
import importlib.util
import io
import pkgutil
import re
from pathlib import Path

import pytest

import moestro

ROOT = Path(__file__).parents[1]
PRINTED = re.compile(r"```python\n(.*?)```\s*```text\n(.*?)```", re.DOTALL)
PAGES = [p for p in sorted((ROOT / "docs").glob("*.md")) if PRINTED.search(p.read_text())]
WITH_EXAMPLES = [
    name
    for _, name, _ in pkgutil.walk_packages(moestro.__path__, "moestro.")
    if not name.startswith(("moestro.bench", "moestro.cli", "moestro._core", "moestro.__main__"))
    and ">>>" in Path(importlib.util.find_spec(name).origin).read_text()
]


def test_there_are_examples():
    assert PAGES
    assert WITH_EXAMPLES


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name):
    if name.startswith("moestro.deep"):
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    if ".from_formula(" in Path(module.__file__).read_text() or name == "moestro.choosing":
        pytest.importorskip("formulaic")
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_on_pages(page):
    """A block of Python followed by a block of text prints that text."""
    for code, expected in PRINTED.findall(page.read_text()):
        if "moestro.deep" in code:
            pytest.importorskip("torch")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, {})
        assert out.getvalue().strip() == expected.strip()

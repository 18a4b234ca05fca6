"""What the documentation prints is what the code prints."""

import contextlib
import doctest
import importlib
import importlib.util
import io
import itertools
import pkgutil
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import moestro
from moestro.cli import main
from moestro.datasets import dataset_path

ROOT = Path(__file__).parents[1]
PRINTED = re.compile(r"```python\n(.*?)```\s*```text\n(.*?)```", re.DOTALL)
PAGES = [p for p in sorted((ROOT / "docs").glob("*.md")) if PRINTED.search(p.read_text())]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
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


def printed_by(code, names):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def has(said, expected):
    """Each piece of the text, which leaves out what is between, in its order."""
    at = 0
    for piece in expected.split("\n...\n"):
        at = said.find(piece.strip(), at)
        assert at >= 0, f"{piece!r} is not in {said!r}"


@pytest.mark.slow
def test_the_program_of_the_readme(tmp_path, monkeypatch):
    """Its blocks are one program, and print what is said."""
    for name in ("formulaic", "matplotlib", "jinja2"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    blocks, names = BLOCKS.findall(README), {}
    lines = [code for kind, code in blocks if kind == "python"]
    assert sum(code.count("\n") for code in lines) <= 20
    for (kind, code), (_, text) in itertools.pairwise(blocks):
        if kind == "python":
            assert printed_by(code, names).strip() == text.strip()
    assert (tmp_path / "tone.html").is_file()


@pytest.mark.study
def test_the_commands_of_the_readme(tmp_path, monkeypatch):
    for name in ("formulaic", "matplotlib", "pyarrow"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    shutil.copy(dataset_path("voters"), "voters.csv")
    blocks, ran = BLOCKS.findall(README), set()
    for (kind, code), (_, text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        said = ""
        for line in code.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            program, *words = shlex.split(line, comments=True) or [""]
            if program == "moestro":
                done = CliRunner().invoke(main, words)
                assert done.exit_code == 0, done.output
                said += done.output
                ran.add(words[0])
        if "fit" in code and kind == "sh" and said:
            has(said, text)
    assert ran == {"fit", "predict", "study"}
    assert {p.name for p in tmp_path.iterdir()} >= {"model.json", "model.png", "predictions.csv"}


def test_what_the_readme_points_at_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for word in re.findall(r"`make ([\w-]+)", README):
        assert word in targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for words in re.findall(r"'\.\[([\w,]+)\]'", README):
        assert set(words.split(",")) <= set(extras)

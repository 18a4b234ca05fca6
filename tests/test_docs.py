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
SITE = sorted((ROOT / "docs").glob("*.md"))
PAGES = [p for p in SITE if PRINTED.search(p.read_text())]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
ANY = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
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


def silent(page):
    """Blocks of Python that print nothing, and commands."""
    compared = {code for code, _ in PRINTED.findall(page.read_text())}
    blocks = ANY.findall(page.read_text())
    return [(kind, code) for kind, code in blocks if kind in ("python", "sh") and code not in compared]


def test_no_block_is_of_another_kind():
    """Of the site and its studies: Python, a command, what was printed, or a directive of the page."""
    for page in (*SITE, *(ROOT / "docs/studies").rglob("*.md"), ROOT / "README.md"):
        kinds = {kind for kind, _ in ANY.findall(page.read_text())}
        assert kinds <= {"python", "sh", "text"} or page.name == "index.md", page.name


def prepared(folder):
    """The files that blocks of the site read."""
    import numpy as np
    import pandas

    rng, n = np.random.default_rng(0), 300
    rides = pandas.DataFrame(
        {"km": rng.uniform(1, 9, n), "zone": rng.choice(list("ab"), n), "hour": rng.uniform(0, 24, n)}
    )
    rides["minutes"] = np.where(rng.random(n) < 0.5, 2.0, 4.0) * rides["km"] + rng.standard_normal(n)
    (folder / "rides").mkdir()
    rides[:200].to_parquet(folder / "rides/1.parquet")
    rides[200:].to_parquet(folder / "rides/2.parquet")
    few = pandas.DataFrame({"x": rng.standard_normal(99), "z": rng.standard_normal(99)})
    few["y"] = np.where(few["z"] > 0, few["x"], -few["x"]) + 0.3 * rng.standard_normal(99)
    few.to_csv(folder / "data.csv", index=False)
    few.to_csv(folder / "new.csv", index=False)
    shutil.copy(dataset_path("voters"), folder / "voters.csv")


def run_commands(code):
    """Those of moestro, in their order; what they print, and which they are."""
    said, ran = "", []
    for line in code.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True) or [""]
        if program == "moestro":
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, done.output
            said += done.output
            ran.append(words[0])
    return said, ran


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in SITE if silent(p)], ids=lambda p: p.name)
def test_blocks_that_print_nothing_run(page, tmp_path, monkeypatch):
    for name in ("formulaic", "matplotlib", "jinja2", "pyarrow", "pandas"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    prepared(tmp_path)
    for kind, code in silent(page):
        if "torch" in code:
            pytest.importorskip("torch")
        if kind == "sh":
            run_commands(code)
        elif "distributed" in code:  # run by `tests/test_dask.py`, where its extra is
            compile(code, page.name, "exec")
        else:
            exec(code, {})


@pytest.mark.slow
def test_the_commands_of_the_cheat_sheet(tmp_path, monkeypatch):
    for name in ("formulaic", "matplotlib", "jinja2"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    prepared(tmp_path)
    text = (ROOT / "docs/cheat-sheet.md").read_text().replace("\\|", "|")
    commands = re.findall(r"`(moestro .*?)`", text)
    run_commands(commands[0])
    shutil.copy("fit.json", "one.json")
    shutil.copy("fit.json", "two.json")
    assert [run_commands(c)[1][0] for c in commands[1:]] == ["predict", "compare", "--help"]


def test_the_commands_of_studies_are_read():
    """The command on a study's page is one that the program takes; to run it takes hours."""
    run, read = main.commands["study"].commands["run"], 0
    for page in (ROOT / "docs/studies").glob("*/report.md"):
        for kind, code in ANY.findall(page.read_text()):
            if kind == "sh":
                program, *words = shlex.split(code)
                assert (program, *words[:2]) == ("moestro", "study", "run")
                run.make_context("run", words[2:])
                read += 1
    assert read >= 10


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


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path, monkeypatch):
    for name in ("formulaic", "matplotlib", "pyarrow"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    shutil.copy(dataset_path("voters"), "voters.csv")
    blocks, ran = BLOCKS.findall(README), set()
    for (kind, code), (_, text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        said, commands = run_commands(code) if kind == "sh" else ("", [])
        ran |= set(commands)
        if "fit" in commands:
            has(said, text)
    assert ran == {"fit", "predict", "study"}
    assert {p.name for p in tmp_path.iterdir()} >= {"model.json", "model.png", "predictions.csv"}
    run_commands(re.search(r"`(moestro report .*?)`", README, re.DOTALL)[1].replace("\n", " "))
    assert (tmp_path / "report.html").is_file()


def test_lists_of_pages_and_of_names_are_whole():
    """`llms.txt` has every page; names on the cheat sheet are there."""
    listed = (ROOT / "docs/llms.txt").read_text("utf-8")
    pages = {p.with_suffix(".html").name for p in SITE} - {"index.html"}
    assert pages <= set(re.findall(r"[\w-]+\.html", listed))
    sheet = (ROOT / "docs/cheat-sheet.md").read_text("utf-8")
    for name in re.findall(r"moe\.(\w+)", sheet):
        assert hasattr(moestro.MoERegressor, name) or name == "search_", name
    plots = (Path(moestro.__file__).parent / "plots/__init__.py").read_text("utf-8")
    for name in re.findall(r"`([A-Z]\w+)[.(`]", sheet):
        assert hasattr(moestro, name) or f'"{name}"' in plots, name
    commands = re.search(r"`moestro ([\w|]+)`", listed)[1].split("|")
    assert set(commands) == set(main.commands)


def test_the_page_of_the_output_has_every_word_of_it():
    """Statuses, notes and columns, each in the first cell of a row."""
    from moestro.inference.covariance import ILL
    from moestro.inference.located import ILL as OF_LOCATED
    from moestro.solvers import StatusKind
    from moestro.summary.sweep import HEADS

    page = (ROOT / "docs/output.md").read_text("utf-8")
    first = [line.split(" | ")[0].strip("| ") for line in page.splitlines() if line.startswith("| ")]
    words = {word for cell in first for word in re.sub("`", "", cell).split(", ")}
    assert {str(kind) for kind in StatusKind} <= words
    assert {"singular", "aliased", "at bound", "fixed", *ILL.values(), *OF_LOCATED.values()} <= words
    printed = next(text for code, text in PRINTED.findall(page) if "selection_" in code)
    columns = {word for line in printed.splitlines() for word in line.split(": ")[1].split(", ")}
    assert {c for c in columns if not c.startswith("posterior")} <= words
    assert {*HEADS} <= words


@pytest.mark.slow
def test_the_demo(tmp_path, monkeypatch):
    """What `make demo` does once it has installed the library, read from the Makefile."""
    for name in ("formulaic", "matplotlib"):
        pytest.importorskip(name)
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[1]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "demo-output").mkdir()
    said, ran = run_commands(recipe.replace("$(BIN)/", "").replace("\t", ""))
    assert ran == ["fit"]
    assert "In words" in said
    assert {p.name for p in (tmp_path / "demo-output").iterdir()} == {"voters.json", "voters.png"}


def test_what_the_readme_points_at_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for word in re.findall(r"`make ([\w-]+)", README):
        assert word in targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for words in re.findall(r"'\.\[([\w,]+)\]'", README):
        assert set(words.split(",")) <= set(extras)

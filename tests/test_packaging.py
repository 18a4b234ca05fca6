"""What is shipped says the same in every place: versions, the compiled module's stub, the workflows."""

import ast
import platform
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import moestro
from moestro import _core

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(path):
    return (ROOT / path).read_text("utf-8")


def pins(text):
    return dict(re.findall(r"^(\S+)==(\S+)$", text, re.MULTILINE))


def names(function):
    """Arguments of a function of the stub, without self."""
    a = function.args
    return [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs) if x.arg != "self"]


def compiled(function):
    """The same of a function of the compiled module, from the signature that it carries."""
    (signature, *_), *_ = function.__nb_signature__
    plain = re.sub(r"\\\d+", "None", signature).replace(": numpy.ndarray[", ": ndarray[")
    plain = re.sub(r"ndarray\[[^\]]*\]", "ndarray", plain)
    return names(ast.parse(plain + ": ...").body[0])


def test_the_stub_is_the_compiled_module():
    module = ast.parse((files("moestro") / "_core.pyi").read_text("utf-8"))
    written = {n.name: n for n in module.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert set(written) == {n for n in dir(_core) if not n.startswith("__")}
    for name, node in written.items():
        there = getattr(_core, name)
        if isinstance(node, ast.FunctionDef):
            pairs = [(node, there)]
        else:
            methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
            known = {n for n in vars(there) if hasattr(vars(there)[n], "__nb_signature__")}
            assert set(methods) == known
            pairs = [(methods[n], getattr(there, n)) for n in known]
        for own, other in pairs:
            if not own.args.posonlyargs:  # these have no names
                assert names(own) == compiled(other), f"{name}.{own.name}"


def test_types_are_announced():
    assert (files("moestro") / "py.typed").is_file()


@pytest.mark.skipif(platform.system() != "Linux", reason="asks /proc")
def test_instruction_sets_are_those_of_the_processor():
    found = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    flags = set(found[1].split()) if found and platform.machine() == "x86_64" else set()
    expected = ["baseline"]
    if {"avx2", "fma"} <= flags:
        expected.append("avx2")
        if {"avx512f", "avx512dq", "avx512vl"} <= flags:
            expected.append("avx512")
    assert _core.instruction_sets() == expected


def test_versions_are_equal_everywhere():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["version"] == moestro.__version__
    assert f"\nversion: {moestro.__version__}\n" in read("CITATION.cff")
    assert f"\n## {moestro.__version__}" in read("CHANGELOG.md")
    assert f"license: {project['license']}" in read("CITATION.cff")


def test_before_a_commit_the_checks_of_ci():
    hooks = read(".pre-commit-config.yaml")
    found = re.findall(r"\[ruff==(\S+?)\]", hooks)
    assert found
    assert set(found) == {pins(read("constraints.txt"))["ruff"]}
    assert "entry: make types" in hooks  # the checker of .venv, of the same constraints


def test_python_versions_are_those_that_are_promised():
    project = tomllib.loads(read("pyproject.toml"))
    promised = re.findall(r"Python :: (3\.\d+)", " ".join(project["project"]["classifiers"]))
    assert project["project"]["requires-python"] == f">={promised[0]}"
    assert project["tool"]["cibuildwheel"]["build"] == [f"cp{v.replace('.', '')}-*" for v in promised]
    tests = read(".github/workflows/tests.yml")
    assert re.search(r"python: \[(.*)\]", tests)[1].replace('"', "").split(", ") == promised


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_may_do_little_and_use_pinned_actions(path):
    text = path.read_text("utf-8")
    assert "\npermissions:\n  contents: read\n" in text
    for action in re.findall(r"uses: (\S.*)", text):
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert "secrets." not in text
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    assert text.count("runs-on:") == text.count("timeout-minutes:")


def test_makefile_targets_of_workflows_exist():
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    for path in (*WORKFLOWS, ROOT / ".pre-commit-config.yaml", ROOT / ".github/PULL_REQUEST_TEMPLATE.md"):
        for words in re.findall(r"make ([\w -]+)", path.read_text("utf-8")):
            asked = [w for w in words.split() if re.fullmatch(r"[a-z-]+", w)]
            assert asked[0] in targets, (path.name, asked)

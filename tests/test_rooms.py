"""A room imports only from rooms to its left; heavy extras are imported where they are used."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

import moestro

ROOT = Path(moestro.__file__).parent
ORDER = [
    ["errors"],
    ["tables", "threads", "writing", "reading"],
    ["design"],
    ["rows", "variances"],
    ["gates", "experts", "penalties", "constraints"],
    ["model", "distribution"],
    ["measure"],
    ["engine"],
    ["solvers"],
    ["search"],
    ["problems"],
    ["located"],
    ["selection", "inference"],
    ["penalised"],
    ["fitted"],
    ["summary", "plots", "theory", "deep"],
    ["report"],
    ["api", "datasets"],
    ["choosing"],
    ["estimators"],
    ["bench", "studies"],
    ["cli"],
]
LEVEL = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
SIZE_LIMIT = 300


@cache
def imports_of(path):
    """The imports of a file, inside functions too, and whether each runs, as under `if TYPE_CHECKING:` none
    does."""
    left, out = [(ast.parse(path.read_text(encoding="utf-8")), True)], []
    while left:
        node, runs = left.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            out.append((node, runs))
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            below = getattr(node, part, ())
            if isinstance(below, list):  # an expression has no import
                left += [(child, runs and not (types and part == "body")) for child in below]
    return out


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Rooms that a file imports from, inside functions too."""
    package = path.relative_to(ROOT).parts[:-1]
    for node, _ in imports_of(path):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module.split(".") if node.module else ()))
            names = [target[0]] if target else [alias.name for alias in node.names]
            yield from (n for n in names if n in LEVEL)


def test_every_file_has_a_room():
    rooms = {room_of(p) for p in ROOT.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms == set(LEVEL)


def test_rooms_import_only_from_the_left():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room in LEVEL:
            wrong += [
                f"{path.name}: {room} -> {other}"
                for other in imported_rooms(path)
                if other != room and LEVEL[other] >= LEVEL[room]
            ]
    assert not wrong


def imported_files(path, root=ROOT):
    """Files of the package that a file imports by name; the `__init__` on the way to a module is not
    counted."""
    for node in (node for node, runs in imports_of(path) if runs):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] == root.name
        ):
            base = path.parents[node.level - 1] if node.level else root.parent
            place = base.joinpath(*(node.module.split(".") if node.module else ()))
            for alias in node.names:
                ways = (
                    place / f"{alias.name}.py",
                    place / alias.name / "__init__.py",
                    place.with_suffix(".py"),
                    place / "__init__.py",
                )
                found = [f for f in ways if f.exists()]
                if found and not any(place.glob(f"{alias.name}.*.so")):  # the compiled core imports nothing
                    yield found[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                place = root.parent.joinpath(*alias.name.split("."))
                yield from (
                    f
                    for f in (place.with_suffix(".py"), place / "__init__.py")
                    if f.exists() and root in f.parents
                )


def circles(root):
    """Groups of files of which each reaches each by imports, as sorted paths below `root`."""
    files = sorted(root.rglob("*.py"))
    at = {f: i for i, f in enumerate(files)}
    graph = np.zeros((len(files), len(files)), dtype=bool)
    for f in files:
        graph[at[f], [at[g] for g in imported_files(f, root)]] = True
    _, label = connected_components(graph, directed=True, connection="strong")
    groups = ([i for i in range(len(files)) if label[i] == g] for g in range(label.max() + 1))
    names = [f.relative_to(root).as_posix() for f in files]
    return [tuple(names[i] for i in g) for g in groups if len(g) > 1 or graph[g[0], g[0]]]


def test_no_file_imports_itself_by_a_detour():
    assert not circles(ROOT)


def test_circles_are_seen(tmp_path):
    """A circle through a function, one through a package's `__init__`, none through TYPE_CHECKING."""
    root = tmp_path / "package"
    (root / "sub").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "a.py": "def f():\n    from .b import g\n",
        "b.py": "from .c import h\n",
        "c.py": "from package.a import f\n",
        "d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import e\n",
        "e.py": "from . import d\n",
        "sub/__init__.py": "from .x import y\n",
        "sub/x.py": "from . import z\n",
    }.items():
        (root / name).write_text(text)
    assert circles(root) == [("a.py", "b.py", "c.py"), ("sub/__init__.py", "sub/x.py")]


def test_modules_stay_short():
    long = {p.name: n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > SIZE_LIMIT}
    assert not long


def test_import_is_light():
    code = (
        "import moestro, sys; print([m for m in ('numpy', 'sklearn', 'scipy', "
        "'pandas', 'matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_does_not_load_what_takes_long():
    code = (
        "import sys; from moestro.api import fit_formula; from moestro.cli import main; "
        "print([m for m in ('sklearn', 'matplotlib', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    for name in moestro.__all__:
        assert getattr(moestro, name) is not None

"""A room imports only from rooms to its left; heavy extras are imported where they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import moestro

ROOT = Path(moestro.__file__).parent
ORDER = [
    ["errors"],
    ["tables", "threads"],
    ["design"],
    ["rows"],
    ["gates", "experts", "penalties"],
    ["model", "distribution"],
    ["measure"],
    ["engine"],
    ["solvers"],
    ["search"],
    ["located"],
    ["selection", "inference"],
    ["penalised"],
    ["fitted", "located_model"],
    ["summary", "plots", "theory", "deep"],
    ["api", "datasets", "located_summary"],
    ["estimators"],
    ["bench", "studies"],
    ["cli"],
]
LEVEL = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
SIZE_LIMIT = 330


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Rooms that a file imports from, inside functions too."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
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


def test_modules_stay_short():
    long = {p.name: n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > SIZE_LIMIT}
    assert not long


def test_import_is_light():
    code = "import moestro, sys; print([m for m in ('numpy', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_does_not_load_scikit_learn():
    code = (
        "import sys; from moestro.api import fit_formula; from moestro.cli import main; "
        "print('sklearn' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_public_names_exist():
    for name in moestro.__all__:
        assert getattr(moestro, name) is not None

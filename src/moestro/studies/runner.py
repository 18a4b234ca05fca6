"""Runs a plan. Each finished fit is one line on disk, so that a run may be killed and resumed
at any moment."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import DataError, FileError
from ..reading import check_size, read_json
from ..writing import is_temporary, lock, write
from .design import Arm, Plan, Row, Study, check_arm
from .workers import work

DESIGN, LINES, LOCK, RESULT = "design.json", "fits.jsonl", "running.lock", "fits.parquet"


def prepare_folder(plan: Plan, folder: Path) -> None:
    """Make the folder of a plan, or refuse one that holds another plan's results."""
    path = folder / DESIGN
    if path.exists():
        known = read_design(folder)
        if known.get("digest") != plan.digest:
            what = (
                "another version of moestro"
                if known.get("version") != plan.to_dict()["version"]
                else "another design"
            )
            raise FileError(f"{folder}: holds results of {what}; choose another folder with --out")
        return
    if folder.exists() and not all(is_temporary(path.name) for path in folder.iterdir()):
        raise FileError(f"{folder}: is not empty and holds no study; choose another folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps({**plan.to_dict(), "digest": plan.digest}, indent=1) + "\n")
    except OSError as error:
        raise FileError(f"{folder}: cannot be written ({error.strerror or error})") from error


def read_design(folder: Path) -> dict[str, Any]:
    """The plan that a folder holds results of."""
    try:
        return read_json(folder / DESIGN, _design)
    except FileError as error:
        if not (folder / DESIGN).is_file():
            raise FileError(f"{folder}: holds no study results") from error
        raise


def _design(data: Any) -> dict[str, Any]:
    names = ("study", "protocol", "scale", "version", "digest")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in names):
        raise DataError("is no design of a study")
    if type(data.get("seed")) is not int or not isinstance(data.get("arms"), list) or not data["arms"]:
        raise DataError("is a design without a seed or without arms")
    for arm in data["arms"]:
        check_arm(Arm.from_dict(arm))
    return data


def read_rows(folder: Path) -> list[Row]:
    """Every finished fit, in the order of the design."""
    path = folder / LINES
    if not path.exists():
        return []
    rows = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):  # one that is not was being written when its process ended
                rows.append(_row(line, f"{path}: line {number}"))
    rows.sort(key=lambda r: (r["arm_index"], r["n"], r["replicate"]))
    return rows


def _row(line: bytes, what: str) -> Row:
    try:
        check_size(line)
        row = json.loads(line.decode())  # a fit that found no number may say NaN
        if not isinstance(row, dict):
            raise DataError("is no fit")
        for name in ("arm_index", "n", "replicate"):
            if type(row.get(name)) is not int or row[name] < 0:
                raise DataError(f"its {name} must be a whole number of at least 0")
        if not isinstance(row.get("arm"), str):
            raise DataError("it names no arm")
    except (ValueError, RecursionError) as error:
        raise FileError(f"{what} is damaged ({error}): delete it, and its fit is made again") from error
    return row


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One run a folder; the lock goes with the process."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise FileError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        try:
            lock(handle, wait=False)
        except OSError as error:
            raise FileError(f"{folder}: another run is writing there") from error
        yield
    finally:
        os.close(handle)


def run_plan(
    study: Study,
    plan: Plan,
    folder: Path,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    client: Any = None,
) -> list[Row]:
    """Fit what is not yet on disk; returns all rows in the order of the design.

    Parameters
    ----------
    folder : Path
        New, or holding results of the same plan.
    processes : int
        Results do not depend on it.
    progress : callable (rows of data done, rows of data in all), optional
        Called once with what was on disk, then after each fit.
    client : distributed.Client, optional
        Of a cluster whose workers make the fits, in place of processes.
    """
    if processes < 1:
        raise DataError(f"processes must be at least 1, got {processes}")
    need_packages(study)
    prepare_folder(plan, folder)
    with _locked(folder):
        path = folder / LINES
        done = {(r["arm_index"], r["n"], r["replicate"]) for r in read_rows(folder)}
        todo = [cell for cell in plan.cells() if cell not in done]
        # The replicates in turn: a run that is stopped early has all arms, with fewer of them. In each the
        # large ones first: no process is left alone with one at the end.
        todo.sort(key=lambda cell: (cell[2], -cell[1]))
        total = sum(cell[1] for cell in plan.cells())
        finished = total - sum(cell[1] for cell in todo)
        tell = progress or (lambda done, total: None)
        tell(finished, total)
        for cell in work(study, plan, path, todo, processes, client):
            finished += cell[1]
            tell(finished, total)
        rows = read_rows(folder)
        write_parquet(rows, folder / RESULT)
        return rows


def need_packages(study: Study) -> None:
    """Say before a run, not after it, that a fit cannot be made or its results cannot be written."""
    for module, extra in (("pyarrow", "studies"), *study.needs):
        if find_spec(module) is None:
            raise FileError(f"{study.name} needs {module}, an extra: pip install 'moestro[{extra}]'")


def write_parquet(rows: list[Row], path: Path) -> None:
    """One row a fit, without the times: the file is the same for any number of processes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row if name != "seconds"))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    file = io.BytesIO()
    pq.write_table(table, file)
    write(path, file.getvalue())

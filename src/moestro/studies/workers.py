"""Who makes the fits of a plan: this process, several, or the workers of a cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from ..threads import one_blas_thread
from ..writing import append_line
from .design import Plan, Row, Study
from .registry import find_study

AHEAD = 4  # tasks in the queue a process

Cell = tuple[int, int, int]
T = TypeVar("T")


def work(
    study: Study, plan: Plan, path: Path, todo: list[Cell], processes: int, client: Any = None
) -> Iterator[Cell]:
    """The cells of `todo`, an arm's number, n and a replicate each, as soon as their line stands in the file
    `path`."""
    if client is not None:
        slots = max(1, sum(client.ncores().values()))
        pool = client.get_executor(pure=False)
        for row in _ahead(pool, partial(_far, study.name, plan), todo, AHEAD * slots):
            append_line(path, json.dumps(row))
            yield row["arm_index"], row["n"], row["replicate"]
    elif processes == 1 or len(todo) < 2:
        for cell in todo:
            append_line(path, json.dumps(_row(study, plan, cell)))
            yield cell
    else:
        pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (study.name, plan, str(path)))
        yield from _ahead(pool, _task, todo, AHEAD * processes)


def _ahead(pool: Executor, task: Callable[[Cell], T], todo: list[Cell], most: int) -> Iterator[T]:
    """What `task` makes of each cell, as it comes, with `most` of them in the queue."""
    running: set[Future[T]] = set()
    try:
        queue = iter(todo)
        running = {pool.submit(task, cell) for cell in islice(queue, most)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                yield future.result()
                following = next(queue, None)
                if following is not None:
                    running.add(pool.submit(task, following))
    finally:
        for future in running:
            future.cancel()
        pool.shutdown(wait=True)


_state: dict[str, Any] = {}


def _begin(name: str, plan: Plan, path: str) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _state.update(study=find_study(name), plan=plan, path=Path(path))


def _task(cell: Cell) -> Cell:
    """Writes its line itself: what is finished outlives the parent."""
    append_line(_state["path"], json.dumps(_row(_state["study"], _state["plan"], cell)))
    return cell


def _far(name: str, plan: Plan, cell: Cell) -> Row:
    """On a machine that may not see the folder of the results."""
    return _row(find_study(name), plan, cell)


def _row(study: Study, plan: Plan, cell: Cell) -> Row:
    """One fit."""
    index, n, replicate = cell
    arm = plan.arms[index]
    start = time.perf_counter()
    with one_blas_thread():
        found = study.fit(arm, plan.protocol, n, plan.rng(arm, n, replicate, study.paired))
    row = {"arm_index": index, "arm": arm.name, "n": n, "replicate": replicate, **found}
    return {**row, "seconds": round(time.perf_counter() - start, 6)}

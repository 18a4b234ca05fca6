"""How many threads to use."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from .errors import DataError


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep BLAS on one thread: a fit's own matrices are small, and its sums must not depend on the
    machine."""
    return _controller().limit(limits=1, user_api="blas")


def thread_count(n_jobs: int | None) -> int:
    """Threads for `n_jobs`: None or -1 is every core this process may use, less what OMP_NUM_THREADS
    forbids."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        limit = os.environ.get("OMP_NUM_THREADS", "")
        return min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores
    if n_jobs == 0:
        raise DataError("n_jobs must not be 0: use None for all cores")
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)

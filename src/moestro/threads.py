"""How many threads to use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import DataError


class _OneBlasThread:
    """A limit of the whole process, held while anybody needs it: the first one sets it, the last one puts
    back what was there before, whichever threads they are."""

    def __init__(self) -> None:
        self.controller: Any = None
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forked)

    def forget(self) -> None:
        self.lock, self.users, self.limit = threading.Lock(), 0, None

    def forked(self) -> None:
        """A child has no thread that would give up the limit of its parent."""
        limit = self.limit
        self.forget()
        if limit is not None:
            limit.restore_original_limits()

    def take(self) -> None:
        with self.lock:
            if self.users == 0:
                if self.controller is None:
                    from threadpoolctl import ThreadpoolController

                    self.controller = ThreadpoolController()
                self.limit = self.controller.limit(limits=1, user_api="blas")
            self.users += 1

    def give(self) -> None:
        with self.lock:
            self.users = max(self.users - 1, 0)  # a child has none, and may leave a block of its parent's
            if self.users == 0 and self.limit is not None:
                limit, self.limit = self.limit, None
                limit.restore_original_limits()


_one = _OneBlasThread()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS on one thread: a fit's own matrices are small, and its sums must not depend on the
    machine."""
    _one.take()
    try:
        yield
    finally:
        _one.give()


def thread_count(n_jobs: int | None) -> int:
    """Threads for `n_jobs`: None or -1 is every core this process may use, less what OMP_NUM_THREADS
    forbids."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        limit = os.environ.get("OMP_NUM_THREADS", "")
        whole = limit.isascii() and limit.isdigit()  # "²" is a digit, and no number
        return min(cores, int(limit)) if whole and int(limit) > 0 else cores
    if n_jobs == 0:
        raise DataError("n_jobs must not be 0: use None for all cores")
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)

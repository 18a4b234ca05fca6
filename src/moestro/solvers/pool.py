"""Independent pieces on threads, one executor a fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import quiet


def silent() -> None:
    """No progress."""


class Pool:
    """Maps functions over items; leaving it (also by Ctrl-C) stops what runs and leaves no thread."""

    def __init__(self, threads: int):
        self.cancel = threading.Event()
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._executor is not None:
            self.cancel.set()
            self._executor.shutdown(wait=True, cancel_futures=True)

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], tick: Callable[[], None] = silent
    ) -> list[Any]:
        """`function` of every item, in the order of the items; `tick` after each."""
        futures = None
        if self._executor is not None:
            futures = [self._executor.submit(quietly, function, item) for item in items]
        out = []
        for result in futures if futures is not None else (function(item) for item in items):
            out.append(result.result() if futures is not None else result)
            tick()
        return out


def quietly(function: Callable[[Any], Any], item: Any) -> Any:
    """`function` of an item: a thread of its own has its own floating-point warnings."""
    with quiet():
        return function(item)

"""Progress of a search on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class Progress:
    """One bar a stage, on a terminal only."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.k = 0
        self.stage = ""
        self.quiet = not sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def begin(self, k: int) -> None:
        """A new number of experts."""
        self.k, self.stage = k, ""

    def show(self, stage: str, done: int, total: int, note: str) -> None:
        """`done` of `total` pieces of a stage, and what is known by then."""
        if self.quiet:
            return
        if stage != self.stage:
            from tqdm import tqdm

            self._close()
            self.stage = stage
            noun = "expert" if self.k == 1 else "experts"
            self.bar = tqdm(total=total, desc=f"{self.k} {noun}, {stage}", leave=False, file=sys.stderr)
        self.bar.update(done - self.bar.n)
        if note:
            self.bar.set_postfix_str(note)

    def write(self, say: Callable[[Any], None], fit: Any) -> None:
        """Print between bars."""
        self._close()
        say(fit)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

"""How to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Progress = Callable[[str, int, int, str], None]
Until = Callable[[float | None, int], bool]
RANKINGS = ("usable", "likelihood")


def seed_sequence(seed: int | np.random.SeedSequence | None) -> np.random.SeedSequence:
    """`seed` as a SeedSequence."""
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)


@dataclass(frozen=True)
class Options:
    """How to fit.

    Attributes
    ----------
    solver, engine : str
    n_starts : int or "auto"
        "auto" searches until the best optimum was found again and again, or its budget is spent; a number is
        that many starts without moves.
    tol : float
        Largest projected gradient entry per row, in scaled coordinates.
    max_iter : int or None
        Iterations of the final polish.
    seed : int, SeedSequence or None
    threads : int
    initial : tuple
        Points to start from besides the strategies, as the problem takes them: parameter vectors, memberships
        (n, k), or a measure.
    only_initial : bool
        Start from `initial` alone, and leave the order of the experts.
    box : float or None
        Bound of gate and expert coefficients on scaled columns; None takes the gate's and the family's own.
    until : callable (best, waves) -> bool, or None
        Asked after the starts and after each wave of moves whether the search ends before its evidence ends
        it: `best` is the log-likelihood of the best usable optimum so far, None where there is none or only a
        part of the rows is searched, `waves` how many there were. With it, numbered starts move too.
    rank_by : {"usable", "likelihood"}
        What chooses among local maxima: the likelihood of usable ones, or the likelihood alone.
    nested : bool
        Whether fits of fewer experts come first, and are started from.
    progress : callable (stage, done, total, note) or None
        `note` says in words how far a search has come, or nothing.
    """

    solver: str = "auto"
    engine: str = "auto"
    n_starts: int | str = "auto"
    tol: float = 1e-8
    max_iter: int | None = None
    seed: int | np.random.SeedSequence | None = None
    threads: int = 1
    initial: tuple[Any, ...] = ()
    only_initial: bool = False
    box: float | None = None
    rank_by: str = "usable"
    nested: bool = True
    progress: Progress | None = None
    until: Until | None = None

    @property
    def explores(self) -> bool:
        """Whether the search moves between optima and counts how often it finds them."""
        return (self.n_starts == "auto" or self.until is not None) and not self.only_initial

    def ticker(self, stage: str, total: int) -> Callable[[], None]:
        """A function that reports one more piece of `total` done."""
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                self.progress(stage, min(done, total), total, "")

        return tick

"""What the search carries along: how to fit, and one record a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tables import Table
from .base import Outcome, Solver, run
from .coordinates import Objective
from .status import USABLE, Status

Progress = Callable[[str, int, int], None]
SAME = 1e-7  # relative difference of log-likelihood below which two fits are one optimum


@dataclass(frozen=True)
class Options:
    """How to fit.

    Attributes
    ----------
    solver, engine : str
    n_starts : int or "auto"
        "auto" also allows moves between basins while starts disagree.
    tol : float
        Largest projected gradient entry per row, in scaled coordinates.
    max_iter : int or None
        Iterations of the final polish.
    seed : int, SeedSequence or None
    threads : int
    initial : tuple of ndarray
        Parameter vectors (scaled coordinates) to start from besides the strategies.
    only_initial : bool
        Start from `initial` alone, and leave the order of the experts.
    box : float or None
        Bound of gate and expert coefficients on scaled columns; None takes the gate's and the family's own.
    hold_gate : bool
        Leave the gate where the one initial vector has it.
    progress : callable (stage, done, total) or None
    """

    solver: str = "auto"
    engine: str = "auto"
    n_starts: int | str = "auto"
    tol: float = 1e-8
    max_iter: int | None = None
    seed: int | np.random.SeedSequence | None = None
    threads: int = 1
    initial: tuple[np.ndarray, ...] = ()
    only_initial: bool = False
    box: float | None = None
    hold_gate: bool = False
    progress: Progress | None = None

    def ticker(self, stage: str, total: int) -> Callable[[], None]:
        """A function that reports one more piece of `total` done."""
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                self.progress(stage, min(done, total), total)

        return tick


@dataclass
class Candidate:
    """A start on its way: where it is, what it cost, and why it was dropped."""

    strategy: str
    phi: np.ndarray
    value: float = -np.inf
    iterations: int = 0
    rows: int = 0
    note: str = ""
    outcome: Outcome | None = None
    status: Status | None = None
    collapsed: bool = False

    @property
    def rank(self) -> tuple[bool, float]:
        """Usable fits first, then by log-likelihood."""
        usable = not self.collapsed if self.status is None else self.status.kind in USABLE
        return usable, self.value if np.isfinite(self.value) else -np.inf

    def advance(self, solver: Solver, objective: Objective, **how: Any) -> None:
        """Run `solver` from here."""
        outcome = run(solver, objective, self.phi, **how)
        self.phi, self.value, self.outcome = outcome.phi, outcome.value, outcome
        self.iterations += outcome.iterations
        self.rows = objective.engine.rows.n
        self.collapsed = bool(objective.coordinates.collapsed(self.phi).any())


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Best first."""
    return sorted(candidates, key=lambda a: a.rank, reverse=True)


def distinct(best_first: list[Candidate]) -> list[Candidate]:
    """Drop those whose log-likelihood equals a better one's: the same optimum, labels permuted."""
    out: list[Candidate] = []
    for a in best_first:
        if not any(abs(a.value - b.value) <= SAME * (1 + abs(b.value)) for b in out):
            out.append(a)
    return out


def starts_table(everyone: list[Candidate], best: Candidate) -> Table:
    """One row a start. Log-likelihoods are sums over the rows in the column `rows`."""

    def words(a: Candidate) -> str:
        if a is best:
            return f"best: {a.status.kind if a.status else ''}"
        return f"polished: {a.status.kind}" if a.note == "polished" and a.status else a.note

    return Table(
        {
            "start": list(range(1, len(everyone) + 1)),
            "strategy": [a.strategy for a in everyone],
            "rows": [a.rows for a in everyone],
            "log_likelihood": [a.value if np.isfinite(a.value) else None for a in everyone],
            "iterations": [a.iterations for a in everyone],
            "status": [words(a) for a in everyone],
        }
    )

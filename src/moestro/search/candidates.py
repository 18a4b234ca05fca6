"""What the search carries along: one record a run, and the distinct optima that runs ended in."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..solvers.status import Status
from ..tables import Table
from .problem import End, Problem

SAME_DENSITY = 0.02  # mean |log p - log p'| over the rows within which they are


@dataclass
class Candidate:
    """A start on its way: where it is, what it cost, and what became of it.

    `parent` is the optimum that a move began from, `same` the better run whose optimum more rows show it to
    share.
    """

    strategy: str
    point: Any
    value: float = -np.inf
    iterations: int = 0
    rows: int = 0
    note: str = ""
    key: tuple[int, float] = (-1, -np.inf)
    parent: Optimum | None = None
    same: Candidate | None = None
    end: End | None = None
    status: Status | None = None

    @property
    def became(self) -> Candidate:
        """The run that stands for its optimum."""
        return self if self.same is None else self.same.became

    def advance(self, problem: Problem, **how: Any) -> None:
        """Go on from here on the rows of `problem`."""
        end = problem.advance(self.point, **how)
        self.point, self.value, self.end = end.point, end.value, end
        self.iterations += end.iterations
        self.rows = problem.n
        self.key = problem.key(end.point, end.value, end.mass)


@dataclass(eq=False)
class Optimum:
    """A local maximum on the rows that are searched: its best run, and how often it was found.

    `density` (n,) is the log-density of the rows there: two points with the same one are the same measure,
    however their experts are named.
    """

    best: Candidate
    density: np.ndarray
    found: int = 0

    @property
    def key(self) -> tuple[int, float]:
        return self.best.key


@dataclass
class Optima:
    """Distinct optima, best first."""

    problem: Problem
    known: list[Optimum] = field(default_factory=list)

    def add(self, candidate: Candidate) -> Optimum | None:
        """Put a finished run to the optimum that it ended in, which is returned; a move that fell back to its
        parent is no new finding."""
        if not np.isfinite(candidate.value):
            candidate.note = "no finite log-likelihood"
            return None
        here = self._place(candidate)
        candidate.note = "ended in an optimum"
        if here is not candidate.parent:
            here.found += 1
        if candidate.key > here.best.key:
            here.best = candidate
            self.known.remove(here)
        if here.best is candidate:
            insort(self.known, here, key=lambda o: (-o.key[0], -o.key[1]))
        return here

    def _place(self, candidate: Candidate) -> Optimum:
        """The known optimum at which the run ended, or a new one."""
        density, same = None, self.problem.same_value
        for other in self.known:
            if abs(other.best.value - candidate.value) > same:
                continue
            if density is None:
                density = self._density(candidate)
            if is_same(self.problem, candidate, density, other.best, other.density):
                return other
        return Optimum(candidate, self._density(candidate) if density is None else density)

    def _density(self, candidate: Candidate) -> np.ndarray:
        return self.problem.rowwise(candidate.point)[1]


def is_same(problem: Problem, a: Candidate, density: np.ndarray, b: Candidate, other: np.ndarray) -> bool:
    """Whether two runs on these rows ended in one optimum, from the rows' log-densities (n,) at either."""
    near = abs(a.value - b.value) <= problem.same_value
    return bool(near and np.abs(density - other).mean() <= SAME_DENSITY)


def distinct(problem: Problem, ends: Sequence[End]) -> list[int]:
    """For each end, the number of the first one that lies at the same optimum."""
    optima, first = Optima(problem), dict[int, int]()
    there = [optima.add(Candidate("", e.point, e.value, key=(0, e.value))) for e in ends]
    return [first.setdefault(id(optimum), i) for i, optimum in enumerate(there)]


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Best first."""
    return sorted(candidates, key=lambda a: a.key, reverse=True)


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

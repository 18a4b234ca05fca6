"""What the search carries along: one record a run, and the distinct optima that runs ended in."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..solvers.pool import Pool
from ..solvers.status import Status
from ..tables import Table
from .options import Options
from .problem import End, Problem

SAME_DENSITY = 0.02  # mean |log p - log p'| over the rows within which they are


@dataclass(eq=False)
class Candidate:
    """A start on its way: where it is, what it cost, and what became of it.

    `parents` are the optima that a move began from, `same` the better run whose optimum more rows show it to
    share.
    """

    strategy: str
    point: Any
    value: float = -np.inf
    iterations: int = 0
    rows: int = 0
    note: str = ""
    key: tuple[int, float] = (-1, -np.inf)
    parents: tuple[Optimum, ...] = ()
    same: Candidate | None = None
    end: End | None = None
    status: Status | None = None
    examined: bool = False

    @property
    def became(self) -> Candidate:
        """The run that stands for its optimum."""
        return self if self.same is None else self.same.became

    def advance(self, problem: Problem, **how: Any) -> None:
        """Go on from here on the rows of `problem`; what ends at no finite value stays where it was, and
        moves may begin there."""
        end = problem.advance(self.point, **how)
        self.point = end.point if np.isfinite(end.value) else self.point
        self.value, self.end = end.value, end
        self.iterations += end.iterations
        self.rows = problem.n
        self.key = problem.key(end.point, end.value, end.mass)

    def finish(self, problem: Problem, options: Options, pool: Pool, most: int | None = None) -> None:
        """Go on until converged, for `most` steps, and see how that ended; an end that is not usable ranks as
        one."""
        limits = [limit for limit in (most, options.max_iter) if limit is not None]
        end = self._converge(problem, options, pool, limits)
        self.status = problem.diagnose(end)
        self._rank(self.status.usable, options)

    def examine(self, problem: Problem, options: Options, pool: Pool) -> None:
        """`finish` without the sentence: only whether the end is usable."""
        limits = [] if options.max_iter is None else [options.max_iter]
        end = self._converge(problem, options, pool, limits)
        self.examined = True
        self._rank(problem.is_usable(end), options)

    def _converge(self, problem: Problem, options: Options, pool: Pool, limits: Sequence[int]) -> End:
        self.advance(problem, tol=options.tol, max_iter=min(limits, default=None), cancel=pool.cancel)
        assert self.end is not None
        return self.end

    def _rank(self, usable: bool, options: Options) -> None:
        if not usable and options.rank_by == "usable":
            self.key = (min(self.key[0], 1), self.key[1])


@dataclass(eq=False)
class Optimum:
    """A local maximum on the rows that are searched: its best run, and all runs that ended in it.

    `density` (n,) is the log-density of the rows there: two points with the same one are the same measure,
    however their experts are named. `found` is how often it was: a move that fell back to an optimum that it
    began from is no finding. `same` is the optimum that it turned out to be.
    """

    best: Candidate
    density: np.ndarray
    runs: list[Candidate] = field(default_factory=list)
    found: int = 0
    same: Optimum | None = None

    @property
    def key(self) -> tuple[int, float]:
        return self.best.key

    @property
    def itself(self) -> Optimum:
        return self if self.same is None else self.same.itself

    def take(self, runs: Sequence[Candidate]) -> None:
        """Add runs that ended here."""
        self.runs += runs
        self.found += sum(all(o.itself is not self for o in run.parents) for run in runs)


@dataclass
class Optima:
    """Distinct optima, best first."""

    problem: Problem
    known: list[Optimum] = field(default_factory=list)

    def add(self, candidate: Candidate) -> Optimum | None:
        """Put a finished run to the optimum that it ended in, which is returned."""
        if not np.isfinite(candidate.value):
            candidate.note = "no finite log-likelihood"
            return None
        here = self._place(candidate)
        candidate.note = "ended in an optimum"
        here.take([candidate])
        if candidate.key > here.best.key:
            here.best = candidate
            self.known.remove(here)
        if here.best is candidate:
            self._insert(here)
        return here

    def again(self, o: Optimum) -> None:
        """Put an optimum whose best run went on in its new place; one that ended in another one is that."""
        self.known.remove(o)
        o.density = self._density(o.best)
        here = self._place(o.best)
        if here in self.known:
            o.same = here
            everyone, here.runs, here.found = here.runs + o.runs, [], 0
            here.take(everyone)  # a move from either to the other is no finding now
            if o.best.key <= here.best.key:
                return
            self.known.remove(here)
            here.best, here.density = o.best, o.density
        else:
            here = o
        self._insert(here)

    def _insert(self, o: Optimum) -> None:
        insort(self.known, o, key=lambda o: (-o.key[0], -o.key[1]))

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

"""The rows that are searched, and what a wave of runs does on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..solvers.pool import Pool
from .candidates import Candidate, Optima, Optimum
from .options import Options
from .problem import Problem

# standard errors below the best at which an optimum of a subsample is not expected to be the best of all rows
UNLIKELY = 4.0
BEGIN_PASSES = 3  # of the M-steps that make a point of memberships
# starts and moves whose memberships are cut by columns alone, or come from gates that may be
CUTS = {"segments", "move: share", "move: split", "move: cross"}


class Stage:
    """A problem, every run on it so far, and the optima that they ended in.

    Attributes
    ----------
    problem : Problem
    pool : Pool
    judge : Problem or None
        As many other rows, where these are a part of all: an end is ranked by the likelihood of both, so that
        what a few rows make does not win.
    optima : Optima
    everyone : list of Candidate
    passes : float
        Passes over these rows so far.
    """

    def __init__(self, problem: Problem, pool: Pool, judge: Problem | None = None):
        self.problem, self.pool, self.judge = problem, pool, judge
        self.optima = Optima(problem)
        self.everyone: list[Candidate] = []
        self.passes = 0.0

    def run(
        self,
        names: Sequence[str],
        guesses: Sequence[np.ndarray],
        parents: Sequence[tuple[Optimum, ...]] | None = None,
    ) -> None:
        """Runs from memberships (n, k)."""
        parents = [()] * len(names) if parents is None else parents
        group = self.problem.at_once
        for start in range(0, len(names), group):
            at = slice(start, start + group)
            points = list(self.problem.begin(guesses[at], self.pool))
            self.passes += BEGIN_PASSES * len(points)
            cut = [i for i, name in enumerate(names[at]) if name in CUTS]
            if cut:
                near, passes = self.problem.follow(
                    [points[i] for i in cut], [guesses[start + i] for i in cut], self.pool
                )
                self.passes += passes * len(cut)
                for i, point in zip(cut, near, strict=True):
                    points[i] = point
            self._finish(names[at], points, parents[at])

    def run_from(self, names: Sequence[str], points: Sequence[Any]) -> None:
        """Runs from points."""
        if len(names):
            self._finish(names, points, [()] * len(names))

    def examine(self, most: int, options: Options) -> None:
        """Carry the `most` best optima as far as an estimate is carried, and see whether each is usable.

        Runs end a little below an optimum: two may be on the way to one, and one may end where an expert that
        is about to become too narrow is not yet. Moves are to begin from optima, and to be counted by them. A
        part of the rows cannot tell, and is left.
        """
        while self.judge is None:
            best = self.optima.known[:most]
            o = next((o for o in best if o.key[0] == 2 and not o.best.examined), None)
            if o is None:
                return
            o.best.point = self.problem.sharpen(o.best.point, options.tol, self.pool)
            o.best.examine(self.problem, options, self.pool)
            assert o.best.end is not None
            self.passes += o.best.end.passes
            self.optima.again(o)

    def contenders(self) -> list[Candidate]:
        """Optima that may be the best on all rows, best first.

        The rows' log-densities at two optima differ by d; an optimum whose sum of d to the best one lies many
        standard errors below zero, on the searched rows and as many others, is not.
        """
        if self.judge is None or not self.optima.known:
            return [o.best for o in self.optima.known]
        best = self.optima.known[0]
        w = np.concatenate(
            [np.ones(p.n) if p.weights is None else p.weights for p in (self.problem, self.judge)]
        )
        there = self._densities(best)
        kept = []
        for o in self.optima.known:
            d = there if o is best else self._densities(o)
            d = w * (d - there)
            if o is best or d.sum() >= -UNLIKELY * np.sqrt((d**2).sum()):
                kept.append(o.best)
        return kept

    def _densities(self, o: Optimum) -> np.ndarray:
        assert self.judge is not None
        return np.concatenate([o.density, self.judge.rowwise(o.best.point)[1]])

    def _finish(
        self, names: Sequence[str], points: Sequence[Any], parents: Sequence[tuple[Optimum, ...]]
    ) -> None:
        ends = self.problem.settle(points, self.pool)
        beside = [0.0] * len(ends)
        if self.judge is not None:
            beside = [value for value, _ in self.judge.values([e.point for e in ends], self.pool)]
        for name, end, other, own in zip(names, ends, beside, parents, strict=True):
            self.passes += end.passes + (self.judge is not None)
            kind, level = self.problem.key(end.point, end.value, end.mass)
            key = (kind, level + other) if np.isfinite(other) else (-1, -np.inf)
            run = Candidate(
                name, end.point, float(end.value), end.iterations, self.problem.n, key=key, parents=own
            )
            self.everyone.append(run)
            self.optima.add(run)

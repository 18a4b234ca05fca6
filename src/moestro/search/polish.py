"""From the optima of the search to the estimate on all rows."""

from __future__ import annotations

import numpy as np

from ..solvers.pool import Pool
from .candidates import Candidate, is_same, ranked
from .options import Options
from .problem import Problem
from .stage import UNLIKELY

FINALISTS = 12  # optima of a subsample that go on to more rows
TRIED = 8  # optima that are polished at most, where the better ones turn out unusable
JUDGED = 30  # optima of a subsample whose likelihood on more rows is looked at
MIDDLE_STEPS = 60  # on a subsample in between
# gradient per row at which runs end on a subsample in between, where those of one optimum are to be known as
# such, and on all rows
MIDDLE_TOL, FEW_TOL = 1e-6, 1e-4
SLACK = 1.0  # log-likelihood that a finalist may still gain after those


def polish(
    levels: list[Problem], options: Options, finalists: list[Candidate], optima: list[Candidate], pool: Pool
) -> Candidate:
    """The best of `finalists` (best first, of the first level) on all rows, converged, experts in decreasing
    order of mass.

    Where none of them turns out usable, the other `optima` are tried.
    """
    for depth, problem in enumerate(levels[1:]):
        if depth:
            finalists = _near(levels[depth], finalists)
        last = problem is levels[-1]
        if last and len(finalists) == 1:
            break
        most = 2 if depth else FINALISTS
        if not (last and depth and len(finalists) <= most):
            finalists = _judged(problem, finalists[:JUDGED], pool)[:most]
        steps, tol = (problem.few_steps, FEW_TOL) if last else (MIDDLE_STEPS, MIDDLE_TOL)

        def settle(a: Candidate, problem: Problem = problem, steps: int = steps, tol: float = tol) -> None:
            a.advance(problem, tol=max(options.tol, tol), max_iter=steps, cancel=pool.cancel)

        (Pool(1) if problem.wide else pool).map(settle, finalists)
        finalists = ranked(finalists)
    return _settled(levels[-1], options, finalists, optima, pool)


def _near(problem: Problem, finalists: list[Candidate]) -> list[Candidate]:
    """Those of `finalists`, best first, that their rows do not tell from the best: the sum of the differences
    of the rows' log-densities is not many standard errors below zero. One that ended in the optimum of a
    better one is left to it."""
    best, w = finalists[0], problem.weights
    kept: list[tuple[Candidate, np.ndarray]] = []
    for a in finalists:
        there = problem.rowwise(a.point)[1]
        if a is not best:
            d = (there - kept[0][1]) * (1.0 if w is None else w)
            if d.sum() < -UNLIKELY * np.sqrt((d**2).sum()):
                continue
            near = (b for b, density in kept if is_same(problem, a, there, b, density))
            a.same = next(near, None)
        if a.same is None:
            kept.append((a, there))
    return [a for a, _ in kept]


def _judged(problem: Problem, candidates: list[Candidate], pool: Pool) -> list[Candidate]:
    """Best first on the rows of `problem`, most of which they were not fitted on."""
    values = problem.values([a.point for a in candidates], pool)
    keys = [problem.key(a.point, v, m) for a, (v, m) in zip(candidates, values, strict=True)]
    return [candidates[i] for i in sorted(range(len(keys)), key=lambda i: keys[i], reverse=True)]


def _settled(
    problem: Problem, options: Options, finalists: list[Candidate], others: list[Candidate], pool: Pool
) -> Candidate:
    """Converged on all rows, one after the other, until none that is left can be better. What will be refused
    goes on for a few steps: an optimum beside a usable one, and all where none can be."""
    queue = [*finalists, *(a for a in others if all(a is not b for b in finalists))][:TRIED]
    best: Candidate | None = None
    none = problem.hopeless and options.rank_by == "usable" and options.max_iter is None
    tick = options.ticker("polish", len(queue))
    for a in queue:
        if best is not None and best.key[0] == 2:
            hope = 0.0 if a.end is None else SLACK
            if a.rows != problem.n or best.key >= (a.key[0], a.key[1] + hope):
                break
        if not options.only_initial:
            a.point = problem.by_mass(a.point)
        hopeless = none or (best is not None and a.key[0] < 2)
        a.finish(problem, options, pool, problem.refused_steps if hopeless else None)
        a.note = "polished"
        if best is None or a.key > best.key:
            best = a
        tick()
    assert best is not None
    return best

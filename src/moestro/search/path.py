"""From a problem to a frozen fit: the search on some rows, the polish on all, fewer experts first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError, quiet
from ..solvers.pool import Pool
from ..threads import one_blas_thread
from .candidates import Candidate, starts_table
from .evidence import Evidence
from .fit import Fit
from .options import RANKINGS, Options, seed_sequence
from .polish import polish
from .problem import Problem
from .search import evidence, explore
from .stage import Stage

LEVEL_GROWTH = 10
OF_K = 2**31  # keeps the seeds of k apart from those that callers spawn
BELOW = 1e-7  # relative loss of log-likelihood against one expert less that is rounding

FitOne = Callable[[int, Options, Fit | None], Fit]


def fit_path(
    fit: FitOne,
    ks: Sequence[int],
    options: Options,
    nested: bool = True,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> list[Fit]:
    """Fits for each k of `ks`, in increasing order; `fit` makes one, from k, its options and the fit of k -
    1.

    Where fits are `nested`, the search for k experts also starts from the fit of k - 1, which is found in the
    same way, from a seed that k alone decides: a fit is the same whichever others are asked for, and never
    below one with fewer experts, unless `fit` makes those that are not asked for of fewer rows.
    """
    root = seed_sequence(options.seed)
    ordered = sorted(set(ks))
    out: list[Fit] = []
    below: Fit | None = None
    for k in range(1, ordered[-1] + 1) if nested else ordered:
        asked = k in ordered
        if asked and started is not None:
            started(k)
        own = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, OF_K, k))
        one = replace(options, seed=own, progress=options.progress if asked else None)
        if not asked:
            one = replace(one, initial=())
        found = fit(k, one, below)
        below = found if nested else None
        if asked:
            out.append(found)
            if finished is not None:
                finished(found)
    return out


def fit_problem(problem: Problem, options: Options, below: Fit | None = None) -> Fit:
    """The best optimum of `problem` that the search finds, polished; never below the fit `below` of one
    expert less."""
    search_seed, draw = seed_sequence(options.seed).spawn(2)
    elsewhere = problem.at_hand < problem.n
    whole = options.only_initial or (problem.k == 1 and not elsewhere)
    levels, judge = ([problem], None) if whole else _levels(problem, draw)
    work = levels[0].n * problem.size
    with quiet(), one_blas_thread(), Pool(options.threads if work > 5_000 else 1) as pool:
        stage = Stage(levels[0], pool, judge)
        _search(stage, options, below, search_seed)
        optima = [o.best for o in stage.optima.known] or stage.everyone[:1]
        best = polish(levels, options, stage.contenders() or optima, optima, pool)
        problem = levels[-1]
        if below is not None and _comparable(below, problem) and _is_below(best, below):
            best = _from_below(problem, options, below, best, stage, pool)
            if _is_below(best, below) and stage.judge is None and not problem.hopeless:
                best = _further(problem, options, below, best, stage, pool, search_seed)
        assert best.end is not None and best.status is not None
        if not np.isfinite(best.end.value):
            raise DataError(
                f"no start of {problem.k} experts reached a finite log-likelihood: rescale the columns, the "
                "response or the offset, or use fewer experts"
            )
        share = levels[0].weight_sum / problem.weight_sum
        return problem.fit(
            best.end,
            status=best.status,
            n_iter=best.iterations,
            starts=starts_table(stage.everyone, best),
            evidence=None if options.only_initial else _beside(evidence(stage, share, best), below, problem),
        )


def _beside(found: Evidence, below: Fit | None, problem: Problem) -> Evidence:
    if below is None or not _comparable(below, problem):
        return found
    return replace(found, smaller=below.log_likelihood, smaller_size=below.n_parameters)


def _search(stage: Stage, options: Options, below: Fit | None, seed: np.random.SeedSequence) -> None:
    """Fill the stage with runs; a fit of one expert, or from given parameters alone, is left to the
    polish."""
    problem = stage.problem
    given = [problem.given(initial) for initial in options.initial]
    if problem.k == 1 and not options.only_initial:
        given.append(problem.pooled())
    if problem.k == 1 or (options.only_initial and len(given) == 1):
        names = ["given"] * len(options.initial) + ["pooled"]
        stage.everyone += [
            Candidate(name, point, rows=problem.n) for name, point in zip(names, given, strict=False)
        ]
        return
    nested = [] if below is None else problem.nested(below)
    if options.only_initial:
        return explore(stage, options, 0, nested, seed)
    auto = options.n_starts == "auto"
    starts = problem.n_starts if auto else int(options.n_starts)
    explore(stage, options, starts, nested, seed, ladder=auto)


def _comparable(below: Fit, problem: Problem) -> bool:
    """Whether a fit is an estimate on the same rows; one of a sample of them is a start alone."""
    return below.status.usable and below.weight_sum > (1 - 1e-9) * problem.weight_sum


def _is_below(best: Candidate, below: Fit) -> bool:
    loss = below.log_likelihood - best.value
    return best.key[0] < 2 or loss > BELOW * (1.0 + abs(below.log_likelihood))


def _from_below(
    problem: Problem, options: Options, below: Fit, best: Candidate, stage: Stage, pool: Pool
) -> Candidate:
    """The best fit that starts on all rows from the one with an expert less, whose likelihood is already as
    high."""
    again = [
        Candidate("smaller fit", point, rows=problem.n)
        for point in (*problem.nested(below), *problem.duplicated(below))
    ]
    stage.everyone += again
    for a in again:
        polished = polish([problem], options, [a], [a], pool)
        if polished.key[0] > best.key[0] or (polished.key[0] == best.key[0] and polished.value > best.value):
            best = polished
    return best


def _further(
    problem: Problem,
    options: Options,
    below: Fit,
    best: Candidate,
    stage: Stage,
    pool: Pool,
    seed: np.random.SeedSequence,
) -> Candidate:
    """Where all that began at the smaller fit ended with a thin expert: moves, also after numbered starts,
    until a usable optimum is as high, or the budget is spent."""

    def as_high(value: float | None, waves: int) -> bool:
        return value is not None and value >= below.log_likelihood

    explore(stage, replace(options, initial=(), until=as_high), 0, [], seed)
    optima = [o.best for o in stage.optima.known if o.key[0] == 2]
    found = polish([problem], options, optima, optima, pool) if optima else best
    return found if found.key > best.key else best


def _levels(problem: Problem, seed: np.random.SeedSequence) -> tuple[list[Problem], Problem | None]:
    """Growing random subsamples that end with all rows: starts are searched on the first, and judged on other
    rows."""
    levels: list[Problem] = []
    judge: Problem | None = None
    sizes, at_hand = [], problem.at_hand
    size = problem.search_rows
    while size * 2 < problem.n:
        sizes.append(min(size, at_hand))
        size *= LEVEL_GROWTH
    order = problem.shuffled(seed, max(2 * sizes[0], sizes[-1])) if sizes else np.empty(0, dtype=int)
    for size in sizes:
        units = size * len(order) // at_hand
        part = problem.subset(np.sort(order[:units]))
        if part.weight_sum > 0:
            levels.append(part)
            judge = judge or problem.subset(np.sort(order[units : 2 * units]))
        if size == at_hand:
            break
    levels.append(problem)
    return [level.beside(levels[:i]) for i, level in enumerate(levels)], judge


def check_options(options: Options, k: int) -> None:
    """Refuse what no search can do."""
    if k < 1:
        raise DataError(f"the number of experts must be at least 1, got {k}")
    if options.n_starts != "auto" and (
        not isinstance(options.n_starts, int | np.integer) or options.n_starts < 1
    ):
        raise DataError(f"n_starts must be 'auto' or a whole number of at least 1, got {options.n_starts!r}")
    if not options.tol > 0:
        raise DataError(f"tol must be positive, got {options.tol!r}")
    if options.max_iter is not None and options.max_iter < 1:
        raise DataError(f"max_iter must be at least 1, got {options.max_iter!r}")
    if options.rank_by not in RANKINGS:
        raise DataError(f"rank_by={options.rank_by!r} is unknown: choose one of {', '.join(RANKINGS)}")

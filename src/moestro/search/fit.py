"""From a model and rows to a frozen fit: the search on some rows, the polish on all, fewer experts first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import make_engine
from ..errors import DataError
from ..model import Model
from ..rows import MERGE_LIMIT, Rows, sample_rows
from ..solvers import EM, LBFGS, Coordinates, Newton, Solver, Status
from ..solvers.pool import Pool
from ..tables import Table
from ..threads import one_blas_thread
from .candidates import Candidate, starts_table
from .evidence import Evidence
from .options import Options
from .polish import NEWTON_LIMIT, polish
from .ranking import RANKINGS
from .search import evidence, explore
from .smaller import duplicated, halves
from .sparse import fit_sparse
from .stage import Stage
from .starts import auto_starts, pooled

SOLVERS: dict[str, type] = {"newton": Newton, "em": EM, "lbfgs": LBFGS}
# Rows of the first subsample: so many that rows x parameters is SEARCH_SIZE, within these limits; up to twice as many are searched whole.
SEARCH_SIZE, SEARCH_ROWS = 480_000, (5000, 12_000)
LEVEL_GROWTH = 10
OF_K = 2**31  # keeps the seeds of k apart from those that callers spawn
BELOW = 1e-7  # relative loss of log-likelihood against one expert less that is rounding


@dataclass(frozen=True)
class Fit:
    """A fitted mixture of experts.

    Attributes
    ----------
    model : Model
    coordinates : Coordinates
    theta : ndarray of shape (P,)
        Parameters in scaled coordinates, experts in decreasing order of mass.
    log_likelihood : float
        Total maximised log-likelihood in the user's units.
    status : Status
    n_iter : int
        Iterations of the start that won, all stages.
    n_parameters : int
        Free parameters: aliased columns not counted, a shared variance once.
    weight_sum : float
        Sum of the weights; n where there are none.
    mass : ndarray of shape (k,)
    entropy : float
        -sum w r log r of the responsibilities, for ICL.
    starts, history : Table
        One row a start; one row an iteration of the final polish.
    evidence : Evidence or None
        How often the search found its best optimum; None where it did not search.
    """

    model: Model
    coordinates: Coordinates
    theta: np.ndarray
    log_likelihood: float
    status: Status
    n_iter: int
    n_parameters: int
    weight_sum: float
    mass: np.ndarray
    entropy: float
    starts: Table
    history: Table
    evidence: Evidence | None = None


def choose_solver(name: str, size: int) -> Solver:
    """Solver called `name`; "auto" is Newton while `size` parameters allow an exact Hessian."""
    if name == "auto":
        name = "newton" if size <= NEWTON_LIMIT else "lbfgs"
    if name not in SOLVERS:
        raise DataError(f"solver={name!r} is unknown: choose one of auto, {', '.join(SOLVERS)}")
    return SOLVERS[name]()


def fit_mixture(model: Model, rows: Rows, options: Options) -> Fit:
    """Maximise the log-likelihood of `model` on `rows`."""
    return fit_path(model, rows, [model.k], options)[0]


def fit_path(
    model: Model,
    rows: Rows,
    ks: Sequence[int],
    options: Options,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> list[Fit]:
    """Fits for each k of `ks`, in increasing order.

    The search for k experts also starts from the fit of k - 1, which is found in the same way, from a seed that k alone decides: a fit is the
    same whichever others are asked for, and never below one with fewer experts.
    """
    _check(model, rows, options)
    root = options.seed
    if not isinstance(root, np.random.SeedSequence):
        root = np.random.SeedSequence(root)
    ordered = sorted(set(ks))
    _check_distinct(replace(model, k=ordered[-1]), rows)
    nested = options.nested and not options.only_initial and not model.gate.path(ordered[-1])
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
        fit = _fit_one(replace(model, k=k), rows, one, below)
        below = fit if nested else None
        if asked:
            out.append(fit)
            if finished is not None:
                finished(fit)
    return out


def _fit_one(model: Model, rows: Rows, options: Options, below: Fit | None) -> Fit:
    if model.gate.path(model.k):
        return fit_sparse(_fit, model, rows, replace(options, nested=False))
    return _fit(model, rows, options, below)


def _fit(model: Model, rows: Rows, options: Options, below: Fit | None = None) -> Fit:
    if rows.n <= MERGE_LIMIT:
        rows = rows.merged()
    _check_distinct(model, rows)
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling, options.box)
    if options.hold_gate:
        c = c.holding(c.collapse(options.initial[0]), c.block == 0)
    solver = choose_solver(options.solver, c.size)
    root = options.seed
    if not isinstance(root, np.random.SeedSequence):
        root = np.random.SeedSequence(root)
    search_seed, draw = root.spawn(2)
    whole = options.only_initial or model.k == 1
    levels, others = ([rows], None) if whole else _levels(rows, c.size, draw)
    work = levels[0].n * c.size
    with one_blas_thread(), Pool(options.threads if work > 5_000 else 1) as pool:
        share = levels[0].weight_sum / rows.weight_sum
        stage = Stage.of(model, c, levels[0], others, share, options.engine, options.rank_by, pool)
        _search(stage, options, below, search_seed)
        found = [o.best for o in stage.optima.known] or stage.everyone[:1]
        best = polish(c, levels, solver, options, found, pool)
        if below is not None and below.status.usable and _is_below(best, below):
            best = _from_below(c, rows, solver, options, below, best, stage, pool)
    outcome, status = best.outcome, best.status
    assert outcome is not None and status is not None
    theta = c.expand(outcome.phi)
    return Fit(
        model=model,
        coordinates=c,
        theta=theta,
        log_likelihood=outcome.value,
        status=status,
        n_iter=best.iterations,
        n_parameters=c.size,
        weight_sum=rows.weight_sum,
        mass=outcome.evaluation.mass,
        entropy=_entropy(model, rows, options, theta),
        starts=starts_table(stage.everyone, best),
        history=Table(
            {
                "iteration": list(range(1, len(outcome.trace) + 1)),
                "log_likelihood": [info.value for info in outcome.trace],
                "gradient": [info.gradient_norm for info in outcome.trace],
                "step": [info.step for info in outcome.trace],
            }
        ),
        evidence=None if options.only_initial else evidence(stage, share, best),
    )


def _search(stage: Stage, options: Options, below: Fit | None, seed: np.random.SeedSequence) -> None:
    """Fill the stage with runs; a fit of one expert, or from given parameters alone, is left to the polish."""
    c = stage.objective.coordinates
    given = [c.collapse(theta) for theta in options.initial]
    if c.model.k == 1 and not options.only_initial:
        given.append(pooled(stage.objective))
    if c.model.k == 1 or (options.only_initial and len(given) == 1):
        names = ["given"] * len(options.initial) + ["pooled"]
        stage.everyone += [
            Candidate(name, phi, rows=len(stage.y)) for name, phi in zip(names, given, strict=False)
        ]
        return
    nested = [] if below is None else [c.collapse(theta) for theta in halves(below)]
    starts = auto_starts(c.model.k) if options.n_starts == "auto" else int(options.n_starts)
    explore(stage, options, 0 if options.only_initial else starts, nested, seed)


def _is_below(best: Candidate, below: Fit) -> bool:
    loss = below.log_likelihood - best.value
    return best.key[0] < 2 or loss > BELOW * (1.0 + abs(below.log_likelihood))


def _from_below(
    c: Coordinates,
    rows: Rows,
    solver: Solver,
    options: Options,
    below: Fit,
    best: Candidate,
    stage: Stage,
    pool: Pool,
) -> Candidate:
    """The best fit that starts on all rows from the one with an expert less, whose likelihood is already as high."""
    again = [
        Candidate("smaller fit", c.collapse(theta), rows=rows.n)
        for theta in (*halves(below), *duplicated(below))
    ]
    stage.everyone += again
    for a in again:
        polished = polish(c, [rows], solver, options, [a], pool)
        if polished.key[0] > best.key[0] or (polished.key[0] == best.key[0] and polished.value > best.value):
            best = polished
    return best


def _check(model: Model, rows: Rows, options: Options) -> None:
    if model.k < 1:
        raise DataError(f"the number of experts must be at least 1, got {model.k}")
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
    model.family.check_response(rows.y if rows.w is None else rows.y[rows.w > 0])


def _check_distinct(model: Model, rows: Rows) -> None:
    if model.k == 1:
        return
    distinct = rows.n if rows.n <= MERGE_LIMIT else rows.take(np.arange(MERGE_LIMIT)).merged().n
    if distinct < model.k and rows.n > MERGE_LIMIT:
        distinct = rows.merged().n
    if distinct < model.k:
        raise DataError(f"{model.k} experts need at least {model.k} distinct rows, the data have {distinct}")


def _levels(rows: Rows, parameters: int, seed: np.random.SeedSequence) -> tuple[list[Rows], Rows | None]:
    """Growing random subsamples that end with all rows: starts are searched on the first, and judged on other rows."""
    levels, others = [], None
    size = int(np.clip(SEARCH_SIZE / max(parameters, 1), *SEARCH_ROWS))
    order = sample_rows(rows, seed) if size * 2 < rows.n else None
    while order is not None and size * 2 < rows.n:
        part = rows.take(np.sort(order[:size]))
        if part.weight_sum > 0:
            levels.append(part.merged())
            others = others or rows.take(np.sort(order[size : 2 * size])).merged()
        size *= LEVEL_GROWTH
    return [*levels, rows], others


def _entropy(model: Model, rows: Rows, options: Options, theta: np.ndarray) -> float:
    total = 0.0
    for part in rows.parts(65536):
        r = make_engine(model, part, options.engine, options.threads).rowwise(theta).responsibilities
        w = np.ones(part.n) if part.w is None else part.w
        total -= float(w @ (r * np.log(np.maximum(r, 1e-300))).sum(axis=1))
    return total

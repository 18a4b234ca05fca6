"""Many cheap starts, the best few polished, one frozen result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engine import make_engine
from ..errors import DataError
from ..model import Model
from ..rows import MERGE_LIMIT, Rows
from ..tables import Table
from ..threads import one_blas_thread
from .base import Solver
from .candidates import Options
from .coordinates import Coordinates
from .em import EM
from .lbfgs import LBFGS
from .newton import Newton
from .pool import Pool
from .search import NEWTON_LIMIT, search
from .sparse import fit_sparse
from .starts import auto_starts
from .status import Status

SOLVERS: dict[str, type] = {"newton": Newton, "em": EM, "lbfgs": LBFGS}
LEVEL_GROWTH = 10


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


def choose_solver(name: str, size: int) -> Solver:
    """Solver called `name`; "auto" is Newton while `size` parameters allow an exact Hessian."""
    if name == "auto":
        name = "newton" if size <= NEWTON_LIMIT else "lbfgs"
    if name not in SOLVERS:
        raise DataError(f"solver={name!r} is unknown: choose one of auto, {', '.join(SOLVERS)}")
    return SOLVERS[name]()


def fit_mixture(model: Model, rows: Rows, options: Options) -> Fit:
    """Maximise the log-likelihood of `model` on `rows`."""
    _check(model, rows, options)
    return fit_sparse(_fit, model, rows, options) if model.gate.path(model.k) else _fit(model, rows, options)


def _fit(model: Model, rows: Rows, options: Options) -> Fit:
    if rows.n <= MERGE_LIMIT:
        rows = rows.merged()
    _check_distinct(model, rows)
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling, options.box)
    if options.hold_gate:
        c = c.holding(c.collapse(options.initial[0]), c.block == 0)
    solver = choose_solver(options.solver, c.size)
    total = auto_starts(model.k) if options.n_starts == "auto" else int(options.n_starts)
    if options.only_initial:
        total = 0
    root = (
        np.random.SeedSequence(options.seed)
        if not isinstance(options.seed, np.random.SeedSequence)
        else options.seed
    )
    seeds = root.spawn(total + 2)
    levels = [rows] if options.only_initial else _levels(model, c, rows, np.random.default_rng(seeds[-1]))
    work = levels[0].n * c.size
    with one_blas_thread(), Pool(options.threads if work > 50_000 else 1) as pool:
        best, starts = search(model, c, levels, solver, options, seeds[:-1], pool)
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
        starts=starts,
        history=Table(
            {
                "iteration": list(range(1, len(outcome.trace) + 1)),
                "log_likelihood": [info.value for info in outcome.trace],
                "gradient": [info.gradient_norm for info in outcome.trace],
                "step": [info.step for info in outcome.trace],
            }
        ),
    )


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
    model.family.check_response(rows.y if rows.w is None else rows.y[rows.w > 0])


def _check_distinct(model: Model, rows: Rows) -> None:
    if model.k == 1:
        return
    distinct = rows.n if rows.n <= MERGE_LIMIT else rows.take(np.arange(MERGE_LIMIT)).merged().n
    if distinct < model.k and rows.n > MERGE_LIMIT:
        distinct = rows.merged().n
    if distinct < model.k:
        raise DataError(f"{model.k} experts need at least {model.k} distinct rows, the data have {distinct}")


def _levels(model: Model, c: Coordinates, rows: Rows, rng: np.random.Generator) -> list[Rows]:
    """Growing random subsamples that end with all rows: starts are searched on the first."""
    size = (
        int(np.clip(20 * c.size if model.family.discrete else 12 * c.size, 1000, 5000))
        if model.k > 1
        else rows.n
    )
    levels = []
    order = rng.permutation(rows.n) if size * 2 < rows.n else None
    while order is not None and size * 2 < rows.n:
        chosen = np.sort(order[:size])
        part = rows.take(chosen)
        if part.weight_sum > 0:
            levels.append(part)
        size *= LEVEL_GROWTH
    return [*levels, rows]


def _entropy(model: Model, rows: Rows, options: Options, theta: np.ndarray) -> float:
    total = 0.0
    for part in rows.parts(65536):
        r = make_engine(model, part, options.engine, options.threads).rowwise(theta).responsibilities
        w = np.ones(part.n) if part.w is None else part.w
        total -= float(w @ (r * np.log(np.maximum(r, 1e-300))).sum(axis=1))
    return total

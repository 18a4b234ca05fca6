"""Mixtures of one number of experts or of several, from a model, rows and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import MERGE_LIMIT, Rows, RowsElsewhere, sample_rows
from ..search import Fit, Options, check_options, fit_path, fit_problem, seed_sequence
from ..solvers import EM, LBFGS, Coordinates, Newton, Solver
from .curvature import MANY_ROWS, NEWTON_LIMIT
from .memberships import possible
from .mixture import MixtureProblem
from .mixture_fit import MixtureFit
from .sparse import SparseProblem

SOLVERS: dict[str, type] = {"newton": Newton, "em": EM, "lbfgs": LBFGS}


def choose_solver(name: str, size: int) -> Solver:
    """Solver called `name`; "auto" is Newton while `size` parameters allow an exact Hessian."""
    if name == "auto":
        name = "newton" if size <= NEWTON_LIMIT else "lbfgs"
    if name not in SOLVERS:
        raise DataError(f"solver={name!r} is unknown: choose one of auto, {', '.join(SOLVERS)}")
    return SOLVERS[name]()


def fit_mixture(model: Model, rows: Rows | RowsElsewhere, options: Options) -> MixtureFit:
    """Maximise the log-likelihood of `model` on `rows`."""
    return fit_mixtures(model, rows, [model.k], options)[0]


def fit_mixtures(
    model: Model,
    rows: Rows | RowsElsewhere,
    ks: Sequence[int],
    options: Options,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> list[MixtureFit]:
    """Fits for each k of `ks`, in increasing order, as `search.fit_path` makes them; those that are not asked
    for, which others start from, are of a random sample of many rows."""
    largest = max(ks)
    check_options(options, min(*ks, model.k))
    rows.checked(model.family.check_response)
    rows.checked(model.family.check_variety)
    _check_distinct(replace(model, k=largest), rows)
    if model.family.members:
        if isinstance(rows, RowsElsewhere):
            raise DataError("experts of several families are fitted to rows in memory: give a frame of them")
        _check_members(model, rows, ks)
    free = model.constraints.symmetric and not model.gate.path(largest) and not model.family.members
    nested = options.nested and not options.only_initial and free

    few = rows if not nested or set(range(1, largest)) <= set(ks) else _few(rows.at_hand, options)
    if few is not rows:
        _check_distinct(replace(model, k=largest - 1), few)

    def one(k: int, own: Options, below: Fit | None) -> MixtureFit:
        return _fit(replace(model, k=k), rows if k in ks else few, own, below)

    return fit_path(one, ks, options, nested, started, finished)  # type: ignore[return-value]


def _fit(model: Model, rows: Rows | RowsElsewhere, options: Options, below: Fit | None = None) -> MixtureFit:
    if isinstance(rows, Rows) and rows.n <= MERGE_LIMIT:
        rows = rows.merged()
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling, options.box, rows.response_scaling)
    solver = choose_solver(options.solver, c.size)
    kind = SparseProblem if model.gate.path(model.k) else MixtureProblem
    sampled = options.solver == "auto" and isinstance(solver, Newton) and kind is MixtureProblem
    problem = kind(rows, c, solver, options.engine, options.threads, options.rank_by, sampled=sampled)
    return fit_problem(problem, options, below)  # type: ignore[return-value]


def _few(rows: Rows, options: Options) -> Rows:
    """Of many rows a random sample that is enough to start from, whatever their order."""
    if rows.n < 2 * MANY_ROWS or options.solver != "auto":
        return rows
    units = rows.n_units * MANY_ROWS // rows.n
    few = rows.take(np.sort(sample_rows(rows, seed_sequence(options.seed), units)[:units]))
    return few if few.weight_sum > 0 else rows


def fit_above(below: MixtureFit, model: Model, rows: Rows, options: Options) -> MixtureFit:
    """`model` on the rows of `below`, started from it too where it has one expert less, and never below
    it."""
    _check_distinct(model, rows)
    nested = below.k == model.k - 1 and model.constraints.symmetric
    return _fit(model, rows, options, below if nested else None)


def _check_members(model: Model, rows: Rows, ks: Sequence[int]) -> None:
    """Refuse what experts of several families do not go with."""
    if set(ks) != {len(model.family.members)}:
        raise DataError(
            f"family names {len(model.family.members)} experts, so their number is not chosen among others: "
            f"set n_experts={len(model.family.members)} (--experts {len(model.family.members)})"
        )
    if model.gate.path(model.k):
        raise DataError(
            "a sparse gate may leave out the only expert that can have a row's response: leave out top_k, or "
            "name one family"
        )
    for h in model.constraints.held:
        if h.part == "expert" and h.expert is not None and not model.law(h.expert).predictors:
            name = model.law(h.expert).name
            raise DataError(f"a coefficient of expert {h.expert + 1} is fixed, and '{name}' has none")
    can = possible(model, rows)
    assert can is not None
    if not can.any(axis=1).all():
        raise DataError(
            "a group has responses that no one expert can have, and its rows share their expert: leave out "
            "groups, or name a family that can have all of them"
        )
    if rows.labels is not None:
        known = np.flatnonzero(rows.labels >= 0)
        lost = known[~can[known, rows.labels[known]]]
        if len(lost):
            e = int(rows.labels[lost[0]])
            raise DataError(
                f"a row is known to be of expert {e + 1}, '{model.law(e).name}', which cannot have its "
                "response"
            )


def _check_distinct(model: Model, rows: Rows | RowsElsewhere) -> None:
    if model.k == 1:
        return
    rows = rows.at_hand
    distinct = 0
    if rows.n > MERGE_LIMIT:  # of many rows a few are enough, most often
        distinct = rows.take(np.arange(min(rows.n_units, 100 * model.k))).merged().n_units
    if distinct < model.k:
        distinct = rows.merged().n_units
    if distinct < model.k:
        what = "rows" if rows.groups is None else "groups"
        raise DataError(
            f"{model.k} experts need at least {model.k} distinct {what}, the data have {distinct}"
        )

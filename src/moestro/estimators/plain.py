"""How an estimator without a penalty fits: a search for each number of experts, and the choice among them."""

from __future__ import annotations

from typing import Any

from ..api import fit_design, number_of_experts
from ..search import Options
from ..threads import thread_count
from .found import Found
from .helpers import Data, printer, seed_of

TOL = 1e-8


def fit_plain(estimator: Any, data: Data) -> Found:
    """Fit by the words of a MoERegressor or MoEClassifier."""
    ks, criterion = number_of_experts(estimator.n_experts, estimator.max_experts)
    options = Options(
        solver=estimator.solver,
        engine=estimator.engine,
        n_starts=estimator.n_starts,
        rank_by=estimator.rank_by,
        tol=TOL if estimator.tol is None else estimator.tol,
        max_iter=estimator.max_iter,
        seed=seed_of(estimator.random_state),
        threads=thread_count(estimator.n_jobs),
        progress=printer() if estimator.verbose else None,
    )
    result = fit_design(
        data.design, data.x, data.z, data.y, data.w, estimator._family(), ks, options, gate=estimator.gate,
        top_k=estimator.top_k,
        rank_on=estimator.rank_on, criterion=criterion, response=data.response, classes=estimator._classes,
        groups=data.groups,
    )  # fmt: skip
    model, swept = result.model, result.sweep
    tree = None if swept.tree is None else model.in_user_units(swept.tree)
    return Found(
        model,
        swept.table(),
        result.rows,
        swept.choice.slope,
        tree,
        engine=estimator.engine,
        searched=estimator.n_starts == "auto",
    )

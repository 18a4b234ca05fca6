"""Predictions of rows that share their expert with rows seen before."""

from __future__ import annotations

from typing import Any

from ..design.groups import beside_rows
from ..errors import DataError
from ..fitted.groups import log_weights_after
from .helpers import refuse_name


def ids_of(estimator: Any, groups: Any, X: Any) -> Any:
    """Ids of the rows of X; the name of a column where a formula says which columns are used."""
    if estimator.formula is None:
        refuse_name(groups, "groups", "ids")
    return beside_rows(groups, X)


def weights_of(estimator: Any, sample_weight: Any, X: Any) -> Any:
    """Weights of the rows of X; the name of a column where a formula says which columns are used."""
    if estimator.formula is None:
        refuse_name(sample_weight, "sample_weight", "weights")
    return beside_rows(sample_weight, X)


def inputs_of(estimator: Any, X: Any, groups: Any, history: Any, offset: Any = None) -> tuple[Any, ...]:
    """What a model predicts from: the columns of X for experts and gate and, given a history (X, y, groups)
    of its groups, log-weights of the experts (n, k), which are the gate's without one. Groups alone say
    where the gate reads, by the model's `gate_at`."""
    x, z = estimator._matrices(X, offset)
    if history is None:
        if groups is None:
            return x, z
        if estimator._fitted().gate_at != "constant":
            return x, z, log_weights_after(estimator._fitted(), x, z, ids_of(estimator, groups, X))
        raise DataError(
            "groups say nothing about a prediction without a history: give history=(X, y, groups) of "
            "rows that were seen, or leave groups out"
        )
    if groups is None:
        raise DataError("a history needs groups=, the group of each row of X")
    if not isinstance(history, tuple | list) or len(history) not in (3, 4):
        raise DataError(
            "history must be (X, y, groups) of rows that were seen, and the offset where the model has one; "
            "y is None where a formula reads it"
        )
    past, y, ids, *known = history
    seen = estimator._complete(past, y, response=True, offset=known[0] if known else None)
    past, y, ids, *known = (seen.take(a) for a in (past, y, ids, *known))
    before = (*estimator._with_response(past, y, *known), ids_of(estimator, ids, past))
    return x, z, log_weights_after(estimator._fitted(), x, z, ids_of(estimator, groups, X), before)

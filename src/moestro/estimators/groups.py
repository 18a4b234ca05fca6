"""Predictions of rows that share their expert with rows seen before."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design.groups import group_ids
from ..errors import DataError
from ..fitted.groups import log_weights_after


def weights_given(estimator: Any, X: Any, groups: Any, history: Any) -> dict[str, np.ndarray]:
    """`log_weights` of a prediction, (n, k): of the experts at the rows of X, given a history (X, y, groups) of
    their groups; nothing without one, where they are the gate's."""
    if history is None:
        if groups is None:
            return {}
        raise DataError(
            "groups say nothing about a prediction without a history: give history=(X, y, groups) of rows that "
            "were seen, or leave groups out"
        )
    if groups is None:
        raise DataError("a history needs groups=, the group of each row of X")
    if not isinstance(history, tuple | list) or len(history) != 3:
        raise DataError(
            "history must be (X, y, groups) of rows that were seen; y is None where a formula reads it"
        )
    past, y, ids = history
    past_x, _, past_y = estimator._with_response(past, y)
    seen = (past_x, past_y, group_ids(ids, past))
    x, z = estimator._matrices(X)
    return {"log_weights": log_weights_after(estimator._fitted(), x, z, group_ids(groups, X), seen)}

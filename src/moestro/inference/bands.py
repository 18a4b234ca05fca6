"""Confidence intervals of what the experts, their gate and their mixture predict, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tables import Table
from .delta import errors_of
from .estimates import interval_of_share
from .margins import Quantity
from .simultaneous import critical_of


def bands(
    quantities: Sequence[Quantity],
    values: Callable[[Any, Any, Any], np.ndarray],
    model: Any,
    design: tuple[Any, Any],
    covariance: Any,
    level: float,
    simultaneous: bool,
    classes: bool = False,
) -> Table:
    """One row a row of the design and a quantity, `values` and `model` as in `margins`.

    Intervals of probabilities, which are gate weights and all that is predicted of `classes`, are taken on
    the logit scale. Simultaneous ones cover one quantity in all rows at once.
    """
    found, root = model.uncertainty(lambda at: values(at, *design).T.ravel(), covariance)
    m = len(quantities)
    found, root = found.reshape(m, -1), root.reshape(m, found.size // m, root.shape[1])
    low, high, se = np.empty_like(found), np.empty_like(found), np.empty_like(found)
    for j, quantity in enumerate(quantities):
        width, se[j] = critical_of(root[j], level, simultaneous), errors_of(root[j])
        low[j], high[j] = found[j] - width * se[j], found[j] + width * se[j]
        if classes or quantity.of == "gate":
            pairs = zip(found[j].tolist(), se[j].tolist(), strict=True)
            low[j], high[j] = np.array([interval_of_share(p, s, width) for p, s in pairs]).T
    n = found.shape[1]
    columns: dict[str, list[Any]] = {
        "row": np.repeat(np.arange(n), m).tolist(),
        "of": [q.of for q in quantities] * n,
        "component": [None if q.component is None else q.component + 1 for q in quantities] * n,
        "outcome": [q.outcome for q in quantities] * n,
    }
    if not any(columns["outcome"]):
        del columns["outcome"]
    cells = {"estimate": found, "std_error": se, "low": low, "high": high}
    return Table({**columns, **{name: part.T.ravel().tolist() for name, part in cells.items()}})

"""The coefficient table of any fit."""

from __future__ import annotations

from typing import Any

from ..inference import Estimates
from ..tables import Table


def coefficients(estimates: Estimates, level: float = 0.95) -> Table:
    """One row a parameter: component, part, (outcome,) term, estimate and, where there is a covariance, se,
    z, p, low, high at this level. A parameter without a standard error has no numbers there and a word in
    `note`.
    """
    terms = estimates.terms
    columns: dict[str, list[Any]] = {
        "component": [t.component + 1 for t in terms],
        "part": [t.part for t in terms],
        "outcome": [t.outcome for t in terms],
        "term": [t.term for t in terms],
        "estimate": [float(v) for v in estimates.values],
    }
    notes = list(estimates.notes)
    if estimates.matrix is not None:
        numbers, notes = estimates.numbers(level)
        columns |= numbers
    columns["note"] = notes
    return Table({name: cells for name, cells in columns.items() if name != "outcome" or any(cells)})

"""The coefficient table of any fit."""

from __future__ import annotations

from typing import Any

from ..inference import Estimates
from ..inference.delta import root_of
from ..inference.simultaneous import critical_of
from ..tables import Table


def coefficients(estimates: Estimates, level: float = 0.95, simultaneous: bool = False) -> Table:
    """One row a parameter: component, part, (outcome,) term, estimate and, where there is a covariance,
    std_error, z, p, low, high at this level, of all parameters together where it is `simultaneous`.

    A parameter without a standard error has no numbers there and a word in `note`.
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
        width = critical_of(root_of(estimates.covariance), level) if simultaneous else None
        numbers, notes = estimates.numbers(level, width)
        columns |= numbers
    columns["note"] = notes
    return Table({name: cells for name, cells in columns.items() if name != "outcome" or any(cells)})

"""What the experts, their gate and their mixture do on the average row, with standard errors.

Of a function f of a row, f(x) = sum_i g_i(x) mu_i(x), mu_i(x) or g_i(x), weighted averages over rows are
listed: of f itself, of its derivative in a column (a central difference), or of f(x with b) - f(x with a) for
values a, b of a column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tables import Table
from .delta import errors_of
from .estimates import two_sided
from .simultaneous import critical_of

RELATIVE = (
    1e-5  # step of a derivative, in units of the column's spread: truncation and rounding are both 1e-10
)
TOLD = 1e-7  # part of an estimate below which differences of derivatives do not tell an error from none


@dataclass(frozen=True)
class Quantity:
    """One number that is averaged over the rows.

    Attributes
    ----------
    of : str
        "mixture", "expert" or "gate".
    component : int or None
    outcome : str
    """

    of: str
    component: int | None
    outcome: str


@dataclass(frozen=True)
class Effect:
    """An average of f over rows, or of a difference: names, and weighted designs that are added.

    Attributes
    ----------
    variable, contrast : str
    parts : tuple of (factor, design)
        sum factor f(design), a design being (x, z).
    """

    variable: str
    contrast: str
    parts: tuple[tuple[float, tuple[Any, Any]], ...]


def margins(
    effects: list[Effect],
    quantities: list[Quantity],
    values: Callable[[Any, Any, Any], np.ndarray],
    model: Any,
    w: np.ndarray,
    covariance: Any,
    level: float,
    simultaneous: bool = False,
) -> Table:
    """One row an effect and a quantity.

    `values` (model, x, z) gives the quantities (n, m) of rows; `model.uncertainty` the root of their
    covariance.
    """

    def averages(at: Any) -> np.ndarray:
        out = []
        for effect in effects:
            total = sum(factor * (w @ values(at, *design)) for factor, design in effect.parts)
            out.append(np.asarray(total) / w.sum())
        return np.concatenate(out)

    found, root = model.uncertainty(averages, covariance)
    se = errors_of(root)
    se[se <= TOLD * np.abs(found)] = 0.0
    z = [v / s if s > 0 else None for v, s in zip(found.tolist(), se.tolist(), strict=True)]
    half = critical_of(root, level, simultaneous) * se
    each = [(effect, quantity) for effect in effects for quantity in quantities]
    columns: dict[str, list[Any]] = {
        "of": [q.of for _, q in each],
        "component": [None if q.component is None else q.component + 1 for _, q in each],
        "outcome": [q.outcome for _, q in each],
        "variable": [e.variable for e, _ in each],
        "contrast": [e.contrast for e, _ in each],
        "estimate": found.tolist(),
        "std_error": se.tolist(),
        "z": z,
        "p": [None if v is None else two_sided(v) for v in z],
        "low": (found - half).tolist(),
        "high": (found + half).tolist(),
    }
    empty = [n for n in ("outcome", "variable", "contrast") if not any(columns[n])]
    return Table({n: cells for n, cells in columns.items() if n not in empty})

"""Standard errors of functions of the parameters: the delta method, or the spread of refits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import DataError
from .estimates import Estimates

STEP = 1e-3  # of a central difference along a column of the covariance's root: a thousandth standard error


def root_of(matrix: np.ndarray) -> np.ndarray:
    """R (P, r) with R R' = matrix, without its null directions."""
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    some = values > 1e-12 * max(float(values[-1]), 1e-300) if len(values) else values > 0
    return size[:, None] * vectors[:, some] * np.sqrt(values[some])


def by_directions(
    function: Callable[[Any], np.ndarray], pairs: Iterable[tuple[Any, Any]], size: int
) -> np.ndarray:
    """R (m, r) with R R' the covariance of a function of `size` numbers, from models a STEP up and down each
    of r directions."""
    slopes = [(function(up) - function(down)) / (2 * STEP) for up, down in pairs]
    return np.column_stack(slopes) if slopes else np.zeros((size, 0))


def errors_of(root: np.ndarray) -> np.ndarray:
    """Standard errors (m,) from R (m, r)."""
    return np.sqrt((root**2).sum(axis=1))


def refuse_unknown(estimates: Estimates) -> None:
    """Refuse what would take a parameter without a standard error for one that is known, or held."""
    for term, note, known in zip(estimates.terms, estimates.notes, estimates.known_or_held, strict=True):
        if not known:
            raise DataError(
                f"{term.label} has no standard error ({note}), so no function of it has one by the delta "
                "method: use cov='bootstrap'"
            )

"""What rows of a located fit must be, or one sentence why they cannot be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.frames import which_rows
from ..errors import DataError
from . import polynomial
from .specification import Specification

MANY_COLUMNS = 50  # columns beyond which a covariance or a mean without enough rows is refused, not fitted
MOST_TERMS = 5000  # slopes of an expert: its matrix of their second moments has this to the square
ALIASED = 1e-10  # 1 - |correlation| below which two columns count as one


def columns_of(
    x: Any, y: Any, weights: Any, holes: bool = False, names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x (n, d), y (n, q) and weights as finite numbers; with `holes` NaN says that a value is missing."""
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows, y has {len(y)}")
    try:
        x, y = (np.asarray(a, dtype=float).reshape(len(a), -1) for a in (x, y))
    except (TypeError, ValueError) as error:
        raise DataError("x and y must hold numbers only") from error
    if holes and not (np.isinf(x).any() or np.isinf(y).any()):
        _refuse_unseen(np.concatenate([x, y], axis=1), names_of(x, y, names))
    elif not (np.isfinite(x).all() and np.isfinite(y).all()):
        bad = np.asarray(~np.isfinite(np.concatenate([x, y], axis=1)).all(axis=1))
        raise DataError(f"x or y contains NaN or infinity in {which_rows(bad)}: remove those rows first")
    w = None if weights is None else np.asarray(weights, dtype=float)
    n = len(x)
    if w is not None and (w.shape != (n,) or (w < 0).any() or not np.isfinite(w).all() or w.sum() <= 0):
        raise DataError(f"weights must be {n} finite numbers of at least 0 with a positive sum")
    return x, y, w


def names_of(x: np.ndarray, y: np.ndarray, names: Sequence[str] = ()) -> list[str]:
    """What the columns of x (n, d) and y (n, q) are called: x0, x1, ..., y0, ... without `names`."""
    return list(names) or [f"x{j}" for j in range(x.shape[1])] + [f"y{j}" for j in range(y.shape[1])]


def _refuse_unseen(rows: np.ndarray, names: list[str]) -> None:
    """Refuse rows and columns without a value."""
    gaps = np.isnan(rows)
    empty = np.asarray(gaps.all(axis=1))
    if empty.any():
        raise DataError(f"every value is missing in {which_rows(empty)}: leave such rows out")
    for j in np.flatnonzero(gaps.all(axis=0)):
        raise DataError(f"column '{names[j]}' has no value in any row: leave it out")


def enough(n: int, p: int, D: int, spec: Specification, k: int) -> None:
    """Refuse fewer distinct rows than components, many columns with too few rows for even one full covariance
    or for the mean of one expert, and more monomials than matrices of them can be held.

    Few columns with too few rows are fitted, and the status names the components whose covariance is
    singular.
    """
    if n < k:
        raise DataError(f"{k} located experts need at least {k} distinct rows, got {n}")
    if spec.covariance == "full" and n < p + D + 1 and D > MANY_COLUMNS:
        raise DataError(
            f"a full covariance of {p + D} columns needs at least {p + D + 1} distinct rows, got {n}: "
            "covariance='diagonal', 'blocks' or 'factors' need fewer"
        )
    if spec.gate_covariance == "full" and n < p + 1 and p > MANY_COLUMNS:
        raise DataError(
            f"a full gate covariance of {p} columns needs at least {p + 1} distinct rows, got {n}: "
            "gate_covariance='diagonal' or direction='inverse' need fewer"
        )
    terms, most = polynomial.count(p, spec.degree), min(max(n - 1, MANY_COLUMNS), MOST_TERMS)
    if terms > most:
        raise DataError(
            f"experts of degree {spec.degree} in {p} columns have {terms} slopes, and {n} distinct rows "
            f"allow at most {most}: use fewer columns, a lower degree or direction='inverse'"
        )


def no_twins(rows: np.ndarray, w: np.ndarray | None, names: list[str], option: str) -> None:
    """Refuse columns of which one is a multiple of another: their full covariance is singular in every
    component."""
    if rows.shape[1] < 2:
        return
    weighted = rows if w is None else rows * w[:, None]
    correlation = np.abs(weighted.T @ rows) / (len(rows) if w is None else w.sum())
    i, j = np.nonzero(np.triu(correlation > 1.0 - ALIASED, 1))
    if len(i):
        raise DataError(
            f"columns '{names[i[0]]}' and '{names[j[0]]}' are multiples of each other, so that a full "
            f"covariance is singular: leave one out, or use {option}='diagonal'"
        )

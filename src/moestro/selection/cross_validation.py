"""Held-out log-likelihood: each fold is predicted by fits of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError


def positive(weights: np.ndarray | None, n: int) -> np.ndarray:
    """Which of n rows are there: those of weight zero are in no fold, so that a fit is that without them."""
    return np.arange(n) if weights is None else np.flatnonzero(weights > 0)


def folds(rows: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` disjoint parts of the rows (m,), of equal size up to one, drawn at random."""
    if not 2 <= count <= len(rows):
        raise DataError(
            f"cross-validation needs between 2 and as many folds as rows, {len(rows)}, got {count}"
        )
    return [np.sort(part) for part in np.array_split(rng.permutation(rows), count)]


Parts = list[tuple[np.ndarray, np.ndarray]]  # rows to fit on, rows left out


def splits(rows: np.ndarray, n: int, cv: Any, rng: np.random.Generator) -> Parts:
    """(Rows to fit on, rows left out) of each fold: `cv` is a number, by which `rows` are cut, or a splitter
    of scikit-learn's, or such pairs themselves, of all n."""
    if isinstance(cv, int | np.integer):
        return [(np.setdiff1d(rows, out, assume_unique=True), out) for out in folds(rows, int(cv), rng)]
    if hasattr(cv, "split") and not isinstance(cv, str):
        return list(cv.split(np.zeros((n, 1))))
    try:
        return [(np.asarray(a), np.asarray(b)) for a, b in cv]
    except (TypeError, ValueError) as error:
        raise DataError(f"cv must be a number, a splitter or pairs of row indices, got {cv!r}") from error


def held_out(
    rows: np.ndarray,
    count: int,
    rng: np.random.Generator,
    fit: Callable[[np.ndarray], Sequence[Any]],
    held_out: Callable[[Any, np.ndarray], float],
) -> np.ndarray:
    """-2 sum of held-out log-likelihoods of each candidate.

    Parameters
    ----------
    rows : int ndarray of shape (m,)
        Those of positive weight.
    fit : callable (rows to fit on) -> one fit a candidate, always in the same order
    held_out : callable (fit, rows left out) -> log-likelihood of these rows
    """
    total: np.ndarray | None = None
    for inside, out in splits(rows, len(rows), count, rng):
        values = np.array([held_out(found, out) for found in fit(inside)])
        total = values if total is None else total + values
    assert total is not None
    return -2.0 * total

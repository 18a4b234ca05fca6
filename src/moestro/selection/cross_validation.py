"""Held-out log-likelihood: each fold is predicted by fits of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError


def folds(n: int, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` disjoint parts of range(n), of equal size up to one, drawn at random."""
    if not 2 <= count <= n:
        raise DataError(f"cross-validation needs between 2 and {n} folds, got {count}")
    return [np.sort(part) for part in np.array_split(rng.permutation(n), count)]


def splits(n: int, cv: Any, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows to fit on, rows left out) of each fold: `cv` is a number, a splitter of scikit-learn's, or such
    pairs themselves."""
    if isinstance(cv, int | np.integer):
        return [(np.setdiff1d(np.arange(n), out, assume_unique=True), out) for out in folds(n, int(cv), rng)]
    if hasattr(cv, "split") and not isinstance(cv, str):
        return list(cv.split(np.zeros((n, 1))))
    try:
        return [(np.asarray(a), np.asarray(b)) for a, b in cv]
    except (TypeError, ValueError) as error:
        raise DataError(f"cv must be a number, a splitter or pairs of row indices, got {cv!r}") from error


def held_out(
    n: int,
    count: int,
    rng: np.random.Generator,
    fit: Callable[[np.ndarray], Sequence[Any]],
    held_out: Callable[[Any, np.ndarray], float],
) -> np.ndarray:
    """-2 sum of held-out log-likelihoods of each candidate.

    Parameters
    ----------
    fit : callable (rows to fit on) -> one fit a candidate, always in the same order
    held_out : callable (fit, rows left out) -> log-likelihood of these rows
    """
    total: np.ndarray | None = None
    for inside, out in splits(n, count, rng):
        values = np.array([held_out(found, out) for found in fit(inside)])
        total = values if total is None else total + values
    assert total is not None
    return -2.0 * total

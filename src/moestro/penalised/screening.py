"""Which slopes a fit looks at: columns that go with the response, the sequential strong rule, working
sets."""

from __future__ import annotations

import numpy as np

from ..penalties import Terms
from ..rows import Columns
from .likelihood import Likelihood

SCREENED = 12  # columns of each side that starts look at
AT_ONCE = 1024  # columns, where squares are needed
ADDED = 40  # slopes that may join at once, and at least as many as are not zero


def relevant(likelihood: Likelihood, columns: Columns) -> np.ndarray:
    """The columns that go most with the response, best first: with its level, its spread, and its spread by
    their squares.

    Experts with opposite slopes leave no correlation of y and x, but one of y^2 and x^2.
    """
    w, s = likelihood.rows.weights, likelihood.marginal_scores
    square = s[:, : likelihood.m] ** 2
    square = square - np.average(square, axis=0, weights=w)

    def sized(a: np.ndarray) -> np.ndarray:
        return w[:, None] * a / np.maximum(np.sqrt(w @ a**2), 1e-300)

    spread = sized(square)
    score = np.abs(columns.gradient(sized(np.column_stack([s, square])))).max(axis=1)
    for start in range(0, columns.d, AT_ONCE):
        at = np.arange(start, min(start + AT_ONCE, columns.d))
        part = columns.columns(at) ** 2
        part -= part.mean(axis=0)
        size = np.maximum(np.sqrt((part**2).mean(axis=0)), 1e-300)
        score[at] = np.maximum(score[at], np.abs((part / size).T @ spread).max(axis=1))
    return np.argsort(-score, kind="stable")[:SCREENED]


def strong(terms: Terms, gradient: np.ndarray, alpha: float, before: float) -> np.ndarray:
    """Boolean (size,): slopes that the sequential strong rule (Tibshirani et al., 2012) keeps at `alpha`,
    given the gradient at `before`."""
    least = max(2.0 * alpha - before, 0.0)
    if len(terms.group_weight):
        own = terms.group >= 0
        kept = terms.norms(gradient) >= least * terms.group_weight
        out = np.zeros(len(gradient), dtype=bool)
        out[own] = kept[terms.group[own]]
        return out
    return np.abs(gradient) >= least * terms.l1


def working(slopes: np.ndarray, distance: np.ndarray, tol: float) -> np.ndarray:
    """Boolean (size,): the slopes that are not zero, and the worst violators among the others."""
    out = slopes != 0
    more = np.flatnonzero(~out & (distance > tol))
    room = max(ADDED, int(out.sum()))
    if len(more) > room:
        more = more[np.argsort(distance[more])[::-1][:room]]
    out[more] = True
    return out

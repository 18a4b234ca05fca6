"""How well the experts can be told apart, and who they are: from responsibilities r (n, k) and weights w."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, xlogy

from ..tables import Table
from .estimates import critical, interval_of_share


@dataclass(frozen=True)
class Classification:
    """The classification of rows by their most probable expert.

    Attributes
    ----------
    posteriors : Table
        One row an assigned expert: the sum of the weights, and the average posterior of every expert.
    shares : Table
        One row an expert: share with std_error, low, high; by assignment; its average posterior among the
        rows assigned to it, and the odds of correct classification.
    entropy_r2 : float
        1 - E / (n log k), E = -sum w r log r: one where every row is certain, zero where none is.
    """

    posteriors: Table
    shares: Table
    entropy_r2: float

    def __str__(self) -> str:
        return (
            f"Entropy R² {self.entropy_r2:.3f}\n\nAverage posterior by assigned expert\n"
            f"{self.posteriors.to_text(3)}\n\nShares\n{self.shares.to_text(3)}"
        )


def classify(
    r: np.ndarray, w: np.ndarray, shares: np.ndarray, std_errors: Sequence[float | None], level: float
) -> Classification:
    """Of the model's `shares` (k,) with their standard errors, None where there are none.

    The odds of correct classification are (a / (1 - a)) / (s / (1 - s)), with s the share of an expert and a
    its average posterior among the rows assigned to it (Nagin, 2005): above 5 the assignment is good. None
    where no row is assigned, or a is one.
    """
    k, n = r.shape[1], float(w.sum())
    assigned = np.argmax(r, axis=1)
    sizes = np.bincount(assigned, weights=w, minlength=k)
    average = [
        (w[at] @ r[at] / w[at].sum()).tolist() if w[at := assigned == e].sum() > 0 else [None] * k
        for e in range(k)
    ]
    own = [row[e] for e, row in enumerate(average)]
    odds = [
        None if a is None or a >= 1 or not 0 < s < 1 else a / (1 - a) * (1 - s) / s
        for a, s in zip(own, shares, strict=True)
    ]
    intervals = [
        (None, None) if se is None or not 0 < s < 1 else interval_of_share(s, se, critical(level))
        for s, se in zip(shares, std_errors, strict=True)
    ]
    low, high = zip(*intervals, strict=True)
    posteriors = {"assigned": list(range(1, k + 1)), "weight": sizes.tolist()}
    posteriors |= {f"posterior({e + 1})": [row[e] for row in average] for e in range(k)}
    table = {
        "expert": list(range(1, k + 1)), "share": shares.tolist(), "std_error": list(std_errors),
        "low": list(low), "high": list(high), "assigned": (sizes / n).tolist(),
        "average_posterior": own, "odds_correct": odds,
    }  # fmt: skip
    entropy = -float(w @ xlogy(r, r).sum(axis=1))
    return Classification(Table(posteriors), Table(table), 1.0 - entropy / (n * math.log(k)))


def profile_means(
    r: np.ndarray, w: np.ndarray, columns: dict[str, np.ndarray], code: np.ndarray | None = None
) -> Table:
    """One row an expert and a column: mean, std_error and std by the weights a = w r of its rows.

    mean = sum a x / sum a, std_error² = sum a² (x - mean)² / (sum a)²: the linearised error of a ratio, the
    posterior taken as given; of groups, `code` (n,), their sums of a (x - mean) are squared. None of an
    expert that has no row.
    """
    out: dict[str, list] = {n: [] for n in ("expert", "variable", "mean", "std_error", "std")}
    for e in range(r.shape[1]):
        a = w * r[:, e]
        mass = a.sum()
        for name, x in columns.items():
            cells: tuple[float | None, ...] = (None, None, None)
            if mass > 0:
                mean = float(a @ x / mass)
                gap = a * (x - mean)
                own = gap if code is None else np.bincount(code, weights=gap)
                cells = (mean, math.sqrt(own @ own) / mass, math.sqrt(gap @ (x - mean) / mass))
            for cell, column in zip((e + 1, name, *cells), out.values(), strict=True):
                column.append(cell)
    return Table(out)


def quantile_residuals(
    below: np.ndarray, at: np.ndarray, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Standard normal where the model is right: quantiles of u between F(y-) and F(y) (Dunn and Smyth, 1996).

    Of a continuous response both are the same and nothing is drawn.
    """
    u = at if rng is None else below + rng.random(at.shape) * (at - below)
    return ndtri(np.clip(u, 1e-300, 1 - 1e-16))

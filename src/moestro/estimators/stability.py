"""Paths alone, and how stable what they select is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..experts import CLASSES
from ..penalised import N_ALPHAS
from ..penalised.fit import FOLD_TOL
from .cross_validated import MoEClassifierCV, MoERegressorCV
from .paths import RegularizationPath


def alpha_path(
    X: Any,
    y: Any,
    *,
    n_experts: int = 2,
    family: str = "gaussian",
    penalty: Any = "l1",
    alphas: Any = N_ALPHAS,
    criterion: str = "ebic",
    sample_weight: Any = None,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> RegularizationPath:
    """Penalised fits at falling strengths, from the smallest one at which every slope is zero.

    Parameters
    ----------
    X : array-like, frame or scipy.sparse of shape (n, d)
    y : array-like of shape (n,)
        Numbers, or classes for family="multinomial".
    n_experts : int
    family : {"gaussian", "poisson", "multinomial"}
    penalty : str or Penalty
        One of `moestro.penalties`, its strength left open.
    alphas : int or sequence of float
        How many strengths, or which; the path ends where more slopes than half the rows are needed.
    criterion : {"ebic", "bic", "aic", "cv"}
        Marks a fit in the table.
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from moestro import alpha_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 30))
    >>> path = alpha_path(X, 2 * X[:, 3] - X[:, 7] + rng.normal(size=200), n_experts=1, alphas=20)
    >>> path.columns(0), path.columns(path.chosen)
    ([], ['x3', 'x7', 'x27'])
    """
    how: Any = {
        "n_experts": n_experts, "penalty": penalty, "alphas": alphas, "criterion": criterion,
        "random_state": random_state, "n_jobs": n_jobs,
    }  # fmt: skip
    if family in CLASSES:
        return MoEClassifierCV(**how).fit(X, y, sample_weight).path_
    return MoERegressorCV(family=family, **how).fit(X, y, sample_weight).path_


@dataclass(frozen=True)
class Stability:
    """How often each column is selected in fits of half of the rows.

    Attributes
    ----------
    names : tuple of str
    alphas : ndarray of shape (A,)
    frequency : ndarray of shape (A, d)
        Share of the subsamples in which a column has a slope at each strength.
    """

    names: tuple[str, ...]
    alphas: np.ndarray
    frequency: np.ndarray

    def stable(self, threshold: float = 0.8) -> list[str]:
        """Columns whose largest frequency is at least `threshold`."""
        return [n for n, f in zip(self.names, self.frequency.max(axis=0), strict=True) if f >= threshold]


def stability_selection(
    X: Any,
    y: Any,
    *,
    n_experts: int = 2,
    family: str = "gaussian",
    penalty: Any = "l1",
    alphas: Any = 20,
    ratio: float = 0.3,
    n_subsamples: int = 50,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> Stability:
    """Selection frequencies over subsamples of half the rows (Meinshausen and Bühlmann, 2010).

    The strengths are those of the path on all rows down to `ratio` times the largest; each half begins at
    that path's fits.

    Parameters
    ----------
    X, y, n_experts, family, penalty, random_state, n_jobs
        As in `alpha_path`.
    alphas : int or sequence of float
    ratio : float
        Smallest strength over the largest: at small strengths everything is selected everywhere.
    n_subsamples : int
    """
    if not isinstance(n_subsamples, int | np.integer) or n_subsamples < 1:
        raise DataError(f"n_subsamples must be a whole number of at least 1, got {n_subsamples!r}")
    how: Any = {
        "n_experts": n_experts,
        "family": family,
        "penalty": penalty,
        "random_state": random_state,
        "n_jobs": n_jobs,
    }
    if isinstance(alphas, int | np.integer):
        high = alpha_path(X, y, alphas=10, **how).alpha_max
        if not np.isfinite(high):
            raise DataError(
                "a penalty that sets no slope to zero selects nothing: use l1, elastic_net or group"
            )
        alphas = np.geomspace(high, ratio * high, int(alphas))
    whole = alpha_path(X, y, alphas=alphas, **how)._path
    likelihood, chain = whole.likelihood, replace(whole.chain, tol=FOLD_TOL)
    column, names = likelihood.layout(whole.penalty).columns()
    counts = np.zeros((len(whole.alphas), len(names)))
    rng, n = np.random.default_rng(random_state), likelihood.rows.n
    for _ in range(n_subsamples):
        half = likelihood.take(np.sort(rng.permutation(n)[: n // 2]))
        for i, one in enumerate(replace(chain, likelihood=half).follow(whole.alphas, whole.points, {})):
            counts[i, np.unique(column[one.support])] += 1.0
    return Stability(names, whole.alphas, counts / n_subsamples)

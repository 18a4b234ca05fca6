"""A confident lower bound on the number of experts of any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state, indexable

from ..selection import LowerBound, lower_bound


def confident_lower_bound(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    alpha: float = 0.05,
    max_experts: int = 6,
    extra: int = 1,
    random_state: Any = None,
) -> LowerBound:
    """The least number of experts that a split likelihood ratio does not reject.

    With probability at least 1 - alpha the true number of experts is not below it, without regularity
    conditions (arXiv 2103.10640).

    Parameters
    ----------
    estimator : MoEClassifier, MoERegressor or LocatedMoERegressor
        Its `n_experts` is set by the procedure; it is not changed.
    X : array-like or frame of shape (n, d)
    y : array-like of shape (n,)
        May be left out where the estimator's formula reads it from the frame.
    alpha : float
    max_experts : int
        Largest number that is tested.
    extra : int
        How many more experts the numerator has.
    random_state : int, RandomState or None
        Of the split.

    Returns
    -------
    LowerBound

    Examples
    --------
    >>> from moestro import MoERegressor, confident_lower_bound, load_dataset
    >>> tone = load_dataset("tone")
    >>> x, y = tone.columns["stretchratio"][:, None], tone.columns["tuned"]
    >>> confident_lower_bound(MoERegressor(random_state=0), x, y, random_state=0).k
    3
    """
    X, y = indexable(X, y)

    def part(rows: np.ndarray) -> tuple[Any, Any]:
        return _safe_indexing(X, rows), None if y is None else _safe_indexing(y, rows)

    def fit(k: int, rows: np.ndarray) -> Any:
        fresh: Any = clone(estimator)
        return fresh.set_params(n_experts=k).fit(*part(rows))

    def held_out(fitted: Any, rows: np.ndarray) -> float:
        return float(np.nansum(fitted.log_density(*part(rows))))  # NaN where missing="drop" left rows out

    rng = np.random.default_rng(int(check_random_state(random_state).randint(2**31 - 1)))
    return lower_bound(len(X), fit, held_out, alpha=alpha, max_experts=max_experts, extra=extra, rng=rng)

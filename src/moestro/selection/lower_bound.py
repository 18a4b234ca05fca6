"""A confident lower bound on the number of experts by split likelihood ratios (H. D. Nguyen, Fryer and
McLachlan, arXiv 2103.10640).

The rows are split in halves. H_g: "g experts suffice" is rejected where

    U = L_1(fit of g + extra experts on half 2) / L_1(best fit of g experts on half 1) >= 1 / alpha,

L_1 the likelihood of half 1, U averaged over both roles of the halves. E[U] <= 1 under H_g whatever is fitted
on half 2 (universal inference), so the first g that is not rejected is a lower bound with confidence 1 -
alpha, without any regularity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table


@dataclass(frozen=True)
class LowerBound:
    """At least `k` experts, with the confidence that was asked for.

    Attributes
    ----------
    k : int
        First number of experts that is not rejected; max_experts + 1 where all are.
    alpha : float
    table : Table
        One row a number of experts: log of the split ratio, bound of the p-value, rejected or not.
    """

    k: int
    alpha: float
    table: Table

    def __str__(self) -> str:
        return f"at least {self.k} experts with confidence {1 - self.alpha:g}\n{self.table}"


def lower_bound(
    n: int,
    fit: Callable[[int, np.ndarray], Any],
    held_out: Callable[[Any, np.ndarray], float],
    *,
    alpha: float = 0.05,
    max_experts: int = 6,
    extra: int = 1,
    rng: np.random.Generator | None = None,
) -> LowerBound:
    """Test 1, 2, ... experts until one is not rejected.

    Parameters
    ----------
    n : int
        Rows.
    fit : callable (k, rows) -> fit
        The maximum-likelihood fit of k experts on these rows.
    held_out : callable (fit, rows) -> total log-likelihood
    alpha : float
        In (0, 1).
    extra : int
        How many more experts the numerator has.
    """
    if not 0 < alpha < 1:
        raise DataError(f"alpha must lie between 0 and 1, got {alpha!r}")
    if extra < 1 or max_experts < 1:
        raise DataError("extra and max_experts must be at least 1")
    if n < 4:
        raise DataError(f"a split needs at least 4 rows, got {n}")
    order = (np.random.default_rng() if rng is None else rng).permutation(n)
    halves = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
    made: dict[tuple[int, int], Any] = {}

    def fitted(k: int, half: int) -> Any:
        if (k, half) not in made:
            made[k, half] = fit(k, halves[half])
        return made[k, half]

    rows: dict[str, list[Any]] = {"k": [], "log_ratio": [], "p_at_most": [], "rejected": []}
    for g in range(1, max_experts + 1):
        logs = [
            held_out(fitted(g + extra, 1 - half), halves[half]) - held_out(fitted(g, half), halves[half])
            for half in (0, 1)
        ]
        log_u = float(np.logaddexp(logs[0], logs[1]) - np.log(2.0))
        rejected = log_u >= -np.log(alpha)
        for name, value in zip(rows, (g, log_u, float(np.exp(min(0.0, -log_u))), rejected), strict=True):
            rows[name].append(value)
        if not rejected:
            return LowerBound(g, alpha, Table(rows))
    return LowerBound(max_experts + 1, alpha, Table(rows))

"""The Lasso at the strength of the l1-oracle inequality (arXiv 2009.10622)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Layout, Terms, TwoStrengths, check_strength


@dataclass(frozen=True)
class OracleL1(TwoStrengths):
    """L1 at alpha = constant K ln(n) sqrt(ln(2 p + 1) / n), for K experts and p columns.

    The theorem asks for a constant of at least 148 times bounds of the parameters, at which everything is
    zero for any n in use; only the order in K, n and p is taken from it. The constant is a choice: 0.05 puts
    the strength a little above the largest noise gradient for two experts and some hundred rows.

    Parameters
    ----------
    constant : float
    gate_ratio, standardize, scale, refit
        As in `L1`.
    """

    constant: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength(self.constant, "constant", none=False)

    def theoretical(self, layout: Layout, k: int) -> float:
        p = max(len(layout.gate_names), len(layout.expert_names))
        return float(self.constant * k * np.log(layout.n) * np.sqrt(np.log(2 * p + 1) / layout.n))

    def terms(self, layout: Layout) -> Terms:
        return Terms.of(layout.size, l1=self.weights(layout))

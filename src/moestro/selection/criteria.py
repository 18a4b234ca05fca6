"""Criteria for the number of experts; smaller is better.

AIC = -2 L + 2 df,   BIC = -2 L + df log n,   ICL = BIC + 2 E,   E = -sum w r log r
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..solvers import Status


class Scored(Protocol):
    """What a fit must say of itself to be compared with others."""

    @property
    def log_likelihood(self) -> float: ...

    @property
    def n_parameters(self) -> int: ...

    @property
    def weight_sum(self) -> float: ...

    @property
    def entropy(self) -> float: ...

    @property
    def status(self) -> Status: ...


def aic(fit: Scored) -> float:
    """Akaike's criterion."""
    return -2.0 * fit.log_likelihood + 2.0 * fit.n_parameters


def bic(fit: Scored) -> float:
    """Schwarz's criterion; n is the sum of the weights of what is independent: rows, or groups that share an
    expert."""
    return -2.0 * fit.log_likelihood + fit.n_parameters * float(np.log(fit.weight_sum))


def icl(fit: Scored) -> float:
    """Integrated completed likelihood (Biernacki, Celeux and Govaert, 2000): BIC plus twice the entropy."""
    return bic(fit) + 2.0 * fit.entropy


def adjusted_bic(fit: Scored) -> float:
    """BIC with log((n + 2) / 24) in the place of log n (Sclove, 1987)."""
    return -2.0 * fit.log_likelihood + fit.n_parameters * float(np.log((fit.weight_sum + 2.0) / 24.0))


def caic(fit: Scored) -> float:
    """Consistent AIC: BIC and one more for each parameter (Bozdogan, 1987)."""
    return bic(fit) + fit.n_parameters


def entropy_r2(fit: Scored, k: int) -> float | None:
    """1 - E / (n log k): one where every row is certain of its expert; None of one expert."""
    return None if k == 1 else 1.0 - fit.entropy / (fit.weight_sum * float(np.log(k)))


CRITERIA = {"aic": aic, "bic": bic, "icl": icl}
SHOWN = {"adjusted_bic": adjusted_bic, "caic": caic}  # beside them in a table

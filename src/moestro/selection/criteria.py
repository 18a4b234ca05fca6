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


CRITERIA = {"aic": aic, "bic": bic, "icl": icl}

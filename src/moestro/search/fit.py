"""What every fit is: frozen, and the same words whatever was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..solvers.base import Info
from ..solvers.status import Status
from ..tables import Table
from .evidence import Evidence


def entropy(r: np.ndarray, w: np.ndarray | None) -> float:
    """-sum w r log r of responsibilities r (u, k) and weights (u,) of rows, or of groups that share an
    expert."""
    weights = np.ones(len(r)) if w is None else w
    return -float(weights @ (r * np.log(np.maximum(r, 1e-300))).sum(axis=1))


def history(trace: Sequence[Info], passes: Sequence[int] | None = None) -> Table:
    """One row an iteration of a solver; `passes` over all rows by its end, those before it included, None
    where they are not counted."""
    return Table(
        {
            "iteration": list(range(1, len(trace) + 1)),
            "log_likelihood": [info.value for info in trace],
            "gradient": [info.gradient_norm for info in trace],
            "step": [info.step for info in trace],
            "passes": [None] * len(trace) if passes is None else list(passes),
        }
    )


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a fit of any problem says of itself; each problem adds its parameters.

    Attributes
    ----------
    log_likelihood : float
        Total maximised log-likelihood in the user's units.
    status : Status
    n_iter : int
        Iterations of the start that won, all stages.
    n_parameters : int
        Free parameters.
    weight_sum : float
        Sum of the weights: without any the number of rows, or of groups where rows share their expert. The n
        of BIC, since it is these that are independent.
    mass : ndarray of shape (k,)
        Sums of the rows' responsibilities; a row has its group's.
    entropy : float
        -sum w r log r of the responsibilities of rows, or of groups, for ICL.
    starts, history : Table
        One row a start; one row an iteration of the final polish.
    evidence : Evidence or None
        How often the search found its best optimum; None where it did not search.
    """

    log_likelihood: float
    status: Status
    n_iter: int
    n_parameters: int
    weight_sum: float
    mass: np.ndarray
    entropy: float
    starts: Table
    history: Table
    evidence: Evidence | None = None

    @property
    def k(self) -> int:
        """Number of experts."""
        return len(self.mass)

    def labels(self) -> dict[str, Any]:
        """What tells it from others in a table."""
        return {"k": self.k}

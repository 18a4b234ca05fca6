"""The choice along a path: criteria on the fits, and held-out likelihood.

    BIC = -2 L + df log n  (df: free parameters that are not zero, as in Khalili, 2010)
    EBIC = BIC + df_s log P

with df_s slopes that are not zero among P (Chen and Chen, 2008, gamma = 1/2): BIC alone forgets how many
columns there were to choose from.
"""

from __future__ import annotations

import numpy as np

from ..engine import Order
from ..tables import Table
from .likelihood import Likelihood
from .path import AlphaPath
from .restricted import on_support
from .solve import Solution

CRITERIA = ("ebic", "bic", "aic", "cv")


def criterion_of(likelihood: Likelihood, a: Solution, criterion: str) -> float:
    """A criterion of one fit; smaller is better."""
    base, slopes = -2.0 * a.log_likelihood, len(a.support)
    df = likelihood.n_free + slopes
    if criterion == "aic":
        return base + 2.0 * df
    out = base + df * float(np.log(likelihood.n))
    return out + slopes * float(np.log(max(likelihood.size, 1))) if criterion == "ebic" else out


def columns_of(likelihood: Likelihood, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the gate and of the experts that have a slope."""
    gate, experts = likelihood.split(slopes)
    return np.flatnonzero(gate.any(axis=1)), np.flatnonzero(experts.any(axis=1))


def names_of(likelihood: Likelihood, slopes: np.ndarray) -> list[str]:
    """Columns with a slope anywhere, by name, in the order of the data."""
    gate, experts = columns_of(likelihood, slopes)
    found = {likelihood.gate_names[j] for j in gate} | {likelihood.expert_names[j] for j in experts}
    return [n for n in dict.fromkeys((*likelihood.gate_names, *likelihood.expert_names)) if n in found]


def table(
    path: AlphaPath, criterion: str, held_out: np.ndarray | None = None, index: int | None = None
) -> Table:
    """One row a strength, and which one is chosen (the `index`-th where it was); a fit at the floor of a
    variance never is."""
    pr, points = path.likelihood, path.points
    columns = {
        "alpha": path.alphas.tolist(),
        "objective": [p.objective for p in points],
        "log_likelihood": [p.log_likelihood for p in points],
        "df": [pr.n_free + len(p.support) for p in points],
        "columns": [len(names_of(pr, p.slopes)) for p in points],
        **{name: [criterion_of(pr, p, name) for p in points] for name in ("aic", "bic", "ebic")},
    }
    if held_out is not None:
        columns["cv"] = held_out[: len(points)].tolist()
    if index is None:
        usable = np.array([not pr.collapsed(p.u).any() for p in points])
        values = np.array(columns[criterion])
        index = int(np.argmin(np.where(usable, values, np.inf) if usable.any() else values))
    columns["violation"] = [p.violation for p in points]
    columns["chosen"] = [i == index for i in range(len(points))]
    return Table(columns)


def log_likelihood(likelihood: Likelihood, a: Solution) -> float:
    """Of other rows, given a fit; 0 where they have no weight."""
    if likelihood.n == 0:
        return 0.0
    part, v = on_support(likelihood, a.point)
    return -part.evaluate(v, Order.VALUE)[0] * likelihood.n

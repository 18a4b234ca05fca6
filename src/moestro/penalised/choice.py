"""The choice along a path: criteria on the fits, and held-out likelihood.

    BIC = -2 L + df log n  (df: free parameters that are not zero, as in Khalili, 2010),   EBIC = BIC + df_s log P

with df_s slopes that are not zero among P (Chen and Chen, 2008, gamma = 1/2): BIC alone forgets how many columns there were to choose from.
"""

from __future__ import annotations

import numpy as np

from ..engine import Order
from ..tables import Table
from .path import AlphaPath
from .problem import Problem
from .restricted import Restricted
from .solve import Point
from .starts import collapsed

CRITERIA = ("ebic", "bic", "aic", "cv")


def df(problem: Problem, point: Point) -> int:
    """Parameters that are not zero."""
    return problem.n_free + len(point.support)


def score(problem: Problem, point: Point, criterion: str) -> float:
    """A criterion of one fit; smaller is better."""
    base = -2.0 * point.log_likelihood
    if criterion == "aic":
        return base + 2.0 * df(problem, point)
    out = base + df(problem, point) * float(np.log(problem.n))
    return out + len(point.support) * float(np.log(max(problem.size, 1))) if criterion == "ebic" else out


def columns_of(problem: Problem, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the gate and of the experts that have a slope."""
    gate, experts = problem.split(point.slopes)
    return np.flatnonzero(gate.any(axis=1)), np.flatnonzero(experts.any(axis=1))


def names_of(problem: Problem, point: Point) -> list[str]:
    """Columns with a slope anywhere, by name, in the order of the data."""
    gate, experts = columns_of(problem, point)
    found = {problem.gate_names[j] for j in gate} | {problem.expert_names[j] for j in experts}
    return [n for n in dict.fromkeys((*problem.gate_names, *problem.expert_names)) if n in found]


def table(path: AlphaPath, criterion: str, held_out: np.ndarray | None = None) -> Table:
    """One row a strength, and which one is chosen; a fit at the floor of a variance never is."""
    pr = path.problem
    columns = {
        "alpha": path.alphas.tolist(),
        "objective": [p.objective for p in path.points],
        "log_likelihood": [p.log_likelihood for p in path.points],
        "df": [df(pr, p) for p in path.points],
        "columns": [len(names_of(pr, p)) for p in path.points],
        **{name: [score(pr, p, name) for p in path.points] for name in ("aic", "bic", "ebic")},
    }
    if held_out is not None:
        columns["cv"] = held_out.tolist()
    values = np.array(columns[criterion])
    usable = np.array([not collapsed(pr, p) for p in path.points])
    at = int(np.argmin(np.where(usable, values, np.inf))) if usable.any() else int(np.argmin(values))
    columns["violation"] = [p.violation for p in path.points]
    columns["chosen"] = [i == at for i in range(len(path.points))]
    return Table(columns)


def log_likelihood(problem: Problem, point: Point) -> float:
    """Of other rows, given a fit."""
    at = point.support
    value = Restricted(problem, at).evaluate(np.concatenate([point.u, point.slopes[at]]), Order.VALUE)[0]
    return -value * problem.n

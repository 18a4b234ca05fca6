"""How a penalised fit ended, in the words of every fit."""

from __future__ import annotations

import numpy as np

from ..solvers import Status, StatusKind
from .likelihood import EMPTY, Likelihood
from .solve import Solution

ACCEPTED = 1e-8  # optimality violation up to which a fit has converged
# Largest difference of scaled parameters between experts that are one: two so close gain d^4 a row, a
# hundredth on 10^6.
ALIKE = 0.01


def diagnose(likelihood: Likelihood, solution: Solution, alpha: float, tol: float = ACCEPTED) -> Status:
    """Status of a fit, experts numbered in decreasing order of mass."""
    if not np.isfinite(solution.objective):
        return Status(StatusKind.NOT_FINITE, "the objective is not a finite number")
    place = np.argsort(np.argsort(-solution.mass, kind="stable"))
    if likelihood.collapsed(solution.u).any():
        return Status(
            StatusKind.COLLAPSED,
            "a variance reached its lower bound: a few rows are fitted exactly. "
            "Use a larger strength or fewer experts",
        )
    where = f"optimality violation {solution.violation:.1e} at alpha = {alpha:.4g}"
    if solution.violation > max(tol, ACCEPTED):
        return Status(
            StatusKind.LIMIT, f"stopped after {solution.iterations} iterations with {where}: raise max_iter"
        )
    thin = place[likelihood.thin(solution.u, solution.mass)]
    if len(thin):
        sentence = f"{where}; {_named(thin)} too few rows for a variance: use fewer experts"
        return Status(StatusKind.THIN, sentence, _sorted(thin))
    empty = place[solution.mass < EMPTY * solution.mass.sum()]
    if len(empty):
        sentence = f"{where}; at this strength {_named(empty)} no rows: use fewer experts"
        return Status(StatusKind.FLAT, sentence, _sorted(empty))
    alike = place[_alike(likelihood, solution)]
    if len(alike):
        sentence = f"{where}; at this strength experts {_listed(alike)} are one: use fewer experts"
        return Status(StatusKind.FLAT, sentence, _sorted(alike))
    lower, upper = likelihood.bounds
    at = np.flatnonzero((solution.u <= lower) | (solution.u >= upper))
    k, m = likelihood.k, likelihood.m
    of_experts = at[(at >= k - 1) & (at < k - 1 + k * m)]
    if len(at):
        which = place[np.unique((of_experts - (k - 1)) // m)]
        what = f"of expert {_listed(which)} " if len(which) else ""
        return Status(
            StatusKind.SEPARATED,
            f"{where}; intercepts {what}are at the bound of the parameter space: some rows are predicted "
            "with certainty. Predictions hold; those intercepts have no finite estimate",
            _sorted(which),
        )
    return Status(StatusKind.CONVERGED, where)


def _alike(likelihood: Likelihood, solution: Solution) -> np.ndarray:
    """Experts whose law is that of another."""
    k, m = likelihood.k, likelihood.m
    slopes = likelihood.split(solution.slopes)[1].reshape(likelihood.experts.d, k, likelihood.predictors // k)
    own = [solution.u[k - 1 : k - 1 + k * m].reshape(k, m), slopes.transpose(1, 0, 2).reshape(k, -1)]
    if likelihood.family.nuisances and not likelihood.family.tied_nuisances:
        own.append(solution.u[k - 1 + k * m :].reshape(k, -1))
    laws = np.concatenate(own, axis=1)
    apart = np.abs(laws[:, None] - laws[None]).max(axis=2) + np.diag(np.full(k, np.inf))
    return np.flatnonzero((apart <= ALIKE).any(axis=1))


def _sorted(experts: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(int(e) for e in experts))


def _listed(experts: np.ndarray) -> str:
    return ", ".join(str(e + 1) for e in _sorted(experts))


def _named(experts: np.ndarray) -> str:
    return f"expert {_listed(experts)} has" if len(experts) == 1 else f"experts {_listed(experts)} have"

"""Where a located fit starts: seeds, and the maximum of a simpler covariance; many rows are searched on a subsample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .data import Data
from .polish import UNFOUND, Found, polish
from .problem import JointProblem
from .specification import Specification
from .starts import uninformed_starts
from .structured import StructuredProblem

SIMPLER = {"full": "diagonal", "blocks": "diagonal", "factors": "diagonal", "diagonal": "isotropic"}
FEW = 4  # seeds of a model with latent factors, beside those of the simpler one
SEARCH_TOL = 1e-5  # of a polish on a subsample


def search(
    data: Data,
    k: int,
    spec: Specification,
    problem: Any,
    count: int,
    rng: Any,
    tol: float,
    ladder: bool,
    limit: int | None = None,
) -> list[tuple[str, Found]]:
    """Polished starts: seeded centres, and the maximum of the simpler model where there is a ladder of them."""
    # Rows are told apart without their correlations too: where M-steps are dear, seeds compete mostly in the simpler model.
    wide = isinstance(problem, StructuredProblem) and problem.is_wide and spec.covariance in SIMPLER
    own = 0 if wide else min(count, FEW) if spec.covariance == "factors" else count
    part, starts = uninformed_starts(problem, own, rng)
    named = [("seeded centres", S) for S in starts]
    if ladder or own < count:
        simpler, found = _simpler(data, k, spec, rng, part, count)
        if found is not None:
            named.append(("simpler covariance", part.statistics(simpler.responsibilities(found.parameters))))
    if not named:
        return [("seeded centres", UNFOUND)]
    if part is problem:
        return [(name, polish(problem, S, tol, limit)) for name, S in named]
    polished = [(name, polish(part, S, max(tol, SEARCH_TOL))) for name, S in named]
    name, best = max(polished, key=lambda item: rank(item[1]))
    if best.parameters is None:
        return [(name, best)]
    whole = problem.statistics(problem.responsibilities(best.parameters))
    return [(name, polish(problem, whole, tol, limit))]


def _simpler(
    data: Data, k: int, spec: Specification, rng: Any, part: Any, count: int
) -> tuple[Any, Found | None]:
    """The next simpler covariance, polished on the rows that are searched."""
    p, D = data.u.shape[1], data.v.shape[1]
    name = SIMPLER.get(spec.covariance)
    if name is None or D < 2:
        return part, None
    lower = replace(spec, covariance=name, blocks=None)
    shape = data.shape(lower, k)
    if isinstance(part, JointProblem):
        u, v = part.rows[:, :p], part.rows[:, p:]
        small = replace(data, u=u, v=v, weights=part.weights, offset=0.0).problem(lower, k)
    else:
        small = part.with_shape(shape)
    starts = uninformed_starts(small, max(count // 2, 1), rng)[1]
    _, deeper = _simpler(data, k, lower, rng, small, count)
    if deeper is not None:
        below = replace(lower, covariance=SIMPLER[lower.covariance])
        assert isinstance(small, StructuredProblem)
        below = small.with_shape(data.shape(below, k))
        starts.append(small.statistics(below.responsibilities(deeper.parameters)))
    found = [polish(small, S, SEARCH_TOL) for S in starts]
    best = max(found, key=rank)
    return small, best if best.parameters is not None else None


def rank(found: Found) -> tuple[bool, float]:
    """Usable ends first, then by log-likelihood."""
    return found.status.usable, found.value if np.isfinite(found.value) else -np.inf

"""From where a solver stopped to a status with a sentence: is this an estimate, and of what?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engine import Evaluation
from .base import Outcome
from .coordinates import Coordinates, Objective
from .recession import receding
from .status import Status, StatusKind, named

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
RUNAWAY = 0.05  # a Newton step that is still this long, at a vanishing gradient, leads to infinity
CERTAIN = 1e-5  # complete-data information per weight of a predictor that has become certain


def diagnose(objective: Objective, outcome: Outcome, curvature: Evaluation | None) -> Status:
    """Status of `outcome`; `curvature` is its evaluation to order CURVATURE where that is affordable."""
    c = objective.coordinates
    phi, e = outcome.phi, outcome.evaluation
    if not (np.isfinite(e.value) and np.isfinite(phi).all()):
        return Status(StatusKind.NOT_FINITE, "the log-likelihood is not a finite number")
    collapsed = c.experts_of(c.collapsed(phi))
    if collapsed:
        return Status(
            StatusKind.COLLAPSED,
            f"the variance of {named(collapsed)} reached its lower bound: a few rows are fitted exactly. "
            "Use fewer experts or a shared variance",
            collapsed,
        )
    at_bound = (c.block >= 0) & (c.lower < c.upper) & ((phi <= c.lower) | (phi >= c.upper))
    runaway = np.zeros(len(phi), dtype=bool)
    flat: tuple[int, ...] = ()
    if curvature is not None and len(phi):
        try:
            found = directions(objective, phi, curvature)
        except np.linalg.LinAlgError:
            return Status(
                StatusKind.NOT_FINITE,
                "the curvature of the log-likelihood is beyond double precision: rescale the columns",
            )
        runaway, flat = found.runaway & outcome.converged, _flat(c, found)
        if runaway.any() or flat or not outcome.converged:
            runaway |= receding(objective, phi, curvature)
    if at_bound.any() or runaway.any():
        lost = at_bound | runaway
        where = ["the gate"] * bool((lost & (c.block == 0)).any())
        experts = c.experts_of(lost & (c.block > 0))
        where += [named(experts)] * bool(experts)
        edge = (
            "at the bound of the parameter space" if at_bound.any() else "still growing where no gain is left"
        )
        return Status(
            StatusKind.SEPARATED,
            f"coefficients of {' and '.join(where)} are {edge}: some rows are predicted with certainty. "
            "Predictions hold; those coefficients have no finite estimate",
            c.experts_of(lost),
            tuple(np.flatnonzero(abs(c.map.A) @ lost > 0).tolist()),
        )
    if not outcome.converged:
        why = "no better point was found" if outcome.stuck else "raise max_iter"
        return Status(
            StatusKind.LIMIT,
            f"stopped after {outcome.iterations} iterations with a gradient of "
            f"{objective.gradient_norm(phi, _gradient(e)):.1e} per {objective.unit}: {why}",
        )
    become = c.boundary(phi)
    if become:
        experts = tuple(sorted({e for those in become.values() for e in c.experts_of(those)}))
        said = "; ".join(f"{named(c.experts_of(those))}: {words}" for words, those in become.items())
        return Status(StatusKind.BOUNDARY, said, experts)
    if flat:
        return Status(
            StatusKind.FLAT,
            f"the likelihood is flat around {named(flat)}: the data do not tell them apart or do not "
            "reach them. Use fewer experts",
            flat,
        )
    sentence = f"gradient {objective.gradient_norm(phi, _gradient(e)):.1e} per {objective.unit}"
    if curvature is None and len(phi):
        sentence += ", curvature not examined (too many parameters)"
    return Status(StatusKind.CONVERGED, sentence)


def _gradient(e: Evaluation) -> np.ndarray:
    assert e.gradient is not None
    return e.gradient


@dataclass(frozen=True)
class Directions:
    """Where the likelihood gives no information at phi.

    Attributes
    ----------
    runaway : ndarray of bool, shape (P,)
        Coordinates that run to infinity: certain predictions.
    null : ndarray of shape (P, j)
        Scaled directions (entries of phi times `size`) whose observed information is nil beside EM's.
    size : ndarray of shape (P,)
        Root of the diagonal of EM's information.
    values, vectors : ndarray
        Eigen-decomposition of the scaled observed information on the kept coordinates.
    kept : ndarray of bool, shape (P,)
        Coordinates inside the box and not runaway.
    """

    runaway: np.ndarray
    null: np.ndarray
    size: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    kept: np.ndarray


def directions(objective: Objective, phi: np.ndarray, e: Evaluation) -> Directions:
    """Examine the exact Hessian at phi, relative to EM's complete-data information."""
    c = objective.coordinates
    assert e.gradient is not None and e.information is not None and e.curvature is not None
    information = np.diag(e.information)
    size = np.sqrt(np.maximum(information, 1e-280))
    inner = objective.inward(phi, e.gradient) & (phi > c.lower) & (phi < c.upper)
    A = -e.curvature / np.outer(size, size)
    values, vectors = np.linalg.eigh(A[np.ix_(inner, inner)])
    g = e.gradient[inner] / size[inner]
    step = np.zeros(c.size)
    step[inner] = vectors @ ((vectors.T @ g) / np.maximum(values, 1e-9)) / size[inner]
    vague = information <= CERTAIN * objective.weight_sum
    runaway = (np.abs(step) > RUNAWAY) & (c.block >= 0) & vague
    if runaway.any():  # whatever rests on the same certain rows is lost with them
        runaway |= vague & (c.block >= 0)
    kept = inner & ~runaway
    if runaway.any():
        values, vectors = np.linalg.eigh(A[np.ix_(kept, kept)])
    null = np.zeros((c.size, int((values <= FLAT).sum())))
    null[kept] = vectors[:, values <= FLAT]
    return Directions(runaway, null, size, values, vectors, kept)


def _flat(c: Coordinates, found: Directions) -> tuple[int, ...]:
    experts: set[int] = set()
    for vector in found.null.T:
        experts.update(c.experts_of(np.abs(vector) >= 0.3 * np.abs(vector).max()))
    return tuple(sorted(experts))

"""From where a solver stopped to a status with a sentence: is this an estimate, and of what?"""

from __future__ import annotations

import numpy as np

from ..engine import Evaluation
from .base import Outcome
from .coordinates import Coordinates, Objective
from .status import Status, StatusKind

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
RUNAWAY = 0.05  # a Newton step that is still this long, at a vanishing gradient, leads to infinity
CERTAIN = 1e-5  # complete-data information per weight of a predictor that has become certain


def diagnose(objective: Objective, outcome: Outcome, curvature: Evaluation | None) -> Status:
    """Status of `outcome`; `curvature` is its evaluation to order CURVATURE where that is affordable."""
    c = objective.coordinates
    phi, e = outcome.phi, outcome.evaluation
    if not (np.isfinite(e.value) and np.isfinite(phi).all()):
        return Status(StatusKind.NOT_FINITE, "the log-likelihood is not a finite number")
    collapsed = _owners(c, (c.block == -1) & (phi <= c.lower + 1e-9))
    if collapsed:
        return Status(
            StatusKind.COLLAPSED,
            f"the variance of {_experts(collapsed)} ran to its lower bound: it fits a few rows exactly. "
            "Use fewer experts or a shared variance",
            collapsed,
        )
    at_bound = (c.block >= 0) & ((phi <= c.lower) | (phi >= c.upper))
    runaway = np.zeros(len(phi), dtype=bool)
    flat: tuple[int, ...] = ()
    if curvature is not None and len(phi):
        runaway, flat = _directions(objective, phi, curvature)
    if at_bound.any() or (outcome.converged and runaway.any()):
        found = at_bound | runaway
        where = ["the gate"] * bool((found & (c.block == 0)).any())
        experts = _owners(c, found & (c.block > 0))
        where += [_experts(experts)] * bool(experts)
        edge = "at the bound of the parameter space" if at_bound.any() else "still growing where no gain is left"
        return Status(
            StatusKind.SEPARATED,
            f"coefficients of {' and '.join(where)} are {edge}: some rows are predicted with certainty. "
            "Predictions hold; those coefficients have no finite estimate",
            _owners(c, found),
        )
    if not outcome.converged:
        return Status(
            StatusKind.LIMIT,
            f"stopped after {outcome.iterations} iterations with a gradient of "
            f"{objective.gradient_norm(phi, _gradient(e)):.1e} per row: raise max_iter",
        )
    if flat:
        return Status(
            StatusKind.FLAT,
            f"the likelihood is flat around {_experts(flat)}: the data do not tell them apart or do not "
            "reach them. Use fewer experts",
            flat,
        )
    sentence = f"gradient {objective.gradient_norm(phi, _gradient(e)):.1e} per row"
    if curvature is None and len(phi):
        sentence += ", curvature not examined (too many parameters)"
    return Status(StatusKind.CONVERGED, sentence)


def _gradient(e: Evaluation) -> np.ndarray:
    assert e.gradient is not None
    return e.gradient


def _directions(objective: Objective, phi: np.ndarray, e: Evaluation) -> tuple[np.ndarray, tuple[int, ...]]:
    """Coordinates that run to infinity, and the experts of directions without information."""
    c = objective.coordinates
    assert e.gradient is not None and e.information is not None and e.curvature is not None
    information = np.diag(e.information)
    size = np.sqrt(np.maximum(information, 1e-280))
    inner = objective.inward(phi, e.gradient)
    A = -e.curvature / np.outer(size, size)
    A[~inner] = A[:, ~inner] = 0.0
    values, vectors = np.linalg.eigh(A)
    g = np.where(inner, e.gradient, 0.0) / size
    step = vectors @ ((vectors.T @ g) / np.maximum(values, 1e-9)) / size
    vague = information <= CERTAIN * objective.weight_sum
    runaway = (np.abs(step) > RUNAWAY) & (c.block >= 0) & vague
    flat: set[int] = set()
    for value, vector in zip(values, vectors.T, strict=True):
        if value > FLAT:
            break
        loaded = np.abs(vector) >= 0.3 * np.abs(vector).max()
        if (loaded & inner).any():
            flat.update(_owners(c, loaded & inner))
    return runaway, tuple(sorted(flat))


def _owners(c: Coordinates, chosen: np.ndarray) -> tuple[int, ...]:
    part = c.model.part_of()
    used = c.owner >= 0
    return tuple(sorted({int(e) for e in part[used][chosen[c.owner[used]]]}))


def _experts(which: tuple[int, ...]) -> str:
    names = ", ".join(str(e + 1) for e in which)
    return f"expert {names}" if len(which) == 1 else f"experts {names}"

"""From a start to a maximum: accelerated EM, and Newton where the model has one; what the end is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Evaluation
from ..solvers import Newton, Status, StatusKind, run
from .climb import climb
from .problem import JointProblem
from .spread import SPREAD_FLOOR
from .statistics import EMPTY, TAIL_BOX, Parameters

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
RIDGE = 1e-10  # added to the information's unit diagonal
NEWTON_COLUMNS = 6  # columns of (x, y) up to which phi phi' is summed
EM_LIMIT = 5000


@dataclass(frozen=True)
class Found:
    """A polished start: parameters of its problem, log-likelihood, status, and the log-likelihood by iteration."""

    parameters: Any
    value: float
    iterations: int
    mismatch: float
    status: Status
    values: tuple[float, ...] = ()


UNFOUND = Found(
    None,
    -np.inf,
    0,
    np.inf,
    Status(StatusKind.NOT_FINITE, "EM found no parameters with a finite log-likelihood"),
)


def polish(problem: Any, start: np.ndarray, tol: float, limit: int | None = None) -> Found:
    """Newton while phi phi' can be summed, after a few steps of EM; otherwise accelerated EM."""
    if isinstance(problem, JointProblem) and problem.monomials.D <= NEWTON_COLUMNS:
        warm = climb(problem, start, tol, 3, memory=0)
        if warm.parameters is None:
            return UNFOUND
        end = run(Newton(), problem, warm.parameters, tol=tol, max_iter=limit)
        assert end.evaluation.gradient is not None
        mismatch = problem.gradient_norm(end.phi, end.evaluation.gradient)
        status = _joint_status(problem, end.phi, end.value, end.converged, end.iterations, mismatch, end.evaluation)  # fmt: skip
        return Found(end.phi, end.value, end.iterations, mismatch, status, tuple(i.value for i in end.trace))
    end = climb(problem, start, tol, EM_LIMIT if limit is None else limit)
    if end.parameters is None or not np.isfinite(end.value):
        return UNFOUND
    if isinstance(problem, JointProblem):
        status = _joint_status(problem, end.parameters, end.value, end.converged, end.iterations, end.mismatch, None)  # fmt: skip
    else:
        status = _structured_status(end.parameters, end.converged, end.iterations, end.mismatch)
    return Found(end.parameters, end.value, end.iterations, end.mismatch, status, end.values)


def _joint_status(
    problem: JointProblem,
    phi: np.ndarray,
    value: float,
    converged: bool,
    iterations: int,
    mismatch: float,
    evaluation: Evaluation | None,
) -> Status:
    found = problem.monomials.gaussians(phi.reshape(problem.k, -1))
    if found is None or not np.isfinite(value):
        return Status(StatusKind.NOT_FINITE, "the log-likelihood is not a finite number")
    log_mass = found[0]
    early = _degenerate(
        log_mass - np.logaddexp.reduce(log_mass), np.linalg.eigvalsh(found[2])[:, 0], "covariance"
    )
    if early is not None:
        return early
    sentence = f"largest mismatch of a moment {mismatch:.1e} per row"
    if not converged:
        return Status(StatusKind.LIMIT, f"stopped after {iterations} iterations: {sentence}")
    flat = () if evaluation is None else _flat_atoms(evaluation, problem.k)
    if flat:
        return Status(StatusKind.FLAT, f"the likelihood is flat around components {_names(flat)}: {sentence}", flat)  # fmt: skip
    return Status(StatusKind.CONVERGED, sentence)


def _structured_status(found: Parameters, converged: bool, iterations: int, mismatch: float) -> Status:
    for spread, name in ((found.noise, "covariance of the outputs"), (found.gate, "covariance of the gate")):
        early = _degenerate(found.log_weights, spread.least, name)
        if early is not None:
            return early
    sentence = f"largest mismatch of a moment {mismatch:.1e} per row"
    if found.tails is not None and (found.tails <= TAIL_BOX[0]).any():
        heavy = tuple(int(e) for e in np.flatnonzero(found.tails <= TAIL_BOX[0]))
        sentence += (
            f"; the tails of component {_names(heavy)} are at their bound of {TAIL_BOX[0]} degrees of freedom"
        )
    if not converged:
        return Status(StatusKind.LIMIT, f"stopped after {iterations} iterations: {sentence}")
    return Status(StatusKind.CONVERGED, sentence)


def _degenerate(log_weights: np.ndarray, least: np.ndarray, what: str) -> Status | None:
    empty = tuple(int(e) for e in np.flatnonzero(log_weights < np.log(EMPTY)))
    if empty:
        return Status(StatusKind.EMPTY, f"no row belongs to component {_names(empty)}", empty)
    collapsed = tuple(int(e) for e in np.flatnonzero(least <= 10 * SPREAD_FLOOR))
    if collapsed:
        return Status(StatusKind.COLLAPSED, f"the {what} of component {_names(collapsed)} is singular", collapsed)  # fmt: skip
    return None


def _names(components: tuple[int, ...]) -> str:
    return ", ".join(str(e + 1) for e in components)


def _flat_atoms(e: Evaluation, k: int) -> tuple[int, ...]:
    if e.curvature is None or e.information is None:
        return ()
    d = np.sqrt(np.maximum(np.diag(e.information), 1e-300))
    # Moments of a narrow component are collinear to rounding: the ridge keeps the root, and hides no direction above it.
    root = np.linalg.cholesky(e.information / np.outer(d, d) + RIDGE * np.eye(len(d)))
    half = np.linalg.solve(root, -e.curvature / np.outer(d, d))
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    null = np.linalg.solve(root.T, vectors[:, values <= FLAT])
    if null.shape[1] == 0:
        return ()
    size = np.abs(null).reshape(k, -1, null.shape[1]).max(axis=1)
    return tuple(int(i) for i in np.flatnonzero((size >= 0.3 * size.max(axis=0)).any(axis=1)))

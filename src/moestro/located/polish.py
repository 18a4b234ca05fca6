"""From a start to a maximum: accelerated EM, and Newton where the model has one; what the end is called."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Evaluation
from ..solvers import Info, Newton, Status, StatusKind, run
from ..solvers.accelerated import Ascent, accelerated_em, accelerated_em_together
from ..solvers.status import named
from .problem import JointProblem
from .spread import SPREAD_FLOOR
from .statistics import EMPTY, NU_BOX, Parameters

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
RIDGE = 1e-10  # added to the information's unit diagonal
NEWTON_COLUMNS = 6  # columns of (x, y) up to which phi phi' is summed
EM_LIMIT = 5000
WARM = 3  # EM steps before Newton's


@dataclass(frozen=True)
class Point:
    """Where a run of a located model is: statistics that EM maps on, and the parameters there once they are
    known."""

    statistics: np.ndarray | None
    parameters: Any = None


@dataclass(frozen=True)
class Found:
    """Where a run stopped.

    Attributes
    ----------
    point : Point
        Without parameters where EM found none.
    value : float
    mass : ndarray of shape (k,)
        Sums of the responsibilities.
    mismatch : float
        Largest mismatch of a moment per row, in standardised columns.
    converged : bool
    trace : tuple of Info
    evaluation : Evaluation or None
        With the exact curvature, where Newton took the last steps.
    """

    point: Point
    value: float
    mass: np.ndarray
    mismatch: float
    converged: bool
    trace: tuple[Info, ...]
    evaluation: Evaluation | None = None

    @property
    def parameters(self) -> Any:
        return self.point.parameters

    @property
    def iterations(self) -> int:
        return len(self.trace)


def has_newton(problem: Any) -> bool:
    """Whether phi phi' of the model can be summed."""
    return isinstance(problem, JointProblem) and problem.monomials.D <= NEWTON_COLUMNS


def ascend(
    problem: Any,
    start: Point,
    tol: float,
    limit: int | None = None,
    cancel: threading.Event | None = None,
    to_the_end: bool = True,
) -> Found:
    """Newton where the model has it, after a few steps of EM; otherwise accelerated EM. A long run
    that has made a covariance singular leaves, unless `to_the_end`: the other parameters may crawl for
    thousands of steps."""
    if has_newton(problem):
        phi = start.parameters
        if phi is None:
            assert start.statistics is not None
            phi = accelerated_em(problem, start.statistics, tol, WARM, memory=0, cancel=cancel).parameters
        if phi is None:
            return _nothing(problem)
        end = run(Newton(), problem, phi, tol=tol, max_iter=limit, cancel=cancel)
        assert end.evaluation.gradient is not None
        mismatch = problem.gradient_norm(end.phi, end.evaluation.gradient)
        return Found(
            Point(None, end.phi),
            end.value,
            end.evaluation.mass,
            mismatch,
            end.converged,
            end.trace,
            end.evaluation,
        )
    return by_em(problem, start, tol, EM_LIMIT if limit is None else limit, cancel, to_the_end)


def by_em(
    problem: Any,
    start: Point,
    tol: float,
    limit: int,
    cancel: threading.Event | None = None,
    to_the_end: bool = True,
) -> Found:
    """Accelerated EM."""
    return by_em_together(problem, [start], tol, limit, cancel, to_the_end)[0]


def by_em_together(
    problem: Any,
    starts: Sequence[Point],
    tol: float,
    limit: int,
    cancel: threading.Event | None = None,
    to_the_end: bool = True,
) -> list[Found]:
    """Accelerated EM from each start, side by side."""
    lost = None if to_the_end else lambda parameters: degenerate(problem, parameters) is not None
    out = [_nothing(problem) for _ in starts]
    begun = [i for i, start in enumerate(starts) if start.statistics is not None]
    if begun:
        S = np.array([starts[i].statistics for i in begun])
        ends = accelerated_em_together(problem, S, tol, limit, cancel=cancel, hopeless=lost)
        for i, end in zip(begun, ends, strict=True):
            if end.parameters is not None and np.isfinite(end.value):
                out[i] = _found(problem, end)
    return out


def _found(problem: Any, end: Ascent) -> Found:
    mass = problem.masses(end.statistics)
    return Found(
        Point(end.statistics, end.parameters), end.value, mass, end.mismatch, end.converged, end.trace
    )


def _nothing(problem: Any) -> Found:
    return Found(Point(None), -np.inf, np.zeros(problem.k), np.inf, False, ())


def diagnose(problem: Any, found: Found) -> Status:
    """How a run ended."""
    if found.parameters is None:
        return Status(StatusKind.NOT_FINITE, "EM found no parameters with a finite log-likelihood")
    if isinstance(problem, JointProblem):
        return _joint_status(
            problem,
            found.parameters,
            found.value,
            found.converged,
            found.iterations,
            found.mismatch,
            found.evaluation,
        )
    return _structured_status(found.parameters, found.converged, found.iterations, found.mismatch)


def degenerate(problem: Any, parameters: Any) -> Status | None:
    """The status of parameters with an empty component or a singular covariance."""
    if isinstance(problem, JointProblem):
        found = problem.monomials.gaussians(parameters.reshape(problem.k, -1))
        if found is None:
            return Status(StatusKind.NOT_FINITE, "a covariance is not positive definite")
        log_mass = found[0] - np.logaddexp.reduce(found[0])
        return _degenerate(log_mass, np.linalg.eigvalsh(found[2])[:, 0], "covariance")
    for spread, name in (
        (parameters.noise, "covariance of the outputs"),
        (parameters.gate, "covariance of the gate"),
    ):
        early = _degenerate(parameters.log_weights, spread.least, name)
        if early is not None:
            return early
    return None


def _joint_status(
    problem: JointProblem,
    phi: np.ndarray,
    value: float,
    converged: bool,
    iterations: int,
    mismatch: float,
    evaluation: Evaluation | None,
) -> Status:
    if not np.isfinite(value):
        return Status(StatusKind.NOT_FINITE, "the log-likelihood is not a finite number")
    early = degenerate(problem, phi)
    if early is not None:
        return early
    sentence = f"largest mismatch of a moment {mismatch:.1e} per row"
    if not converged:
        return Status(StatusKind.LIMIT, f"stopped after {iterations} iterations: {sentence}")
    flat = () if evaluation is None else _flat_atoms(evaluation, problem.k)
    if flat:
        return Status(StatusKind.FLAT, (f"the likelihood is flat around {named(flat)}: {sentence}"), flat)
    return Status(StatusKind.CONVERGED, sentence)


def _structured_status(found: Parameters, converged: bool, iterations: int, mismatch: float) -> Status:
    early = degenerate(None, found)
    if early is not None:
        return early
    sentence = f"largest mismatch of a moment {mismatch:.1e} per row"
    nu = found.degrees_of_freedom
    if nu is not None and (nu <= NU_BOX[0]).any():
        heavy = tuple(int(e) for e in np.flatnonzero(nu <= NU_BOX[0]))
        sentence += f"; the degrees of freedom of {named(heavy)} are at their bound of {NU_BOX[0]}"
    if not converged:
        return Status(StatusKind.LIMIT, f"stopped after {iterations} iterations: {sentence}")
    return Status(StatusKind.CONVERGED, sentence)


def _degenerate(log_weights: np.ndarray, least: np.ndarray, what: str) -> Status | None:
    empty = tuple(int(e) for e in np.flatnonzero(log_weights < np.log(EMPTY)))
    if empty:
        return Status(StatusKind.EMPTY, f"no row belongs to {named(empty)}", empty)
    collapsed = tuple(int(e) for e in np.flatnonzero(least <= 10 * SPREAD_FLOOR))
    if collapsed:
        return Status(StatusKind.COLLAPSED, f"the {what} of {named(collapsed)} is singular", collapsed)
    return None


def _flat_atoms(e: Evaluation, k: int) -> tuple[int, ...]:
    if e.curvature is None or e.information is None:
        return ()
    d = np.sqrt(np.maximum(np.diag(e.information), 1e-300))
    # Moments of a narrow component are collinear to rounding: the ridge keeps the root, and hides no
    # direction above it.
    root = np.linalg.cholesky(e.information / np.outer(d, d) + RIDGE * np.eye(len(d)))
    half = np.linalg.solve(root, -e.curvature / np.outer(d, d))
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    null = np.linalg.solve(root.T, vectors[:, values <= FLAT])
    if null.shape[1] == 0:
        return ()
    size = np.abs(null).reshape(k, -1, null.shape[1]).max(axis=1)
    return tuple(int(i) for i in np.flatnonzero((size >= 0.3 * size.max(axis=0)).any(axis=1)))

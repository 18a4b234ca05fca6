"""Uninformed starts, polishing and diagnosis of joint Gaussian mixtures."""

from __future__ import annotations

import numpy as np

from ..engine import Evaluation, Order
from ..solvers import Newton, Status, StatusKind, run
from ..solvers.base import Outcome
from .problem import SPREAD_FLOOR, JointProblem

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
NEWTON_COLUMNS = 6  # columns of (x, y) up to which phi phi' is summed
SHORT_EM = 25
FINALISTS = 3
EM_LIMIT = 5000
SEARCH_ROWS = 2000


def uninformed_starts(
    problem: JointProblem, count: int, rng: np.random.Generator, tol: float
) -> list[tuple[str, np.ndarray]]:
    """The best of `count` short EM runs on a subsample: a few where they see all rows, else one that is polished there."""
    n = len(problem.rows)
    if count == 0:
        return []
    part = problem
    if n > 2 * SEARCH_ROWS:
        at = np.sort(rng.choice(n, SEARCH_ROWS, replace=False))
        w = None if problem.weights is None else problem.weights[at]
        part = JointProblem(problem.rows[at], w, problem.k)
    found = []
    for _ in range(count):
        phi, value = _seeded(part, rng), -np.inf
        for _ in range(SHORT_EM):
            phi, value = part.em_step(phi)
        found.append((value, phi))
    found.sort(key=lambda pair: -pair[0])
    best = [phi for _, phi in found[:FINALISTS]]
    if part is not problem:
        polished = [polish(part, phi, max(tol, 1e-5)) for phi in best]
        sound = [o for o in polished if diagnose(part, o).usable]
        best = [max(sound or polished, key=lambda o: o.value).phi]
    return [("seeded centres", phi) for phi in best]


def _seeded(problem: JointProblem, rng: np.random.Generator) -> np.ndarray:
    """Hard assignment of the rows to k centres drawn far from each other (k-means++), then one M-step."""
    rows, k = problem.rows, problem.k
    chance = np.ones(len(rows)) if problem.weights is None else problem.weights
    # Directions are drawn at random too: atoms may differ in slope where their centres agree.
    turned = (
        rows
        @ np.linalg.qr(rng.standard_normal((rows.shape[1],) * 2))[0]
        * rng.uniform(0.3, 1.0, rows.shape[1])
    )
    centres = turned[[rng.choice(len(rows), p=chance / chance.sum())]]
    for _ in range(k - 1):
        gap = ((turned[:, None] - centres) ** 2).sum(axis=2).min(axis=1) * chance
        p = gap / gap.sum() if gap.sum() > 0 else chance / chance.sum()
        centres = np.vstack([centres, turned[rng.choice(len(rows), p=p)]])
    label = ((turned[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    r = np.full((len(rows), k), 0.1 / k)
    r[np.arange(len(rows)), label] += 0.9
    first = (problem.monomials.values(problem.columns) @ (r * chance[:, None])).T
    return problem.m_step(first)


def polish(problem: JointProblem, phi: np.ndarray, tol: float) -> Outcome:
    """Newton while phi phi' can be summed; otherwise accelerated EM."""
    for _ in range(3):
        phi = problem.em_step(phi)[0]
    if problem.monomials.D <= NEWTON_COLUMNS:
        return run(Newton(), problem, phi, tol=tol)
    return _em(problem, phi, tol)


def _em(problem: JointProblem, phi: np.ndarray, tol: float) -> Outcome:
    for iteration in range(EM_LIMIT):
        new, _ = problem.em_step(phi)
        e = problem.evaluate(new, Order.GRADIENT)
        assert e.gradient is not None
        phi = new
        if problem.gradient_norm(phi, e.gradient) <= tol:
            return Outcome(phi, e, iteration + 1, True, False, ())
    return Outcome(phi, problem.evaluate(phi, Order.GRADIENT), EM_LIMIT, False, False, ())


def diagnose(problem: JointProblem, outcome: Outcome) -> Status:
    found = problem.monomials.gaussians(outcome.phi.reshape(problem.k, -1))
    if found is None or not np.isfinite(outcome.value):
        return Status(StatusKind.NOT_FINITE, "the log-likelihood is not a finite number")
    least = np.linalg.eigvalsh(found[2])[:, 0]
    collapsed = tuple(int(i) for i in np.flatnonzero(least <= 10 * SPREAD_FLOOR))
    if collapsed:
        names = ", ".join(str(i + 1) for i in collapsed)
        return Status(StatusKind.COLLAPSED, f"the covariance of component {names} is singular", collapsed)
    e = outcome.evaluation
    assert e.gradient is not None
    sentence = f"largest mismatch of a moment {problem.gradient_norm(outcome.phi, e.gradient):.1e} per row"
    if not outcome.converged:
        return Status(StatusKind.LIMIT, f"stopped after {outcome.iterations} iterations: {sentence}")
    flat = _flat_atoms(e, problem.k)
    if flat:
        names = ", ".join(str(i + 1) for i in flat)
        return Status(StatusKind.FLAT, f"the likelihood is flat around components {names}: {sentence}", flat)
    return Status(StatusKind.CONVERGED, sentence)


def _flat_atoms(e: Evaluation, k: int) -> tuple[int, ...]:
    if e.curvature is None or e.information is None:
        return ()
    root = np.linalg.cholesky(e.information)
    half = np.linalg.solve(root, -e.curvature)
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    null = np.linalg.solve(root.T, vectors[:, values <= FLAT]) * np.sqrt(np.diag(e.information))[:, None]
    if null.shape[1] == 0:
        return ()
    size = np.abs(null).reshape(k, -1, null.shape[1]).max(axis=1)
    return tuple(int(i) for i in np.flatnonzero((size >= 0.3 * size.max(axis=0)).any(axis=1)))

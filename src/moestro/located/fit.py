"""Many short EM runs, the best polished by Newton on the joint log-likelihood, one frozen result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engine import Evaluation, Order
from ..errors import DataError
from ..solvers import Newton, Status, StatusKind, run
from ..solvers.base import Outcome
from ..tables import Table
from ..threads import one_blas_thread
from .measure import LocatedMeasure
from .natural import Monomials
from .problem import SPREAD_FLOOR, JointProblem, floored

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
NEWTON_COLUMNS = 6  # columns of (x, y) up to which phi phi' is summed
SHORT_EM = 25
FINALISTS = 3
EM_LIMIT = 5000
SEARCH_ROWS = 2000


@dataclass(frozen=True)
class LocatedFit:
    """A fitted Gaussian-gated mixture of experts.

    Attributes
    ----------
    measure : LocatedMeasure
        In the user's units.
    log_likelihood : float
        Joint: sum of log p(x, y).
    status : Status
    n_iter : int
    n_parameters : int
    gradient_norm : float
        Largest mismatch of a moment per row.
    starts : Table
    """

    measure: LocatedMeasure
    log_likelihood: float
    status: Status
    n_iter: int
    n_parameters: int
    gradient_norm: float
    starts: Table


@dataclass(frozen=True)
class _Units:
    center: np.ndarray
    scale: np.ndarray
    d: int

    def to_phi(self, measure: LocatedMeasure) -> np.ndarray:
        mean, covariance = measure.joint()
        mean = (mean - self.center) / self.scale
        covariance = covariance / np.outer(self.scale, self.scale)
        with np.errstate(divide="ignore"):
            log_weights = np.maximum(np.log(measure.weights), -50.0)
        return Monomials(len(self.center)).natural(log_weights, mean, floored(covariance)).ravel()

    def to_measure(self, phi: np.ndarray, k: int) -> LocatedMeasure:
        found = Monomials(len(self.center)).gaussians(phi.reshape(k, -1))
        assert found is not None
        log_mass, mean, covariance = found
        weights = np.exp(log_mass - np.logaddexp.reduce(log_mass))
        mean = mean * self.scale + self.center
        return LocatedMeasure.from_joint(weights, mean, covariance * np.outer(self.scale, self.scale), self.d)


def fit_located(
    x: np.ndarray,
    y: np.ndarray,
    k: int,
    *,
    weights: np.ndarray | None = None,
    initial: LocatedMeasure | None = None,
    n_starts: int | None = None,
    tol: float = 1e-8,
    seed: int | np.random.SeedSequence | None = None,
) -> LocatedFit:
    """Maximise the joint likelihood of sum_i pi_i N(x; c_i, Gamma_i) N(y; A_i x + b_i, Sigma_i), full covariances.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        d may be 0: a location-scale Gaussian mixture of y.
    y : ndarray of shape (n,) or (n, q)
    k : int
    weights : ndarray of shape (n,), optional
    initial : LocatedMeasure, optional
        An informed start, taken besides the others.
    n_starts : int, optional
        Uninformed starts: seeded centres and short EM on at most 2000 rows; 10 + 5 k by default, 0 where
        `initial` is given.
    tol : float
        Largest mismatch between a moment of the data and of the model, per row, in standardised columns.
    seed : int, SeedSequence or None

    Returns
    -------
    LocatedFit
    """
    x = np.asarray(x, dtype=float).reshape(len(y), -1)
    y = np.asarray(y, dtype=float).reshape(len(x), -1)
    rows = np.ascontiguousarray(np.concatenate([x, y], axis=1))
    w = None if weights is None else np.asarray(weights, dtype=float)
    _check(rows, w, k)
    center = np.average(rows, axis=0, weights=w)
    scale = np.sqrt(np.average((rows - center) ** 2, axis=0, weights=w))
    if (scale <= 1e-13 * np.abs(rows).max(axis=0)).any():
        raise DataError(f"column {int(np.argmin(scale))} of (x, y) is constant: its variance is zero")
    units = _Units(center, scale, x.shape[1])
    total = len(rows) if w is None else w.sum()
    offset = -float(total) * float(np.log(scale).sum())
    problem = JointProblem((rows - center) / scale, w, k, offset)
    if n_starts is None:
        n_starts = 0 if initial is not None else 1 if k == 1 else 10 + 5 * k
    rng = np.random.default_rng(seed)
    with one_blas_thread():
        starts = _starts(problem, n_starts, rng, tol)
        if initial is not None:
            starts.insert(0, ("given", units.to_phi(initial)))
        done = [(name, _polish(problem, phi, tol)) for name, phi in starts]
        statuses = [_diagnose(problem, outcome) for _, outcome in done]
        order = [(status.usable, outcome.value) for status, (_, outcome) in zip(statuses, done, strict=True)]
        chosen = max(range(len(done)), key=order.__getitem__)
        best, status = done[chosen][1], statuses[chosen]
    assert best.evaluation.gradient is not None
    return LocatedFit(
        measure=units.to_measure(best.phi, k),
        log_likelihood=best.value,
        status=status,
        n_iter=best.iterations,
        n_parameters=k * problem.monomials.size - 1,
        gradient_norm=problem.gradient_norm(best.phi, best.evaluation.gradient),
        starts=Table(
            {
                "strategy": [name for name, _ in done],
                "log_likelihood": [o.value for _, o in done],
                "iterations": [o.iterations for _, o in done],
                "converged": [o.converged for _, o in done],
            }
        ),
    )


def em_once(x: np.ndarray, y: np.ndarray, start: LocatedMeasure) -> tuple[LocatedMeasure, float]:
    """One EM step from `start`, and the joint log-likelihood at `start`."""
    rows = np.concatenate(
        [np.asarray(x, dtype=float).reshape(len(x), -1), np.asarray(y).reshape(len(x), -1)], axis=1
    )
    center, scale = rows.mean(axis=0), rows.std(axis=0)
    units = _Units(center, scale, start.d)
    problem = JointProblem((rows - center) / scale, None, start.k, -len(rows) * float(np.log(scale).sum()))
    with one_blas_thread():
        phi, value = problem.em_step(units.to_phi(start))
    return units.to_measure(phi, start.k), value


def _check(rows: np.ndarray, w: np.ndarray | None, k: int) -> None:
    n, D = rows.shape
    if k < 1:
        raise DataError(f"the number of experts must be at least 1, got {k}")
    if not np.isfinite(rows).all():
        raise DataError("x or y contains NaN or infinity: remove those rows first")
    if n < k * (D + 1):
        raise DataError(f"{k} located experts of {D} columns need at least {k * (D + 1)} rows, got {n}")
    if w is not None and (w.shape != (n,) or (w < 0).any() or not np.isfinite(w).all() or w.sum() <= 0):
        raise DataError(f"weights must be {n} finite numbers of at least 0 with a positive sum")


def _starts(
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
        polished = [_polish(part, phi, max(tol, 1e-5)) for phi in best]
        sound = [o for o in polished if _diagnose(part, o).usable]
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


def _polish(problem: JointProblem, phi: np.ndarray, tol: float) -> Outcome:
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


def _diagnose(problem: JointProblem, outcome: Outcome) -> Status:
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

"""Many short EM runs, the best polished by Newton on the joint log-likelihood, one frozen result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..solvers import Status
from ..tables import Table
from ..threads import one_blas_thread
from .measure import LocatedMeasure
from .natural import Monomials
from .polish import diagnose, polish, uninformed_starts
from .problem import JointProblem, floored


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
    units, problem = _standardised(x, y, weights, k)
    if n_starts is None:
        n_starts = 0 if initial is not None else 1 if k == 1 else 10 + 5 * k
    rng = np.random.default_rng(seed)
    with one_blas_thread():
        starts = uninformed_starts(problem, n_starts, rng, tol)
        if initial is not None:
            starts.insert(0, ("given", units.to_phi(initial)))
        done = [(name, polish(problem, phi, tol)) for name, phi in starts]
        statuses = [diagnose(problem, outcome) for _, outcome in done]
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
    units, problem = _standardised(x, y, None, start.k)
    with one_blas_thread():
        phi, value = problem.em_step(units.to_phi(start))
    return units.to_measure(phi, start.k), value


def _standardised(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, k: int
) -> tuple[_Units, JointProblem]:
    """The joint problem on centred and scaled columns, and the way back to the user's."""
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows, y has {len(y)}")
    try:
        x, y = (np.asarray(a, dtype=float).reshape(len(a), -1) for a in (x, y))
    except (TypeError, ValueError) as error:
        raise DataError("x and y must hold numbers only") from error
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
    return units, problem


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

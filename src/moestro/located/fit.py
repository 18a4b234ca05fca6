"""Many short EM runs, the best polished, one frozen result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import DataError
from ..solvers import Status
from ..tables import Table
from ..threads import one_blas_thread, thread_count
from .data import Data
from .measure import LocatedMeasure
from .polish import Found, polish
from .problem import JointProblem
from .search import rank, search
from .specification import Specification
from .starts import shortlist

SPLITS = 2  # further starts that are polished


@dataclass(frozen=True)
class LocatedFit:
    """A fitted Gaussian-gated mixture of experts.

    Attributes
    ----------
    measure : LocatedMeasure
        From x to y, in the user's units.
    fitted : LocatedMeasure
        In the direction of the fit: from y to x for an inverse regression.
    specification : Specification
    log_likelihood : float
        Joint: sum of log p(x, y).
    status : Status
    n_iter : int
    n_parameters : int
    gradient_norm : float
        Largest mismatch of a moment per row.
    weight_sum : float
    mass : ndarray of shape (k,)
        Sum of the responsibilities.
    entropy : float
        -sum w r log r.
    starts, history : Table
        One row a polished start; one row an iteration of the chosen one.
    """

    measure: LocatedMeasure
    fitted: LocatedMeasure
    specification: Specification
    log_likelihood: float
    status: Status
    n_iter: int
    n_parameters: int
    gradient_norm: float
    weight_sum: float
    mass: np.ndarray
    entropy: float
    starts: Table
    history: Table = field(default_factory=lambda: Table({}))

    @property
    def k(self) -> int:
        """Number of experts."""
        return self.measure.k


def fit_located(
    x: Any,
    y: Any,
    k: int,
    *,
    direction: str = "direct",
    covariance: str = "full",
    gate_covariance: str = "full",
    tied: bool = False,
    gate_tied: bool = False,
    degree: int = 1,
    rank: int = 1,
    blocks: Any = None,
    student: bool = False,
    weights: Any = None,
    initial: LocatedMeasure | None = None,
    n_starts: int | None = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
    seed: int | np.random.SeedSequence | None = None,
    n_jobs: int | None = None,
) -> LocatedFit:
    """Maximise the joint likelihood of sum_i pi_i N(x; c_i, Gamma_i) N(y; A_i x + b_i, Sigma_i).

    Parameters
    ----------
    x : array-like of shape (n, d)
        d may be 0: a location-scale mixture of y.
    y : array-like of shape (n,) or (n, q)
    k : int
    direction : {"direct", "inverse"}
        "inverse" fits experts of x located by y (few parameters where x has many columns) and turns them round exactly.
    covariance : {"full", "diagonal", "isotropic", "blocks", "factors"}
        Sigma_i: of y about its expert (of x, in inverse regression). "blocks" learns the blocks where none are given.
    gate_covariance : {"full", "diagonal", "isotropic"}
        Gamma_i.
    tied, gate_tied : bool
        One Sigma, one Gamma for all experts.
    degree : int
        Of the experts' means; above 1 only in direct fits.
    rank : int
        Latent factors of covariance="factors".
    blocks : list of lists of int, or one such list an expert
        Columns that are correlated, for covariance="blocks".
    student : bool
        Student tails, with degrees of freedom of each expert.
    weights : array-like of shape (n,), optional
    initial : LocatedMeasure, optional
        An informed start from x to y, taken besides the others.
    n_starts : int, optional
        Uninformed starts: seeded centres and short EM on at most 2000 rows. By default 10 + 5 k, and simpler covariances are
        fitted first and started from; 0 where `initial` is given.
    tol : float
        Largest mismatch between a moment of the data and of the model, per row, in standardised columns.
    max_iter : int, optional
        Of the last climb from each start; by default 5000 steps of EM, or as many of Newton's as it takes.
    seed : int, SeedSequence or None
    n_jobs : int or None
        Threads; None means all cores. Results are the same for any number.

    Returns
    -------
    LocatedFit

    Raises
    ------
    DataError
        Too few rows, constant or duplicated columns, text, NaN, unknown options.

    Notes
    -----
    Nguyen, Nguyen, Chamroukhi and Forbes (arXiv 2104.02640 and 2104.08959); Deleforge, Forbes and Horaud (2015).
    """
    spec = Specification(
        direction, covariance, gate_covariance, tied, gate_tied, degree, rank, blocks, student
    )
    data = Data.read(x, y, weights, spec, k, thread_count(n_jobs))
    if spec.learns_blocks:
        from .blocks import block_path

        fits = block_path(data, k, spec, n_starts=n_starts, tol=tol, max_iter=max_iter, seed=seed)
        sound = [f for f in fits if f.status.usable] or fits
        return min(sound, key=lambda f: -2 * f.log_likelihood + f.n_parameters * np.log(f.weight_sum))
    return fit_data(data, k, spec, initial=initial, n_starts=n_starts, tol=tol, max_iter=max_iter, seed=seed)


def fit_data(
    data: Data,
    k: int,
    spec: Specification,
    *,
    initial: LocatedMeasure | np.ndarray | None = None,
    extra: tuple[np.ndarray, ...] = (),
    n_starts: int | None = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
    seed: int | np.random.SeedSequence | None = None,
) -> LocatedFit:
    """`fit_located` on rows that are read.

    `initial` may be responsibilities (n, k); `extra` are further ones that compete by short EM beside the uninformed starts.
    """
    if not tol > 0:
        raise DataError(f"tol must be positive, got {tol!r}")
    if max_iter is not None and (not isinstance(max_iter, int | np.integer) or max_iter < 1):
        raise DataError(f"max_iter must be a whole number of at least 1, got {max_iter!r}")
    problem = data.problem(spec, k)
    ladder = n_starts is None and initial is None and k > 1
    if n_starts is None:
        n_starts = 0 if initial is not None else 1 if k == 1 else 10 + 5 * k
    if n_starts < 0 or (n_starts == 0 and initial is None and not extra):
        raise DataError(f"n_starts must be at least 1, got {n_starts}")
    rng = np.random.default_rng(seed)
    with one_blas_thread():
        done = []
        if initial is not None:
            r = _responsibilities(data, initial, spec, k)
            done.append(("given", polish(problem, problem.statistics(r), tol, max_iter)))
        if n_starts:
            done += search(data, k, spec, problem, n_starts, rng, tol, ladder, max_iter)
        if extra:
            best = shortlist(problem, [problem.statistics(r) for r in extra])
            done += [("split", polish(problem, S, tol, max_iter)) for S in best[:SPLITS]]
        chosen = max(range(len(done)), key=lambda i: rank(done[i][1]))
        return _result(data, spec, problem, done, chosen)


def _responsibilities(data: Data, initial: Any, spec: Specification, k: int) -> np.ndarray:
    if isinstance(initial, np.ndarray):
        return initial
    if initial.k != k:
        raise DataError(f"initial has {initial.k} atoms, not {k}")
    return data.responsibilities(initial if spec.direction == "direct" else initial.inverse())


def _result(
    data: Data, spec: Specification, problem: Any, done: list[tuple[str, Found]], chosen: int
) -> LocatedFit:
    best = done[chosen][1]
    if best.parameters is None:
        raise DataError(
            "no start of EM reached a finite log-likelihood: rescale the columns or use fewer experts"
        )
    fitted = data.measure(problem, best.parameters)
    r = problem.responsibilities(best.parameters)
    w = np.ones(len(r)) if data.weights is None else data.weights
    p, D = data.u.shape[1], data.v.shape[1]
    return LocatedFit(
        measure=fitted if spec.direction == "direct" else fitted.inverse(),
        fitted=fitted,
        specification=spec,
        log_likelihood=best.value,
        status=best.status,
        n_iter=best.iterations,
        n_parameters=spec.n_parameters(problem.k, p, D),
        gradient_norm=best.mismatch,
        weight_sum=problem.weight_sum,
        mass=w @ r,
        entropy=float(-(w @ (r * np.log(np.maximum(r, 1e-300))).sum(axis=1))),
        starts=Table(
            {
                "strategy": [name for name, _ in done],
                "log_likelihood": [f.value for _, f in done],
                "iterations": [f.iterations for _, f in done],
                "status": [str(f.status.kind) for _, f in done],
                "chosen": [i == chosen for i in range(len(done))],
            }
        ),
        history=Table(
            {"iteration": list(range(1, len(best.values) + 1)), "log_likelihood": list(best.values)}
        ),
    )


def em_once(x: np.ndarray, y: np.ndarray, start: LocatedMeasure) -> tuple[LocatedMeasure, float]:
    """One EM step from `start`, and the joint log-likelihood at `start`."""
    spec = Specification()
    data = Data.read(x, y, None, spec, start.k)
    problem = data.problem(spec, start.k)
    assert isinstance(problem, JointProblem)
    with one_blas_thread():
        phi, value = problem.em_step(data.phi_of(start))
    return data.measure(problem, phi), value

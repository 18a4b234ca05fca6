"""Located models of one number of experts or of several, from arrays or from rows that are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..search import Fit, Options, check_options, fit_path, fit_problem
from ..threads import one_blas_thread, thread_count
from .blocks import MOST, partitions
from .data import Data
from .measure import LocatedMeasure
from .mixture import LocatedFit, LocatedProblem
from .problem import JointProblem
from .specification import Specification
from .spread import Partition


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
    missing: str = "error",
    weights: Any = None,
    initial: LocatedMeasure | None = None,
    n_starts: int | None = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
    rank_by: str = "usable",
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
        "inverse" fits experts of x located by y (few parameters where x has many columns) and inverts them
        exactly.
    covariance : {"full", "diagonal", "isotropic", "blocks", "factors"}
        Sigma_i: of y about its expert (of x, in inverse regression). "blocks" learns the blocks where none
        are given.
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
    missing : {"error", "marginal"}
        "marginal" takes NaN in x and y: the likelihood is that of what was seen, with values missing at
        random. For experts of degree 1 without Student tails.
    weights : array-like of shape (n,), optional
    initial : LocatedMeasure, optional
        An informed start from x to y: the only one, unless `n_starts` is given too.
    n_starts : int, optional
        So many uninformed starts and no moves. By default the search goes on until the best optimum was found
        again and again, and fewer experts and simpler covariances are fitted first and started from.
    tol : float
        Largest mismatch between a moment of the data and of the model, per row, in standardised columns.
    max_iter : int, optional
        Iterations of the final polish.
    rank_by : {"usable", "likelihood"}
        What chooses among local maxima: the likelihood of fits whose components have rows enough for their
        parameters, or the likelihood alone.
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
    Nguyen, Nguyen, Chamroukhi and Forbes (arXiv 2104.02640 and 2104.08959); Deleforge, Forbes and Horaud
    (2015).
    """
    spec = Specification(
        direction, covariance, gate_covariance, tied, gate_tied, degree, rank, blocks, student, missing
    )
    data = Data.read(x, y, weights, spec, k, thread_count(n_jobs))
    auto = n_starts is None
    options = Options(
        n_starts="auto" if auto else n_starts, tol=tol, max_iter=max_iter, seed=seed, threads=data.threads,
        initial=() if initial is None else (initial,), only_initial=auto and initial is not None, nested=auto,
        rank_by=rank_by,
    )  # fmt: skip
    fits = fit_data(data, spec, [k], options)
    sound = [f for f in fits if f.status.usable] or fits
    return min(sound, key=lambda f: -2 * f.log_likelihood + f.n_parameters * np.log(f.weight_sum))


def fit_data(
    data: Data,
    spec: Specification,
    ks: Sequence[int],
    options: Options,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
    most: int = MOST,
) -> list[LocatedFit]:
    """Fits for each k of `ks`, in increasing order, as `search.fit_path` makes them.

    Where blocks are to be learned, every partition of the path of each k (at most `most` of them) is a fit,
    in increasing dimension.
    """
    check_options(options, min(ks))
    if not spec.learns_blocks:
        data.shape(spec, max(ks))  # refuses what does not fit the columns
    if spec.learns_blocks:
        learn = partial(partitions, data, most=most)
        return fit_partitions(data, ks, spec, options, learn, started, finished)

    def one(k: int, own: Options, below: Fit | None) -> Fit:
        return fit_problem(LocatedProblem(data, spec, k, options.rank_by), own, below)

    nested = options.nested and spec.nests and not options.only_initial
    return fit_path(one, ks, options, nested, started, finished)  # type: ignore[return-value]


def fit_measured(
    x: np.ndarray, y: np.ndarray, like: LocatedFit, options: Options, below: LocatedFit | None = None
) -> LocatedFit:
    """The specification and number of experts of the fit `like` on x (n, d), y (n, q), started from `below`
    too where it has one expert less."""
    data = Data.read(x, y, None, like.specification, like.k, options.threads)
    problem = LocatedProblem(data, like.specification, like.k, options.rank_by)
    nests = below is not None and below.k == like.k - 1 and like.specification.nests
    return fit_problem(problem, options, below if nests else None)  # type: ignore[return-value]


def fit_partitions(
    data: Data,
    ks: Sequence[int],
    spec: Specification,
    options: Options,
    chosen: Callable[[int, LocatedFit], Sequence[Sequence[Partition]]],
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> list[LocatedFit]:
    """Fits of the partitions that are `chosen` for each k after a look at the fit of diagonal covariances, in
    increasing dimension.

    Each starts from the one before it, so that log-likelihoods grow along the path.
    """
    diagonal = replace(spec, covariance="diagonal", blocks=None)
    out: list[LocatedFit] = []
    for k, previous in zip(ks, fit_data(data, diagonal, ks, options, started), strict=True):
        for blocks in chosen(k, previous):
            near = replace(options, initial=(data.responsibilities(previous.fitted),), only_initial=True)
            out += fit_data(data, replace(spec, blocks=blocks), [k], near, None, finished)
            if out[-1].status.usable:
                previous = out[-1]
    return out


def em_once(x: np.ndarray, y: np.ndarray, start: LocatedMeasure) -> tuple[LocatedMeasure, float]:
    """One EM step from `start`, and the joint log-likelihood at `start`."""
    spec = Specification()
    data = Data.read(x, y, None, spec, start.k)
    problem = data.problem(spec, start.k)
    assert isinstance(problem, JointProblem)
    with one_blas_thread():
        phi, value = problem.em_step(data.phi_of(start))
    return data.measure(problem, phi), value

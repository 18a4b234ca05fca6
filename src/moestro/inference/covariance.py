"""Covariance of the estimate: bread (inverse observed information) and meat (outer products of the
scores)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine import Order, make_engine, unit_scores
from ..errors import DataError
from ..problems import MixtureFit, fit_mixture
from ..rows import Rows
from ..search import Options
from ..solvers.coordinates import Objective
from ..solvers.diagnosis import FLAT, directions

LOADED = 0.05  # share of a null direction's largest entry from which a coefficient has no standard error
KINDS = ("observed", "sandwich", "bootstrap")


@dataclass(frozen=True)
class Covariance:
    """Covariance of theta in scaled coordinates.

    Attributes
    ----------
    matrix : ndarray of shape (P, P)
        Zero rows for entries that are held or not identified.
    identified : ndarray of bool, shape (P,)
        Entries with a standard error.
    kind : str
    experts : tuple of int
        Experts whose entries load on directions without information.
    """

    matrix: np.ndarray
    identified: np.ndarray
    kind: str
    experts: tuple[int, ...]


def covariance(
    fit: MixtureFit, rows: Rows, kind: str = "observed", engine: str = "auto", threads: int = 1
) -> Covariance:
    """Covariance of `fit` on its `rows`.

    "observed" inverts the exact Hessian; "sandwich" is A^-1 B A^-1 with B the sum of the outer products of
    the weighted scores of rows, or of groups where rows share their expert, valid when the model is only an
    approximation. Directions in which the observed
    information is singular (relative to EM's complete-data information) are taken out, and the entries that
    load on them are marked as not identified.
    """
    if kind not in ("observed", "sandwich"):
        raise DataError(f"cov={kind!r} is unknown: choose one of {', '.join(KINDS)}")
    c = fit.coordinates
    objective = Objective(make_engine(fit.model, rows, engine, threads), c)
    phi = c.collapse(fit.theta)
    e = objective.evaluate(phi, Order.CURVATURE)
    if abs(e.value - fit.log_likelihood) > 1e-6 * (1 + abs(fit.log_likelihood)):
        raise DataError("the rows are not those of the fit: the data were changed since, fit again")
    found = directions(objective, phi, e)
    kept, size, null = found.kept, found.size, found.values <= FLAT
    loaded = np.zeros(c.size, dtype=bool)
    if null.any():
        part = np.abs(found.null)
        loaded = (part >= LOADED * part.max(axis=0)).any(axis=1)
    identified = kept & ~loaded
    inverse = np.zeros((c.size, c.size))
    good = found.vectors[:, ~null] / np.sqrt(found.values[~null])
    inverse[np.ix_(kept, kept)] = good @ good.T
    inverse /= np.outer(size, size)
    if kind == "sandwich":
        inverse = inverse @ _meat(objective, fit, rows, engine, threads) @ inverse
    matrix = np.zeros((fit.model.size, fit.model.size))
    used = np.flatnonzero(c.owner >= 0)
    owner = c.owner[used]
    matrix[np.ix_(used, used)] = (inverse * np.outer(identified, identified))[np.ix_(owner, owner)]
    marked = np.zeros(fit.model.size, dtype=bool)
    marked[used] = identified[owner]
    part_of = fit.model.part_of()
    lost = np.zeros(fit.model.size, dtype=bool)
    lost[used] = ~identified[owner]
    return Covariance(matrix, marked, kind, tuple(sorted({int(i) for i in part_of[lost]})))


def _meat(objective: Objective, fit: MixtureFit, rows: Rows, engine: str, threads: int) -> np.ndarray:
    """Sum of the outer products of the weighted scores of the units, rows or groups, in phi."""
    model = fit.model
    out = np.zeros((model.size, model.size))
    for part in rows.parts(16384):
        scores = make_engine(model, part, engine, threads).rowwise(fit.theta, scores=True).scores
        assert scores is not None
        full = unit_scores(model, fit.theta, next(part.blocks(part.n)), scores)
        out += full.T @ full
    return objective.coordinates.sum_matrix(out)


def bootstrap(
    fit: MixtureFit,
    rows: Rows,
    replicates: int = 100,
    seed: int | None = None,
    engine: str = "auto",
    threads: int = 1,
) -> Covariance:
    """Covariance over refits with exponential weights (Bayesian bootstrap), each started at the estimate.

    Labels stay matched because every refit begins in the basin of the estimate.
    """
    if replicates < 2:
        raise DataError(f"bootstrap needs at least 2 replicates, got {replicates}")
    rng = np.random.default_rng(seed)
    w = np.ones(rows.n_units) if rows.w is None else rows.w
    options = Options(
        engine=engine, threads=threads, n_starts=1, tol=1e-6, initial=(fit.theta,), only_initial=True
    )
    draws = []
    for _ in range(replicates):
        again = fit_mixture(fit.model, replace(rows, w=w * rng.exponential(size=rows.n_units)), options)
        draws.append(again.theta)
    matrix = np.atleast_2d(np.cov(np.array(draws), rowvar=False))
    used = fit.coordinates.owner >= 0
    return Covariance(matrix, used, "bootstrap", ())

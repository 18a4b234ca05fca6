"""Covariance of the estimate: bread (inverse observed information) and meat (outer products of the
scores)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..design import Units
from ..engine import Order, make_engine, unit_scores
from ..errors import DataError, quiet
from ..measure import relevelled, to_user, user_jacobian
from ..problems import MixtureFit
from ..rows import Rows
from ..solvers import StatusKind
from ..solvers.coordinates import Objective
from ..solvers.diagnosis import FLAT, directions
from .clusters import Clusters, Joint, Meat
from .estimates import PLACE, REAL, VAGUE, Estimates, Term, among
from .refits import deviations
from .request import OBSERVED, Request, joint, of_groups
from .shares import average_gate, share_errors
from .survey import Survey

LOADED = 0.05  # share of a null direction's largest entry from which a coefficient has no standard error
# Experts whose coefficients a few rows make: a z value of thousands would only count those rows.
ILL = {StatusKind.THIN: "thin", StatusKind.COLLAPSED: "collapsed"}


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
    draws : ndarray of shape (B, P) or None
        theta of each refit.
    shares : ndarray of shape (2, k) or None
        The experts' shares of the units, see `shares`, and their standard errors, NaN where there is none.
    failed : int
        Refits that were not usable, and are not among the draws.
    correction : str
        Of small samples: a name of `CORRECTIONS`, or "".
    """

    matrix: np.ndarray
    identified: np.ndarray
    kind: str
    experts: tuple[int, ...]
    draws: np.ndarray | None = None
    shares: np.ndarray | None = None
    failed: int = 0
    correction: str = ""

    @property
    def vague(self) -> np.ndarray:
        """Boolean (P,): parameters whose standard error is there, and enormous on scaled columns: an interval
        is wider than twenty units of a linear predictor for each standard deviation of its column."""
        return self.identified & (np.sqrt(np.maximum(np.diag(self.matrix), 0.0)) > VAGUE)

    def deviations(self, draws: np.ndarray) -> np.ndarray:
        """R (m, B) with R R' the covariance of numbers (B, m) of the refits."""
        return deviations(self.kind, draws)


def covariance(
    fit: MixtureFit, rows: Rows, request: Request = OBSERVED, engine: str = "auto", threads: int = 1
) -> Covariance:
    """Covariance of `fit` on its `rows`, of a kind in `request.FORMULAS`.

    "observed" inverts the exact Hessian; "expected" the expected information, of one expert; "sandwich" is
    A^-1 B A^-1 with B the sum of the outer products of the weighted scores of rows, or of groups where rows
    share their expert, valid when the model is only an approximation; "cluster" sums the scores of each
    cluster first, see `Clusters`, and "survey" those of primary units, see `Survey`; small samples have
    `request.CORRECTIONS`. Directions in which the information is singular (relative to EM's complete-data
    information) are taken out, and the entries that load on them are marked as not identified.
    """
    kind, joint = request.kind, joint_of(rows, request)
    if kind == "expected" and fit.model.k > 1:
        raise DataError("the expected information of several experts has no closed form: use cov='observed'")
    c = fit.coordinates
    objective = Objective(make_engine(fit.model, rows, engine, threads), c)
    phi = c.collapse(fit.theta)
    e = objective.evaluate(phi, Order.CURVATURE)
    if abs(e.value - fit.log_likelihood) > 1e-6 * (1 + abs(fit.log_likelihood)):
        raise DataError("the rows are not those of the fit: the data were changed since, fit again")
    if kind == "expected":
        assert e.information is not None
        e = replace(e, curvature=-e.information)
    try:
        found = directions(objective, phi, e)
        if np.isnan(found.values).any():  # what LAPACK makes of a Hessian beyond doubles
            raise np.linalg.LinAlgError
    except np.linalg.LinAlgError as error:
        raise DataError(
            "the curvature of the log-likelihood is beyond double precision, so that there are no standard "
            "errors: rescale the columns"
        ) from error
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
    if kind not in ("observed", "expected"):
        inverse = inverse @ _meat(objective, fit, rows, engine, threads, joint) @ inverse
        units = rows.units_present
        inverse *= request.small_sample(units, fit.n_parameters)
    matrix = c.map.covariance(inverse * np.outer(identified, identified))
    lost = abs(c.map.A) @ (~identified).astype(float) > 0
    matrix[lost], matrix[:, lost] = 0.0, 0.0
    shares = _shares(fit, rows, matrix, ~lost)
    experts = c.experts_of(~identified)
    return Covariance(matrix, c.free & ~lost, kind, experts, shares=shares, correction=request.corrected)


def _shares(fit: MixtureFit, rows: Rows, matrix: np.ndarray, known: np.ndarray) -> np.ndarray:
    errors = share_errors(fit.model, fit.theta, rows, matrix, known)
    return np.stack([average_gate(fit.model, fit.theta, rows), errors])


def _meat(
    objective: Objective, fit: MixtureFit, rows: Rows, engine: str, threads: int, joint: Joint | None
) -> np.ndarray:
    """Sum of the outer products of the weighted scores of rows, or of what is `joint`, in phi."""
    meat = Meat(fit.model.size, joint)
    for scores in row_scores(fit, rows, engine, threads):
        meat.add(scores)
    return objective.coordinates.sum_matrix(meat.total())


def row_scores(fit: MixtureFit, rows: Rows, engine: str, threads: int) -> Iterator[np.ndarray]:
    """Weighted scores (b, P) of consecutive units, rows or groups, in theta, one block after the other."""
    model = fit.model
    for part in rows.parts(16384):
        scores = make_engine(model, part, engine, threads).rowwise(fit.theta, scores=True).scores
        assert scores is not None
        yield unit_scores(model, fit.theta, next(part.blocks(part.n)), scores)


def joint_of(rows: Rows, request: Request) -> Clusters | Survey | None:
    """What a request puts together, clusters or primary units; None of rows, or groups, alone."""
    if request.cluster is None and request.kind not in ("cluster", "survey"):
        return None
    if rows.groups is not None:
        request = of_groups(request, rows.groups)
    return joint(request, rows.n_units, rows.w)


def mixture_estimates(fit: MixtureFit, units: Units, found: Covariance | None = None) -> Estimates:
    """In the user's units, with the notes of a coefficient table."""
    theta = relevelled(fit.model, to_user(fit.model, units, fit.theta))
    names, present = (
        fit.model.names(units.gate_names, units.expert_names, units.predictors(fit.model.family.ordered)),
        fit.model.present,
    )
    free = fit.model.size - fit.model.k * fit.model.family.nuisances
    terms = tuple(Term(*name, kind=REAL if i < free else PLACE) for i, name in enumerate(names))
    held = ~fit.coordinates.free
    # A gate's weights do not change when all biases move together, so one of them stays at zero.
    zero = np.zeros(len(held), dtype=bool)
    zero[: fit.model.gate_size] = fit.model.gate.held(fit.model.k, fit.model.q)
    jacobian = np.zeros((0, 0))  # (P, P), and P may be large where nothing asks for it
    if found is not None or fit.model.constraints.held:
        jacobian = relevelled(fit.model, user_jacobian(fit.model, units))
    fixed = _fixed(fit, jacobian) & ~zero
    absent = [
        "at zero" if z else "fixed" if f else "aliased" if h else ""
        for z, f, h in zip(zero, fixed, held, strict=True)
    ]
    zero |= fixed
    if found is None:
        return Estimates(terms, theta, None, tuple(absent), zero).of(present)
    # An intercept in the user's units mixes all coefficients of its row: it needs all of them.
    needs = (jacobian != 0) & ~held[None, :]
    known = ~(needs & ~found.identified[None, :]).any(axis=1) & ~held
    ill = ILL.get(fit.status.kind, "")
    lost = np.array([bool(ill) and t.part == "expert" and t.component in fit.status.experts for t in terms])
    with quiet():
        matrix = jacobian @ found.matrix @ jacobian.T
    seen = np.isfinite(np.diag(matrix))  # not where the unit of a column makes a variance overflow
    notes = [
        word or (ill if gone else "singular" if not ok else "" if there else "overflow")
        for word, ok, gone, there in zip(absent, known, lost, seen, strict=True)
    ]
    matrix = among(np.array([not note for note in notes]), matrix)
    draws = None
    if found.draws is not None:
        draws = np.array([relevelled(fit.model, to_user(fit.model, units, t)) for t in found.draws])
    return Estimates(terms, theta, matrix, tuple(notes), zero, found.kind, draws).of(present)


def _fixed(fit: MixtureFit, jacobian: np.ndarray) -> np.ndarray:
    """Boolean (P,): parameters in the user's units that the model holds at a value of the user's."""
    C = fit.model.constraints
    if not C.held:
        return np.zeros(fit.model.size, dtype=bool)
    moved = np.abs(fit.coordinates.map.gradient(jacobian.T).T).max(axis=1, initial=0.0)
    size = np.abs(jacobian).max(axis=1)
    return (size != 0) & (moved <= 1e-9 * np.where(size > 0, size, 1.0))  # size zero: aliased

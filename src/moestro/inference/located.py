"""Covariance of the estimates of a located model, in the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from ..errors import DataError, quiet
from ..located import LocatedFit, LocatedMeasure
from ..located.checks import columns_of
from ..located.holes import has_holes
from ..located.spread import Structure
from ..located.statistics import NU_BOX, Shape
from ..solvers import StatusKind
from .atoms import Atom, sides
from .delta import root_of
from .estimates import VAGUE, Estimates, among
from .louis import Information, information
from .refits import deviations
from .request import OBSERVED, Request, joint
from .terms import Terms

FLAT = 1e-6  # observed over complete-data information below which a direction is not identified
EMPTY = 1e-12  # the same for the complete data themselves: rotations of latent factors
# share of a parameter's gradient along directions without information from which it has no standard error
LOADED = 0.01
MOST = 3000  # parameters whose information is still formed
ILL = {StatusKind.COLLAPSED: "collapsed", StatusKind.EMPTY: "empty", StatusKind.THIN: "thin"}


@dataclass(frozen=True)
class LocatedCovariance:
    """Covariance of the parameters that `Terms` lists.

    Attributes
    ----------
    matrix : ndarray of shape (U, U)
        Zero rows for parameters without a standard error.
    notes : tuple of str
        Why a parameter has none; empty where it has one.
    kind : str
    root : ndarray of shape (P, r) or None
        R R' is the covariance in the blocks of the atoms; a file does not keep it.
    draws : tuple of LocatedMeasure or None
        Of the refits.
    vague : tuple of int
        Experts with an enormous standard error, in the units of their atoms.
    failed : int
        Refits that were not usable, and are not among the draws.
    correction : str
        Of small samples: a name of `CORRECTIONS`, or "".
    """

    matrix: np.ndarray
    notes: tuple[str, ...]
    kind: str
    root: np.ndarray | None = None
    draws: tuple[LocatedMeasure, ...] | None = None
    vague: tuple[int, ...] = ()
    failed: int = 0
    correction: str = ""

    def deviations(self, draws: np.ndarray) -> np.ndarray:
        """R (m, B) with R R' the covariance of numbers (B, m) of the refits."""
        return deviations(self.kind, draws)


def located_covariance(
    fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None, request: Request = OBSERVED
) -> LocatedCovariance:
    """Covariance of a fit on its rows x (n, d), y (n,) or (n, q), weights w (n,).

    "observed" inverts the exact observed information, "sandwich" is A^-1 B A^-1 with B the sum of the outer
    products of the rows' weighted scores, "cluster" and "survey" the same of clusters and of primary units,
    see `Clusters` and `Survey`. All are carried to the user's parameters by the delta method. A parameter
    that moves along directions without information (relative to that of the complete data), or with a
    coordinate at its bound, has no standard error.
    """
    kind = request.kind
    if kind == "expected":
        raise DataError("located experts have no expected information in closed form: use cov='observed'")
    x, y, weights = columns_of(x, y, w, fit.specification.missing == "marginal")
    if has_holes(x, y):
        raise DataError(
            "rows with missing values have no information matrix here: use cov='bootstrap', which refits"
        )
    clusters = joint(request, len(x), weights)
    u, v, shape = sides(fit, x, y)
    _refuse_many(fit, shape, u.shape[1], v.shape[1])
    atoms = [Atom.of(fit.fitted, e, shape) for e in range(fit.k)]
    found = information(atoms, u, v, np.ones(len(u)) if weights is None else weights, clusters)
    _refuse_other(found, fit)
    terms = Terms.of(fit.measure, fit.specification)
    ill = ILL.get(fit.status.kind, "")
    lost = fit.status.experts if ill else ()
    link, score_curvature, bound = free_of(atoms, shape, found.gradient)
    used = np.concatenate([np.r_[True, np.full(a.size - 1, e not in lost)] for e, a in enumerate(atoms)])
    free = ~bound & (link[used] != 0).any(axis=0)
    at_user = terms.jacobian(atoms, fit.specification.direction == "inverse") @ link
    complete, observed = (link.T @ A @ link - score_curvature for A in (found.complete, found.observed))
    root, null = _root(complete[np.ix_(free, free)], observed[np.ix_(free, free)])
    size = _units(complete)
    own = at_user[:, free]
    for scale in (1.0, size[free]):  # each row at most one in size: divided, and squared below
        own = own / scale
        own = own / np.maximum(np.abs(own).max(axis=1, keepdims=True, initial=0.0), 1e-300)
    singular = np.linalg.norm(own @ null, axis=1) > LOADED * np.maximum(np.linalg.norm(own, axis=1), 1e-300)
    half = None
    if kind != "observed":
        used = len(x) if weights is None else int(np.count_nonzero(weights))
        middle = found.meat * request.small_sample(used, fit.n_parameters)
        half = root_of(root.T @ (link.T @ middle @ link)[np.ix_(free, free)] @ root)
    with quiet():  # of units beyond double precision, which are noted
        known = at_user[:, free] @ root
        if half is not None:
            root, known = root @ half, known @ half
        matrix = known @ known.T
    held, seen = (at_user[:, bound] != 0).any(axis=1), np.isfinite(np.diag(matrix))
    notes = [
        ill if t.component in lost else "at bound" if b else "singular" if s else "" if there else "overflow"
        for t, b, s, there in zip(listed(terms), held, singular, seen, strict=True)
    ]
    kept = np.array([not note for note in notes])
    root = link[:, free] @ root
    wide = np.sqrt((root**2).sum(axis=1)) > VAGUE
    ends = np.cumsum([a.size for a in atoms])
    vague = tuple(
        e for e, end in enumerate(ends) if e not in lost and wide[end - atoms[e].size + 1 : end].any()
    )
    return LocatedCovariance(
        among(kept, matrix), tuple(notes), kind, root, vague=vague, correction=request.corrected
    )


def located_estimates(
    fit: LocatedFit,
    terms: Terms,
    columns: Sequence[str],
    responses: Sequence[str],
    found: LocatedCovariance | None = None,
) -> Estimates:
    """In the user's units, with the notes of a coefficient table."""
    names, values = tuple(terms.names(columns, responses)), terms.values(fit.measure)
    fixed = np.zeros(len(names), dtype=bool)
    if found is None:
        return Estimates(names, values, None, ("",) * len(names), fixed)
    kept = np.array([not note for note in found.notes])
    matrix = among(kept, found.matrix)
    draws = None if found.draws is None else np.array([terms.values(m) for m in found.draws])
    return Estimates(names, values, matrix, found.notes, fixed, found.kind, draws)


def listed(terms: Terms) -> list:
    """The terms of a table, without the names of columns."""
    return terms.names([""] * terms.d, [""] * terms.q)


def _refuse_other(found: Information, fit: LocatedFit) -> None:
    """Refuse sums over the rows that are no numbers, or not those of the fit."""
    if not all(np.isfinite(a).all() for a in (found.value, found.gradient, found.complete, found.observed)):
        raise DataError(
            "the curvature of the log-likelihood is beyond double precision, so that there are no standard "
            "errors: rescale the columns"
        )
    if abs(found.value - fit.log_likelihood) > 1e-6 * (1 + abs(fit.log_likelihood)):
        if fit.status.kind == StatusKind.COLLAPSED:
            raise DataError(
                "a variance collapsed: at its floor no sum over the rows is exact, and there are no standard "
                "errors. Use fewer experts, or a tied covariance"
            )
        raise DataError("the rows are not those of the fit: the data were changed since, fit again")


def _refuse_many(fit: LocatedFit, shape: Shape, p: int, D: int) -> None:
    entries = sum(
        len(s.tangent(e, np.eye(n)).i) for s, n in ((shape.gate, p), (shape.noise, D)) for e in range(fit.k)
    )
    count = entries + fit.k * (p + D)
    if count > MOST:
        raise DataError(
            f"the information of {count} parameters is too large to be formed (at most {MOST}): "
            "use cov='bootstrap'"
        )


def free_of(atoms: list[Atom], shape: Shape, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free parameters behind the atoms' blocks: derivatives (P, F), the curvature of the map along the
    gradient (F, F), which are at a bound.

    The last log-weight follows from the others; tied covariances share their parameters.
    """
    P = sum(a.size for a in atoms)
    columns: list[np.ndarray] = []
    curvatures: list[np.ndarray] = []
    bound: list[np.ndarray] = []

    def add(jacobian: np.ndarray, score_curvature: np.ndarray, held: np.ndarray) -> None:
        columns.append(jacobian)
        curvatures.append(score_curvature)
        bound.append(held)

    def alone(rows: np.ndarray, held: bool = False) -> None:
        jacobian = np.zeros((P, len(rows)))
        jacobian[rows, np.arange(len(rows))] = 1.0
        add(jacobian, np.zeros((len(rows), len(rows))), np.full(len(rows), held))

    starts = np.cumsum([0, *(a.size for a in atoms[:-1])])
    alone(starts[:-1])
    for a, start in zip(atoms, starts, strict=True):
        for name in ("c", "B"):
            alone(np.arange(P)[start:][a.places[name]])
        if a.nu is not None:
            low, high = NU_BOX
            alone(np.array([start + a.size - 1]), not 1.001 * low < a.nu < high / 1.001)
    structures: list[tuple[Structure, str, list]] = [
        (shape.gate, "gamma", [a.located for a in atoms]),
        (shape.noise, "sigma", [a.expert for a in atoms]),
    ]
    for structure, name, tangents in structures:
        for group in [range(len(atoms))] if structure.tied else [[e] for e in range(len(atoms))]:
            m = tangents[group[0]].jacobian.shape[1]
            jacobian, score_curvature = np.zeros((P, m)), np.zeros((m, m))
            for e in group:
                rows = np.arange(P)[starts[e] :][atoms[e].places[name]]
                jacobian[rows] = tangents[group[0]].jacobian
                score_curvature += tangents[group[0]].score_curvature(slope[rows])
            add(jacobian, score_curvature, tangents[group[0]].held)
    return np.concatenate(columns, axis=1), np.asarray(block_diag(*curvatures)), np.concatenate(bound)


def _units(complete: np.ndarray) -> np.ndarray:
    """Root of the diagonal's size, one where nothing is known; below zero it may be far from a maximum."""
    known = np.abs(np.diag(complete))
    return np.sqrt(np.where(known > 1e-300, known, 1.0))


def _root(complete: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R with R R' the inverse of `observed` where it is regular, and the directions where it is not, in units
    of `complete`'s diagonal."""
    size = _units(complete)
    values, vectors = np.linalg.eigh(complete / np.outer(size, size))
    some = values > EMPTY * max(float(values[-1]), 1e-300) if len(values) else values > 0
    white = vectors[:, some] / np.sqrt(values[some])
    shares, turned = np.linalg.eigh(white.T @ (observed / np.outer(size, size)) @ white)
    null = np.concatenate([vectors[:, ~some], np.linalg.qr(white @ turned[:, shares <= FLAT])[0]], axis=1)
    good = white @ turned[:, shares > FLAT] / np.sqrt(shares[shares > FLAT])
    return good / size[:, None], null

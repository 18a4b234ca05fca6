"""What each row does to the estimates: one step of Newton's method without it."""

from __future__ import annotations

import numpy as np

from ..design import Units
from ..errors import DataError
from ..located import LocatedFit
from ..located.checks import columns_of
from ..measure import relevelled, user_jacobian
from ..problems import MixtureFit
from ..rows import Rows
from .atoms import Atom, sides
from .covariance import Covariance, row_scores
from .located import LocatedCovariance
from .louis import information
from .terms import Terms


def influence(
    fit: MixtureFit,
    units: Units,
    rows: Rows,
    found: Covariance,
    engine: str = "auto",
    threads: int = 1,
) -> np.ndarray:
    """theta without unit i minus theta, (units, U), in the user's units: about -J A^-1 s_i (Cook, 1986).

    A is the observed information, whose inverse `found` holds, s_i the weighted score of the unit, J the
    derivatives of the user's parameters. Columns are zero where a parameter has no standard error.
    """
    J = relevelled(fit.model, user_jacobian(fit.model, units))[fit.model.present]
    bread = -found.matrix @ J.T
    return np.concatenate([scores @ bread for scores in row_scores(fit, rows, engine, threads)])


def located_influence(
    fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None, found: LocatedCovariance
) -> np.ndarray:
    """The same of located experts, (n, U): -J R R' s_i, with R R' = A^-1 in the blocks of the atoms."""
    if found.root is None:
        raise DataError("a file does not keep what influence needs: fit again")
    x, y, weights = columns_of(x, y, w)
    u, v, shape = sides(fit, x, y)
    atoms = [Atom.of(fit.fitted, e, shape) for e in range(fit.k)]
    J = Terms.of(fit.measure, fit.specification).jacobian(atoms, fit.specification.direction == "inverse")
    root, kept = found.root, np.array([not note for note in found.notes])
    bread = -root @ np.where(kept[:, None], J @ root, 0.0).T
    parts: list[np.ndarray] = []
    information(
        atoms, u, v, np.ones(len(u)) if weights is None else weights,
        tell=lambda scores: parts.append(scores @ bread),
    )  # fmt: skip
    return np.concatenate(parts)


def accelerations(changes: np.ndarray) -> np.ndarray:
    """a = sum u^3 / (6 (sum u^2)^1.5) of each column, u the influence of a row (Efron, 1987): of BCa
    intervals; zero where no row has any."""
    size = np.abs(changes).max(axis=0, initial=0.0)
    u = -changes / np.where(size > 0, size, 1.0)
    second = (u**2).sum(axis=0)
    return np.where(size > 0, (u**3).sum(axis=0) / (6.0 * np.where(size > 0, second, 1.0) ** 1.5), 0.0)

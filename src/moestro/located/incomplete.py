"""What a located measure says of rows with missing values: see `holes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from . import holes

if TYPE_CHECKING:
    from .measure import LocatedMeasure


def log_density(measure: LocatedMeasure, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """Of what each row of x (n, d), and of y (n, q) where it is given, has, in each atom, (n, k)."""
    _refuse(measure)
    if y is None:
        return holes.log_density(measure.means, measure.covariances, x)
    return holes.log_density(*measure.joint(), np.concatenate([x, y], axis=1))


def expected(measure: LocatedMeasure, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[Y | what x has, atom] (n, k, q) and the covariance of Y there (n, k, q, q): Sigma, and what the
    missing columns of x add, A C A' with C their covariance given the others."""
    _refuse(measure)
    filled, spread = holes.completed(measure.means, measure.covariances, x)
    A = measure.slopes
    mean = np.einsum("kqd,nkd->nkq", A, filled) + measure.intercepts
    return mean, measure.noise + A @ spread @ np.swapaxes(A, 1, 2)


def _refuse(measure: LocatedMeasure) -> None:
    if measure.degree > 1:
        raise DataError(
            f"experts of degree {measure.degree} have no law in closed form where a value of x is missing"
        )
    if measure.degrees_of_freedom is not None:
        raise DataError("measures with Student tails take no rows with missing values")

"""Wasserstein distances between mixing measures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .asked import number
from .voronoi import check_alike, distances


def wasserstein(measure: Any, truth: Any, r: float = 1.0) -> float:
    """W_r between mixing measures with their weights normalised, atoms at Euclidean distance.

    .. math:: W_r^r = \\min_{\\pi} \\sum_{ij} \\pi_{ij} \\|\\omega_i - \\omega^*_j\\|^r

    over couplings pi of the two sets of weights: a linear programme, solved exactly.

    Parameters
    ----------
    measure, truth : MixingMeasure or LocatedMeasure
    r : float
        At least 1.
    """
    from scipy.optimize import linprog

    r = number("r", r, 1.0)
    check_alike(measure, truth)
    a, b = _weights(measure), _weights(truth)
    cost = distances(measure.atoms(), truth.atoms())
    scale = float(cost.max()) or 1.0  # powers of r stay in range
    cost = (cost / scale) ** r
    rows = np.kron(np.eye(len(a)), np.ones(len(b)))
    columns = np.kron(np.ones(len(a)), np.eye(len(b)))
    found = linprog(cost.ravel(), A_eq=np.vstack([rows, columns[:-1]]), b_eq=np.r_[a, b[:-1]], method="highs")
    if not found.success:
        raise DataError(f"no transport plan was found: {found.message}")
    return scale * float(max(found.fun, 0.0)) ** (1.0 / r)


def _weights(measure: Any) -> np.ndarray:
    w = (
        np.exp(measure.log_weights - measure.log_weights.max())
        if hasattr(measure, "log_weights")
        else measure.weights
    )
    return w / w.sum()

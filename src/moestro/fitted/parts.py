"""What the files of all models share: how a fit ended, its tables, the evidence of its search, symmetric
matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import number, numbers, sentence, whole
from ..search import Evidence, Fit
from ..solvers import Status, StatusKind
from .values import encode, table

NUMBERS = {"log_likelihood": -np.inf, "weight_sum": np.finfo(float).tiny, "entropy": -np.inf}  # at least
MOST = 10**6  # experts, iterations: no fit has more
ASYMMETRY = 1e-6  # between two entries that should be one, relative to the roots of their diagonal entries


def fit_to_dict(fit: Fit) -> dict[str, Any]:
    """What every fit says of itself, as JSON data."""
    return {
        **{name: float(getattr(fit, name)) for name in NUMBERS},
        "status": {
            "kind": fit.status.kind.value,
            "sentence": fit.status.sentence,
            "experts": list(fit.status.experts),
        },
        "n_iter": fit.n_iter,
        "n_parameters": fit.n_parameters,
        "mass": fit.mass.tolist(),
        "starts": {name: encode(list(cells), "starts") for name, cells in fit.starts.columns.items()},
        "history": {name: encode(list(cells), "history") for name, cells in fit.history.columns.items()},
        "evidence": None if fit.evidence is None else fit.evidence.to_dict(),
    }


def fit_from_dict(data: dict[str, Any], k: int) -> dict[str, Any]:
    """Inverse of `fit_to_dict`, as keyword arguments of a fit of k experts, but for `n_parameters`: what the
    model itself counts."""
    status, evidence = data["status"], data.get("evidence")
    return {
        **{name: number(data[name], name, low) for name, low in NUMBERS.items()},
        "status": Status(
            StatusKind(status["kind"]),
            sentence(status["sentence"], "status"),
            tuple(whole(e, "expert", 0, k - 1) for e in status["experts"]),
        ),
        "n_iter": whole(data["n_iter"], "number of iterations", 0, 2**53),
        "mass": numbers(data["mass"], (k,), "masses", 0.0),
        "starts": table(data["starts"]),
        "history": table(data["history"]),
        "evidence": None if evidence is None else Evidence.from_dict(evidence),
    }


def triangle(matrix: np.ndarray) -> list[float]:
    """The lower triangle of a symmetric matrix, row by row, the diagonal included."""
    return matrix[np.tril_indices(len(matrix))].tolist()


def from_triangle(values: Any, size: int) -> np.ndarray:
    """Inverse of `triangle`, of a covariance of `size` parameters."""
    lower = numbers(values, (size * (size + 1) // 2,), f"covariance of {size} parameters")
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = lower
    matrix = matrix + np.tril(matrix, -1).T
    if (np.diag(matrix) < 0).any():
        raise DataError("the model file has a damaged covariance: a variance is negative")
    return matrix


def is_symmetric(matrix: np.ndarray) -> bool:
    """Whether a covariance (n, n) is symmetric to rounding, which is relative to its variances: an entry near
    zero says nothing."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    return bool((np.abs(matrix - matrix.T) <= ASYMMETRY * np.outer(size, size)).all())


def agrees(what: str, found: int, expected: int) -> None:
    """Refuse a file that contradicts itself."""
    if found != expected:
        raise DataError(f"the model file has {found} {what}, expected {expected}")

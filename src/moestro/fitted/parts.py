"""What the files of all models share: how a fit ended, its tables, the evidence of its search, symmetric
matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..search import Evidence, Fit
from ..solvers import Status, StatusKind
from ..tables import Table
from .values import decode, encode

NUMBERS = ("log_likelihood", "weight_sum", "entropy")
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
        **{name: float(finite(data[name], (), name)) for name in NUMBERS},
        "status": Status(
            StatusKind(status["kind"]), str(status["sentence"]), tuple(int(e) for e in status["experts"])
        ),
        "n_iter": int(data["n_iter"]),
        "mass": finite(data["mass"], (k,), "masses"),
        "starts": _table(data["starts"]),
        "history": _table(data["history"]),
        "evidence": None if evidence is None else Evidence.from_dict(evidence),
    }


def triangle(matrix: np.ndarray) -> list[float]:
    """The lower triangle of a symmetric matrix, row by row, the diagonal included."""
    return matrix[np.tril_indices(len(matrix))].tolist()


def from_triangle(values: Any, size: int) -> np.ndarray:
    """Inverse of `triangle`, of a covariance of `size` parameters."""
    matrix, lower = np.zeros((size, size)), np.array(values, dtype=float)
    if lower.shape != (size * (size + 1) // 2,) or not np.isfinite(lower).all():
        raise DataError(f"the model file has a damaged covariance of {size} parameters")
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


def finite(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """`values` as finite numbers of this shape."""
    out = np.array(values, dtype=float)
    if out.shape != shape or not np.isfinite(out).all():
        raise DataError(f"the model file's {what} must be finite numbers of shape {shape}")
    return out


def agrees(what: str, found: int, expected: int) -> None:
    """Refuse a file that contradicts itself."""
    if found != expected:
        raise DataError(f"the model file has {found} {what}, expected {expected}")


def _table(data: dict[str, list[Any]]) -> Table:
    if len({len(cells) for cells in data.values()}) > 1:
        raise DataError("a table in the model file has columns of unequal length")
    return Table({str(name): decode(cells) for name, cells in data.items()})

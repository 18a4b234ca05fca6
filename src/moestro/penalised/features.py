"""Columns that are scaled where they are read: a dense or sparse matrix is never copied whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..design import Scaling
from ..errors import DataError

BLOCK = 8192


@dataclass(frozen=True)
class Features:
    """Scaled columns (x - center) * inv_scale of x (n, d); a sparse x is not centred, its intercepts take that up.

    Attributes
    ----------
    x : ndarray or scipy.sparse array of shape (n, d)
    scaling : Scaling
        Constant columns have inv_scale 0. Columns that repeat others are kept: a penalty chooses among them.
    """

    x: Any
    scaling: Scaling

    @classmethod
    def of(cls, x: Any, names: tuple[str, ...], w: np.ndarray | None = None) -> Features:
        """Weighted standard deviations one, and for dense columns means zero."""
        if sp.issparse(x):
            x = sp.csc_array(x)
            mean, deviation, reach = _sparse_moments(x, w)
            center = np.zeros_like(mean)
        else:
            mean, deviation, reach = _dense_moments(x, w)
            center = mean
        if not np.isfinite(deviation).all():
            j = int(np.flatnonzero(~np.isfinite(deviation))[0])
            raise DataError(f"column '{names[j]}' is too large for double precision: rescale it")
        constant = deviation <= 1e-13 * np.maximum(reach, 1e-287)
        inv = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
        aliased = tuple((int(j), "is constant") for j in np.flatnonzero(constant))
        return cls(x, Scaling(center, inv, aliased))

    @property
    def d(self) -> int:
        return self.x.shape[1]

    def columns(self, at: np.ndarray) -> np.ndarray:
        """Scaled columns `at`, dense, (n, len(at))."""
        part = self.x[:, at]
        part = part.toarray() if sp.issparse(part) else part
        return np.ascontiguousarray((part - self.scaling.center[at]) * self.scaling.inv_scale[at])

    def gradient(self, s: np.ndarray) -> np.ndarray:
        """Scaled columns' products with s (n, t), shape (d, t)."""
        out = np.asarray(self.x.T @ s) - self.scaling.center[:, None] * s.sum(axis=0)
        return out * self.scaling.inv_scale[:, None]

    def take(self, rows: np.ndarray) -> Features:
        """Some rows, with the same scaling."""
        x = sp.csc_array(sp.csr_array(self.x)[rows]) if sp.issparse(self.x) else self.x[rows]
        return Features(x, self.scaling)


def _dense_moments(x: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weights = np.ones(len(x)) if w is None else w
    total = weights.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        first = x[0] if len(x) else np.zeros(x.shape[1])
        mean = (
            first
            + sum(weights[i : i + BLOCK] @ (x[i : i + BLOCK] - first) for i in range(0, len(x), BLOCK))
            / total
        )
        square = sum(weights[i : i + BLOCK] @ (x[i : i + BLOCK] - mean) ** 2 for i in range(0, len(x), BLOCK))
        reach = np.abs(x).max(axis=0, initial=0.0)
    return mean, np.sqrt(square / total), reach


def _sparse_moments(x: Any, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = x.shape[0]
    weights = np.ones(n) if w is None else w
    total = weights.sum()
    mean = np.asarray(x.T @ weights) / total
    column = np.repeat(np.arange(x.shape[1]), np.diff(x.indptr))
    own = weights[x.indices]
    stored = np.bincount(column, weights=own, minlength=x.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.bincount(column, weights=own * (x.data - mean[column]) ** 2, minlength=x.shape[1])
        square += (total - stored) * mean**2  # the zeros that are not stored
    reach = np.zeros(x.shape[1])
    np.maximum.at(reach, column, np.abs(x.data))
    return mean, np.sqrt(np.maximum(square, 0.0) / total), reach

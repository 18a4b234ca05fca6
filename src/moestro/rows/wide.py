"""Rows with many columns, dense or sparse: columns are scaled where they are read, and no matrix is copied
whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..design import Design, Scaling, Units, fit_scaling
from ..design.scaling import LARGEST
from ..errors import DataError
from .order import MERGE_LIMIT, merge_rows, row_keys, shuffled
from .read import Scalable, check_units

BLOCK = 8192
SMALL = 2_000_000  # numbers up to which equal rows are looked for
HASHED = 12  # columns that tell rows apart where they are shuffled


@dataclass(frozen=True)
class Columns:
    """Scaled columns (x - center) * inv_scale of x (n, d); a sparse x is not centred, its intercepts take
    that up.

    Attributes
    ----------
    x : ndarray or scipy.sparse array of shape (n, d)
    scaling : Scaling
        Constant columns have inv_scale 0. Columns that repeat others are kept: a penalty chooses among them.
    """

    x: Any
    scaling: Scaling

    @classmethod
    def of(cls, x: Any, names: tuple[str, ...], w: np.ndarray | None = None) -> Columns:
        """Weighted standard deviations one, and for dense columns means zero."""
        w = np.ones(x.shape[0]) if w is None else w
        with np.errstate(over="ignore", invalid="ignore"):
            if sp.issparse(x):
                x = sp.csc_array(x)
                deviation, reach = _sparse_moments(x, w)
                center = np.zeros_like(deviation)
            else:
                center, deviation, reach = _dense_moments(x, w)
        large = np.flatnonzero(~(np.isfinite(deviation) & (np.abs(center) <= LARGEST)))
        if len(large):
            j = int(large[0])
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

    def take(self, rows: np.ndarray) -> Columns:
        """Some rows, with the same scaling."""
        x = sp.csc_array(sp.csr_array(self.x)[rows]) if sp.issparse(self.x) else self.x[rows]
        return Columns(x, self.scaling)


def _dense_moments(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = [slice(i, i + BLOCK) for i in range(0, len(x), BLOCK)]
    mean = x[0] + sum(w[i] @ (x[i] - x[0]) for i in at) / w.sum()
    square = sum(w[i] @ (x[i] - mean) ** 2 for i in at)
    return mean, np.sqrt(square / w.sum()), np.abs(x).max(axis=0, initial=0.0)


def _sparse_moments(x: Any, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    column, own, total = np.repeat(np.arange(x.shape[1]), np.diff(x.indptr)), w[x.indices], w.sum()
    mean = np.asarray(x.T @ w) / total
    square = np.bincount(column, weights=own * (x.data - mean[column]) ** 2, minlength=x.shape[1])
    stored = np.bincount(column, weights=own, minlength=x.shape[1])
    square += (total - stored) * mean**2  # the zeros that are not stored
    reach = np.zeros(x.shape[1])
    np.maximum.at(reach, column, np.abs(x.data))
    return np.sqrt(np.maximum(square, 0.0) / total), reach


@dataclass(frozen=True)
class WideRows:
    """Columns of the experts and of the gate, response and weights.

    Attributes
    ----------
    experts, gate : Columns
        One object where both sides read the same columns.
    y : ndarray of shape (n,)
        A number, or the index of a class as a float.
    w : ndarray of shape (n,) or None
    y_center, y_scale : float
        The response that experts see is ``(y - y_center) / y_scale``.
    """

    experts: Columns
    gate: Columns
    y: np.ndarray
    w: np.ndarray | None
    y_center: float = 0.0
    y_scale: float = 1.0

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def weights(self) -> np.ndarray:
        """Of each row, (n,)."""
        return np.ones(self.n) if self.w is None else self.w

    @property
    def scaled_y(self) -> np.ndarray:
        return (self.y - self.y_center) / self.y_scale

    def take(self, rows: np.ndarray) -> WideRows:
        """Some rows, with the same scaling."""
        experts = self.experts.take(rows)
        gate = experts if self.gate is self.experts else self.gate.take(rows)
        w = None if self.w is None else self.w[rows]
        return replace(self, experts=experts, gate=gate, y=self.y[rows], w=w)

    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
        """A random order of the rows, as `sample_rows`."""
        few = np.arange(min(self.experts.d, HASHED))
        return shuffled(row_keys([self.y, *self.experts.columns(few).T]), seed, most)


def read_wide(
    design: Design,
    x: Any,
    z: Any,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Scalable,
    response: str = "y",
    classes: tuple = (),
    merge: bool = True,
) -> tuple[WideRows, Units]:
    """`read` for many columns, dense or sparse.

    Parameters
    ----------
    x : ndarray or scipy.sparse array of shape (n, d)
        Never made dense: only the columns that carry slopes are.
    z : like x, or None
        Columns of the gate where they differ.
    merge : bool
        Leave out rows of weight zero, and write equal rows of small data once: a weight of two is then a
        repeated row to the bit.
    """
    x, z = (sp.csr_array(a) if sp.issparse(a) else a for a in (x, z))
    for part in (x, z):
        values = part.data if sp.issparse(part) else part
        if part is not None and not np.isfinite(values).all():
            raise DataError("the columns contain NaN or infinity: remove or fill those rows first")
    if merge:
        index, w = _distinct(x, z, y, w)
        x, z, y = x[index], None if z is None else z[index], y[index]
    experts = Columns.of(x, design.expert_names, w)
    gate = experts if z is None else Columns.of(z, design.gate_names, w)
    center, scale = 0.0, 1.0
    if family.scales_response:
        of_y = fit_scaling(y[:, None], (response,), w)
        center, scale = float(of_y.center[0]), float(of_y.scale[0])
        check_units(response, scale, design.expert_names, experts.scaling)
    names = design.expert_names, design.gate_names
    units = Units(experts.scaling, gate.scaling, *names, center, scale, response, classes)
    return WideRows(experts, gate, np.ascontiguousarray(y), w, center, scale), units


def _distinct(x: Any, z: Any, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
    """Rows to keep and their weights."""
    if len(y) <= MERGE_LIMIT and len(y) * x.shape[1] <= SMALL:
        dense = [a.toarray() if sp.issparse(a) else a for a in (x, z)]
        return merge_rows(dense[0], dense[1], y, w)
    if w is None or w.all():
        return slice(None), w
    kept = np.flatnonzero(w > 0)
    return kept, w[kept]

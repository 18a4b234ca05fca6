"""Centred and scaled columns: solving happens there, and people see their own units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError, quiet

BLOCK = 8192
LARGEST, SMALLEST = (
    1e300,
    1e-300,
)  # of a centre and a spread: a spread below the second has no reciprocal in double precision
ALIAS_TOLERANCE = 1e-10  # share of a column's variance left by the columns before it


@dataclass(frozen=True)
class Scaling:
    """The map x -> (x - center) * inv_scale of each column.

    Attributes
    ----------
    center, inv_scale : ndarray of shape (d,)
        ``inv_scale`` is 0 for a column that is aliased: it is held at zero and its coefficient is not
        estimated.
    aliased : tuple of (int, str)
        Columns that carry nothing new, each with the reason in words.
    """

    center: np.ndarray
    inv_scale: np.ndarray
    aliased: tuple[tuple[int, str], ...] = ()

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation of each column; 1 where the column is aliased."""
        used = self.inv_scale > 0
        return np.divide(1.0, self.inv_scale, out=np.ones_like(self.inv_scale), where=used)

    @property
    def used(self) -> np.ndarray:
        """Boolean (d,): columns whose coefficients are estimated."""
        return self.inv_scale > 0

    def take(self, columns: np.ndarray) -> Scaling:
        """Of some columns."""
        return Scaling(self.center[columns], self.inv_scale[columns])

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled columns with a leading column of ones, shape (n, d + 1)."""
        out = np.empty((x.shape[0], x.shape[1] + 1))
        out[:, 0] = 1.0
        np.subtract(x, self.center, out=out[:, 1:])
        out[:, 1:] *= self.inv_scale
        return out

    def to_user(self, coefficients: np.ndarray) -> np.ndarray:
        """Intercept and slopes (..., d + 1) of scaled columns, as those of the user's columns."""
        out = np.array(coefficients, dtype=float)
        out[..., 1:] *= self.inv_scale
        out[..., 0] -= out[..., 1:] @ self.center
        return out

    def from_user(self, coefficients: np.ndarray) -> np.ndarray:
        """Inverse of `to_user`."""
        out = np.array(coefficients, dtype=float)
        out[..., 0] += out[..., 1:] @ self.center
        out[..., 1:] *= self.scale
        return out

    def jacobian(self) -> np.ndarray:
        """Matrix J (d + 1, d + 1) with ``to_user(c) = J @ c``."""
        jacobian = np.diag(np.concatenate([[1.0], self.inv_scale]))
        jacobian[0, 1:] = -self.center * self.inv_scale
        return jacobian


def fit_scaling(
    x: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None = None, kind: str = "affine"
) -> Scaling:
    """Weighted mean and standard deviation of each column of `x`, and the columns that add nothing.

    Two passes in blocks, so that a column far from zero keeps its digits. A column is aliased when, by a
    Cholesky factorisation of the correlation matrix in the order of the columns, less than `ALIAS_TOLERANCE`
    of its variance is left.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    names : tuple of str
    weights : ndarray of shape (n,) or None
    kind : {"affine", "scale", "none"}
        What a gate allows: all of it; no centring, so that moments are about zero, and a column that hardly
        varies beside its size is what a constant is; nothing, aliased columns are kept too.

    Raises
    ------
    DataError
        Where a mean or a standard deviation is above `LARGEST`.
    """
    with quiet():
        return _of_kind(_scaling(x, names, weights, kind), kind)


def _of_kind(found: Scaling, kind: str) -> Scaling:
    d = len(found.center)
    return Scaling(np.zeros(d), np.ones(d)) if kind == "none" else found


def _scaling(x: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None, kind: str) -> Scaling:
    d = x.shape[1]
    if d == 0:
        return Scaling(np.zeros(0), np.zeros(0))
    total, mean = 0.0, np.zeros(d)
    for block, w in _blocks(x, weights):
        total += w.sum()
        mean += w @ (block - x[0])
    if total <= 0:
        raise DataError("all sample weights are zero: give at least one row a positive weight")
    mean = x[0] + mean / total
    _refuse_large(mean, names)
    reach = np.maximum(np.abs(mean), np.abs(x[0]))
    if kind == "scale":
        mean = np.zeros(d)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for block, _ in _blocks(x, weights):
        columns = np.ascontiguousarray(block.T)  # along which numpy is quick to compare
        np.minimum(low, columns.min(axis=1), out=low)
        np.maximum(high, columns.max(axis=1), out=high)
    size = np.maximum(np.abs(low - mean), np.abs(high - mean))
    size[size == 0] = 1.0
    gram = np.zeros((d, d))
    for block, w in _blocks(x, weights):
        centred = (block - mean) / size  # bounded by one: no overflow for columns near 1e200
        gram += cross_products(centred, w)
    return _scaled(mean, gram / total, size, reach, names)


def cross_products(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """sum_i w_i x_i x_i' of x (n, d); with weights of one as one symmetric product, which is quick."""
    return x.T @ x if (w == 1.0).all() else (x * w[:, None]).T @ x


def scaling_of(
    mean: np.ndarray, second: np.ndarray, reach: np.ndarray, names: tuple[str, ...], kind: str = "affine"
) -> Scaling:
    """`fit_scaling` from what was summed: means (d,), central second moments (d, d), and how far from zero
    values lie (d,)."""
    with quiet():
        _refuse_large(mean, names)
        if kind == "scale":
            mean, second = np.zeros_like(mean), second + np.outer(mean, mean)
        size = np.sqrt(np.diag(second))
        size = np.where(size > 0, size, 1.0)
        found = _scaled(mean, second / np.outer(size, size), size, np.maximum(np.abs(mean), reach), names)
        return _of_kind(found, kind)


def _scaled(
    mean: np.ndarray, gram: np.ndarray, size: np.ndarray, reach: np.ndarray, names: tuple[str, ...]
) -> Scaling:
    """From means and the moments `gram` of columns that were centred and divided by `size`."""
    deviation = np.sqrt(np.diag(gram))
    reach = reach / size
    _refuse_large(np.where(np.isnan(deviation), np.inf, deviation * size), names)
    constant = (deviation <= 1e-13 * np.maximum(reach, 1e-300)) | (deviation * size < SMALLEST)
    aliased = [(int(j), "is constant") for j in np.flatnonzero(constant)]
    safe = np.where(constant, 1.0, deviation)
    aliased += _collinear(gram / np.outer(safe, safe), constant, names)
    inv_scale = 1.0 / np.where(constant, 1.0, safe * size)
    inv_scale[[j for j, _ in aliased]] = 0.0
    return Scaling(mean, inv_scale, tuple(sorted(aliased)))


def _refuse_large(sizes: np.ndarray, names: tuple[str, ...]) -> None:
    large = np.flatnonzero(~(np.abs(sizes) <= LARGEST))
    if len(large):
        raise DataError(f"column '{names[large[0]]}' is too large for double precision: rescale it")


def _blocks(x: np.ndarray, weights: np.ndarray | None):
    for start in range(0, x.shape[0], BLOCK):
        block = x[start : start + BLOCK]
        yield block, np.ones(len(block)) if weights is None else weights[start : start + BLOCK]


def _collinear(
    correlation: np.ndarray, constant: np.ndarray, names: tuple[str, ...]
) -> list[tuple[int, str]]:
    d = len(correlation)
    kept: list[int] = []
    found = []
    factor = np.zeros((d, d))
    for j in range(d):
        if constant[j]:
            continue
        row = np.zeros(len(kept))
        for a, i in enumerate(kept):
            row[a] = (correlation[j, i] - factor[i, :a] @ row[:a]) / factor[i, a]
        left = correlation[j, j] - row @ row
        if left <= ALIAS_TOLERANCE:
            twin = [i for i in kept if abs(abs(correlation[j, i]) - 1.0) <= ALIAS_TOLERANCE]
            why = (
                f"repeats '{names[twin[0]]}'" if twin else "is a linear combination of the columns before it"
            )
            found.append((j, why))
            continue
        factor[j, : len(kept)] = row
        factor[j, len(kept)] = np.sqrt(left)
        kept.append(j)
    return found

"""Means and second moments of columns that are never all at hand: those of blocks, merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..design import Scaling, cross_products, scaling_of
from ..errors import quiet


@dataclass(frozen=True)
class Moments:
    """Of rows with weights w, in any order of merging the same to rounding (Chan, Golub and LeVeque, 1983).

    Attributes
    ----------
    weight : float
        sum w
    mean : ndarray of shape (d,)
    second : ndarray of shape (d, d)
        sum w (x - mean)(x - mean)'
    reach : ndarray of shape (d,)
        Largest |x|.
    """

    weight: float
    mean: np.ndarray
    second: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray | None) -> Moments:
        """Of a block x (b, d), centred before it is squared."""
        weights = np.ones(len(x)) if w is None else w
        total, first = float(weights.sum()), x[0]
        with quiet():  # columns beyond doubles are refused by their reach
            mean = first if total == 0 else first + weights @ (x - first) / total
            centred = x - mean
            second = cross_products(centred, weights)
        columns = np.ascontiguousarray(x.T)  # along which numpy is quick to compare
        reach = np.maximum(columns.max(axis=1), -columns.min(axis=1))
        return cls(total, mean, second, reach)

    def merged(self, other: Moments) -> Moments:
        """Of the rows of both: second moments add, and the means' distance with w_a w_b / (w_a + w_b)."""
        weight = self.weight + other.weight
        reach = np.maximum(self.reach, other.reach)
        if not (self.weight and other.weight):
            one = self if self.weight else other
            return Moments(weight, one.mean, one.second, reach)
        with quiet():
            apart = other.mean - self.mean
            second = self.second + other.second
            second += np.outer(apart, apart) * (self.weight * other.weight / weight)
            mean = self.mean + apart * (other.weight / weight)
        return Moments(weight, mean, second, reach)

    def scaling(self, names: tuple[str, ...], kind: str = "affine") -> Scaling:
        """Weighted standard deviations one and means zero, as `fit_scaling` has them."""
        with quiet():  # columns beyond doubles are refused by their spread
            second = self.second / self.weight
        return scaling_of(self.mean, second, self.reach, names, kind)

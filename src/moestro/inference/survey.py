"""The middle of a sandwich for survey samples: Taylor linearisation with strata, primary units and finite
populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..rows import encode_groups
from .clusters import Grouping


@dataclass(frozen=True)
class Survey:
    """A stratified sample of primary sampling units, with replacement unless sampling fractions are given.

    The meat is sum_h (1 - f_h) n_h / (n_h - 1) sum_j (z_hj - mean z_h) (z_hj - mean z_h)', z_hj being the
    weighted scores of unit j of stratum h, n_h its units and f_h the share that was sampled (Binder, 1983).

    Attributes
    ----------
    groupings : tuple of Grouping
        One: the primary units.
    stratum : ndarray of int, shape (units,)
        -1 of a unit without weight.
    factor : ndarray of shape (strata,)
        (1 - f_h) n_h / (n_h - 1).
    """

    groupings: tuple[Grouping, ...]
    stratum: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, units: Any, strata: Any, fpc: Any, n: int, w: np.ndarray | None = None) -> Survey:
        """From ids (n,) of primary units (None: every row is one) and strata (None: one); `fpc` (n,), or one
        number, the units of the population in the stratum, or the share of them in the sample."""
        codes = np.arange(n) if units is None else encode_groups(units, n, "cluster")[0]
        strata = np.zeros(n, dtype=int) if strata is None else encode_groups(strata, n, "strata")[0]
        # A unit of the same name in another stratum is another one.
        _, first, codes = np.unique(
            np.column_stack([strata, codes]), axis=0, return_index=True, return_inverse=True
        )
        codes = codes.ravel()
        used = np.bincount(codes, weights=np.ones(n) if w is None else w) > 0
        stratum = np.where(used, strata[first], -1)
        size = np.bincount(stratum[used], minlength=int(strata.max()) + 1)
        if (size == 1).any():
            raise DataError(
                "a stratum has one primary unit only, and no variance within it: join it with another stratum"
            )
        share = np.zeros(len(size)) if fpc is None else _shares(fpc, strata, size, n)
        factor = (1.0 - share) * size / np.maximum(size - 1, 1)
        return cls((Grouping(codes, len(first), 1.0),), stratum, factor)

    def total(self, sums: list[np.ndarray]) -> np.ndarray:
        """From the scores of the units, (units, P)."""
        used = self.stratum >= 0
        z, h = sums[0][used], self.stratum[used]
        size = np.bincount(h, minlength=len(self.factor))
        mean = np.zeros((len(size), z.shape[1]))
        np.add.at(mean, h, z)
        gap = z - (mean / np.maximum(size, 1)[:, None])[h]
        return (gap * self.factor[h][:, None]).T @ gap


def _shares(fpc: Any, strata: np.ndarray, size: np.ndarray, n: int) -> np.ndarray:
    """Sampling fractions of the strata."""
    values = np.broadcast_to(np.asarray(fpc, dtype=float), n) if np.ndim(fpc) == 0 else np.asarray(fpc, float)
    if values.shape != (n,) or not np.isfinite(values).all() or (values < 0).any():
        raise DataError("fpc must be a number of at least 0 for each row: a population, or a share of it")
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, strata, values)
    np.maximum.at(high, strata, values)
    if (low < high).any():
        raise DataError("fpc must be the same in all rows of a stratum")
    out = np.where(high <= 1.0, high, size / np.maximum(high, 1e-300))
    if (out[size > 0] > 1.0).any():
        raise DataError("fpc says that a stratum has fewer primary units than were sampled")
    return np.where(size > 0, out, 0.0)

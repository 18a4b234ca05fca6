"""Gaussian components of which a row shows some columns only: marginal laws, and what the others are expected
to be.

A row z has the columns o and lacks the columns m. Of a component with mean mu and covariance S,

    z_o ~ N(mu_o, S_oo),   z_m | z_o ~ N(mu_m + S_mo S_oo^-1 (z_o - mu_o),  S_mm - S_mo S_oo^-1 S_om)

(Little and Rubin, 2002, section 11.2). NaN stands where a row has no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .natural import LOG_2PI


@dataclass(frozen=True)
class Patterns:
    """Rows by which of their columns they have.

    Attributes
    ----------
    seen : ndarray of bool, shape (n, P)
    """

    seen: np.ndarray

    @cached_property
    def each(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each pattern its rows, the columns that they have, and those that they lack."""
        kinds, code = np.unique(self.seen, axis=0, return_inverse=True)
        order = np.argsort(code.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(code.ravel(), minlength=len(kinds)))
        rows = np.split(order, ends[:-1])
        return [(at, np.flatnonzero(s), np.flatnonzero(~s)) for at, s in zip(rows, kinds, strict=True)]

    @cached_property
    def counts(self) -> np.ndarray:
        """Columns that each row has, (n,)."""
        return self.seen.sum(axis=1)


@dataclass(frozen=True)
class Conditional:
    """Of the rows of one pattern under k components.

    Attributes
    ----------
    log_density : ndarray of shape (rows, k)
        log N(z_o; mu_o, S_oo).
    means : ndarray of shape (rows, k, lacking)
        Of the columns that the rows lack, given those that they have.
    covariances : ndarray of shape (k, lacking, lacking)
    """

    log_density: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def conditional(
    mean: np.ndarray, covariance: np.ndarray, z: np.ndarray, seen: np.ndarray, lacking: np.ndarray
) -> Conditional:
    """Rows z (n, seen) of the columns `seen`, under components with `mean` (k, P) and `covariance`
    (k, P, P)."""
    root = np.linalg.cholesky(covariance[:, seen[:, None], seen])
    gap = (z[None] - mean[:, None, seen]).transpose(0, 2, 1)  # (k, seen, n)
    white = np.linalg.solve(root, gap)
    half = np.linalg.solve(root, covariance[:, seen[:, None], lacking])  # L^-1 S_om
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    distance = (white**2).sum(axis=1)
    own = covariance[:, lacking[:, None], lacking] - np.swapaxes(half, 1, 2) @ half
    moved = np.einsum("kom,kon->nkm", half, white)
    return Conditional(
        (-0.5 * (len(seen) * LOG_2PI + log_det[:, None] + distance)).T, mean[:, lacking] + moved, own
    )


def each_pattern(
    mean: np.ndarray, covariance: np.ndarray, z: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Conditional]]:
    """Rows, the columns that they have and lack, and their `conditional`, of z (n, P) with NaN."""
    for at, seen, lacking in Patterns(~np.isnan(z)).each:
        yield at, seen, lacking, conditional(mean, covariance, z[at[:, None], seen], seen, lacking)


def log_density(mean: np.ndarray, covariance: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Of what each row of z (n, P) has, under k components, (n, k); zero of a row without values."""
    out = np.empty((len(z), len(mean)))
    for at, _, _, found in each_pattern(mean, covariance, z):
        out[at] = found.log_density
    return out


def completed(mean: np.ndarray, covariance: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[Z | what the row has] (n, k, P) and its covariance (n, k, P, P), of zeros where the row has a
    value."""
    (n, P), k = z.shape, len(mean)
    filled, spread = np.repeat(z[:, None], k, axis=1), np.zeros((n, k, P, P))
    for at, _, lacking, found in each_pattern(mean, covariance, z):
        filled[at[:, None], :, lacking] = found.means.transpose(0, 2, 1)
        spread[np.ix_(at, np.arange(k), lacking, lacking)] = found.covariances
    return filled, spread


def has_holes(*columns: np.ndarray) -> bool:
    """Whether a value is NaN."""
    return any(bool(np.isnan(c).any()) for c in columns)

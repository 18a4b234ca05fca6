"""Covariance matrices of k components and the structures that they may have.

A `Spread` is k covariance matrices in the form that its structure allows; a `Structure` turns residual second
moments into the maximum-likelihood spread of its kind. A new structure is one file, an export and a line in
the test table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SPREAD_FLOOR = 1e-8  # smallest eigenvalue of a covariance, in units of the columns' variances


@dataclass(frozen=True)
class Tangent:
    """How one covariance moves with its free parameters.

    Attributes
    ----------
    i, j : ndarray of int, shape (E,)
        Entries i <= j that the structure leaves free.
    jacobian : ndarray of shape (E, m)
        Their derivatives in the m free parameters.
    held : ndarray of bool, shape (m,)
        Parameters at their bound.
    rank : int
        Latent factors; loadings come first among the parameters, column after column.
    """

    i: np.ndarray
    j: np.ndarray
    jacobian: np.ndarray
    held: np.ndarray
    rank: int = 0

    @classmethod
    def of_entries(cls, i: np.ndarray, j: np.ndarray) -> Tangent:
        """Where the entries themselves are the parameters."""
        return cls(i, j, np.eye(len(i)), np.zeros(len(i), dtype=bool))

    def score_curvature(self, slope: np.ndarray) -> np.ndarray:
        """sum_e slope_e d2 entry_e, shape (m, m): not zero where entries are products of loadings."""
        m = self.jacobian.shape[1]
        out = np.zeros((m, m))
        if self.rank:
            D = m // (1 + self.rank)
            G = np.zeros((D, D))
            G[self.i, self.j] += slope
            G[self.j, self.i] += slope
            out[: D * self.rank, : D * self.rank] = np.kron(np.eye(self.rank), G)
        return out


class Spread(ABC):
    """k covariance matrices of D columns."""

    @property
    @abstractmethod
    def log_det(self) -> np.ndarray:
        """Log-determinants, shape (k,)."""

    @abstractmethod
    def distances(self, residual: np.ndarray) -> np.ndarray:
        """r' C_e^-1 r of each row of residual (k, n, D), shape (k, n)."""

    @abstractmethod
    def part(self, at: slice) -> Spread:
        """Of some components."""

    @abstractmethod
    def dense(self) -> np.ndarray:
        """The matrices, shape (k, D, D)."""

    @property
    @abstractmethod
    def least(self) -> np.ndarray:
        """Smallest eigenvalue (of a diagonal block, where there are blocks), shape (k,)."""


@dataclass(frozen=True)
class Structure(ABC):
    """What a covariance may look like.

    Attributes
    ----------
    tied : bool
        One matrix for all components.
    """

    tied: bool = False

    name = ""
    needs_matrix = True  # second moments as matrices (k, D, D); otherwise their diagonals (k, D)

    @abstractmethod
    def count(self, D: int) -> int:
        """Free parameters of one matrix."""

    def size(self, k: int, D: int) -> int:
        """Free parameters of k components."""
        return (1 if self.tied else k) * self.count(D)

    def estimate(self, second: np.ndarray, mass: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        """The spread that maximises sum_e mass_e E[log N(r; 0, C_e)] under second moments `second` of r.

        Parameters
        ----------
        second : ndarray of shape (R k, D, D), or (R k, D) where only variances are needed
            Of the k components of each of R runs.
        mass : ndarray of shape (R, k)
        previous : sequence of Spread or None
            Where an inner iteration of each run may start.
        """
        if self.tied:
            by_run = second.reshape(*mass.shape, *second.shape[1:])
            share = mass / mass.sum(axis=1, keepdims=True)
            one = np.einsum("rk,rk...->r...", share, by_run)
            second = np.repeat(one, mass.shape[1], axis=0)
        return self.maximum(second, previous)

    def tangent(self, e: int, covariance: np.ndarray) -> Tangent:
        """Free entries of component e's covariance (D, D), given in units of its standard deviations, and
        their derivatives."""
        return Tangent.of_entries(*np.triu_indices(len(covariance)))

    @abstractmethod
    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        """`estimate` where no matrix is shared."""


def floored(covariance: np.ndarray, floor: float = 2 * SPREAD_FLOOR) -> np.ndarray:
    """Covariances (..., D, D) with eigenvalues of at least twice the floor of the parameter space, or another
    floor."""
    values, vectors = np.linalg.eigh(covariance)
    low = values.min(axis=-1, initial=1.0) < floor
    if not low.any():
        return covariance
    raised = (vectors * np.maximum(values, floor)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.where(low[..., None, None], raised, covariance)


def whitened(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L^-1 of each C = L L' (k, D, D), and log |C|."""
    root = np.linalg.cholesky(covariances)
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return np.linalg.inv(root), log_det

"""Isotropic and diagonal covariances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .base import SPREAD_FLOOR, Spread, Structure, Tangent


@dataclass(frozen=True)
class DiagonalSpread(Spread):
    """Variances (k, D)."""

    variances: np.ndarray

    @property
    def log_det(self) -> np.ndarray:
        return np.log(self.variances).sum(axis=1)

    def distances(self, residual: np.ndarray) -> np.ndarray:
        return ((residual * residual) @ (1.0 / self.variances)[:, :, None])[:, :, 0]

    def part(self, at: slice) -> DiagonalSpread:
        return DiagonalSpread(self.variances[at])

    def dense(self) -> np.ndarray:
        return self.variances[:, :, None] * np.eye(self.variances.shape[1])

    @property
    def least(self) -> np.ndarray:
        return self.variances.min(axis=1, initial=np.inf)


@dataclass(frozen=True)
class Diagonal(Structure):
    """diag(s_1, ..., s_D)."""

    name = "diagonal"
    needs_matrix = False

    def count(self, D: int) -> int:
        return D

    def tangent(self, e: int, covariance: np.ndarray) -> Tangent:
        at = np.arange(len(covariance))
        return Tangent.of_entries(at, at)

    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        return DiagonalSpread(np.maximum(second, 2 * SPREAD_FLOOR))


@dataclass(frozen=True)
class Isotropic(Structure):
    """s I in the user's units: s / units^2 in standardised columns.

    Attributes
    ----------
    units : tuple of float
        What each column was divided by; empty where all were divided by the same.
    """

    units: tuple[float, ...] = ()

    name = "isotropic"
    needs_matrix = False

    def count(self, D: int) -> int:
        return min(D, 1)

    def tangent(self, e: int, covariance: np.ndarray) -> Tangent:
        at = np.arange(len(covariance))
        free = min(len(at), 1)
        return Tangent(at, at, np.ones((len(at), free)), np.zeros(free, dtype=bool))

    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        D = second.shape[1]
        if not D:
            return DiagonalSpread(second)
        squared = (np.array(self.units) if self.units else np.ones(D)) ** 2
        squared = squared / np.exp(np.log(squared).mean())
        s = (second * squared).mean(axis=1, keepdims=True)
        return DiagonalSpread(np.maximum(s / squared, 2 * SPREAD_FLOOR))

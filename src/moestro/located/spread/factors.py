"""Low rank plus diagonal: covariances of latent factors, L L' + diag(s).

Given s, the best L is known: with theta_j, u_j the largest eigenpairs of S* = s^-1/2 S s^-1/2, L = s^1/2 u
(theta - 1)^1/2 (Lawley). What is left is a smooth function of log s, minimised by L-BFGS (Joreskog, 1967):

    F = sum log s + tr S* + sum_j (log theta_j - theta_j + 1),
       dF / dlog s_i = 1 - S*_ii + sum_j (theta_j - 1) u_ij^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.sparse.linalg import eigsh

from .base import SPREAD_FLOOR, Spread, Structure, Tangent
from .full import FullSpread

WARM_STEPS = 15  # of L-BFGS where the step before is the start: EM only needs a rise
FEW_COLUMNS = 12  # columns up to which each is tried as all factor
HEYWOOD = 1e-6  # share of a column's variance below which it counts as all factor
TIE = 1e-9  # of F between two maxima: below it the descent from the step before stays
EXACT_COLUMNS = 150  # columns beyond which the few eigenpairs are found by Lanczos' method


@dataclass(frozen=True)
class FactorSpread(Spread):
    """Loadings L (k, D, f) and variances s (k, D)."""

    loadings: np.ndarray
    variances: np.ndarray

    @cached_property
    def _capacity(self) -> tuple[np.ndarray, np.ndarray]:
        """Chol(I + L' S^-1 L) (k, f, f) and S^-1 L (k, D, f)."""
        scaled = self.loadings / self.variances[:, :, None]
        inner = np.eye(self.loadings.shape[2]) + np.swapaxes(self.loadings, 1, 2) @ scaled
        return np.linalg.cholesky(inner), scaled

    @cached_property
    def _full(self) -> FullSpread | None:
        """Few columns keep more digits as plain matrices, where a column may be all factor."""
        return FullSpread(self.dense()) if self.variances.shape[1] <= EXACT_COLUMNS else None

    @property
    def log_det(self) -> np.ndarray:
        if self._full is not None:
            return self._full.log_det
        root = self._capacity[0]
        return np.log(self.variances).sum(axis=1) + 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(
            axis=1
        )

    def distances(self, residual: np.ndarray) -> np.ndarray:
        if self._full is not None:
            return self._full.distances(residual)
        # Woodbury: r' C^-1 r = r' S^-1 r - |chol^-1 L' S^-1 r|^2
        root, scaled = self._capacity
        inner = np.linalg.solve(root, np.swapaxes(residual @ scaled, 1, 2))
        plain = ((residual * residual) @ (1.0 / self.variances)[:, :, None])[:, :, 0]
        return plain - np.einsum("kfn,kfn->kn", inner, inner)

    def part(self, at: slice) -> FactorSpread:
        return FactorSpread(self.loadings[at], self.variances[at])

    def dense(self) -> np.ndarray:
        D = self.variances.shape[1]
        return self.loadings @ np.swapaxes(self.loadings, 1, 2) + self.variances[:, :, None] * np.eye(D)

    @property
    def least(self) -> np.ndarray:
        out = self.variances.min(axis=1)
        if (
            out <= 10 * SPREAD_FLOOR
        ).any():  # a column may be all factor (Heywood), and its covariance still regular
            out = np.linalg.eigvalsh(self.dense())[:, 0]
        return out


@dataclass(frozen=True)
class Factors(Structure):
    """L L' + diag(s), L of `rank` columns.

    Attributes
    ----------
    rank : int
    """

    rank: int = 1

    name = "factors"

    def count(self, D: int) -> int:
        f = min(self.rank, D)
        return min(D + D * f - f * (f - 1) // 2, D * (D + 1) // 2)  # L is known up to a rotation

    def tangent(self, e: int, covariance: np.ndarray) -> Tangent:
        D, f = len(covariance), min(self.rank, len(covariance))
        loadings, variances = _maximum(covariance, f, None)
        i, j = np.triu_indices(D)
        parts = []
        for a in range(f):  # d(L L')_ij / dL_ba = [i = b] L_ja + [j = b] L_ia
            part = np.zeros((len(i), D))
            np.add.at(part, (np.arange(len(i)), i), loadings[j, a])
            np.add.at(part, (np.arange(len(i)), j), loadings[i, a])
            parts.append(part)
        parts.append((i[:, None] == np.arange(D)) & (j == i)[:, None])
        held = np.concatenate([np.zeros(D * f, dtype=bool), variances <= HEYWOOD])
        return Tangent(i, j, np.concatenate(parts, axis=1).astype(float), held, f)

    def maximum(self, second: np.ndarray, previous: Sequence[Spread] | None) -> Spread:
        second = 0.5 * (second + np.swapaxes(second, 1, 2))
        f = min(self.rank, second.shape[1])
        before = [p.variances for p in previous or () if isinstance(p, FactorSpread)]
        start = np.concatenate(before) if before else None
        found = [_maximum(S, f, None if start is None else start[e]) for e, S in enumerate(second)]
        return FactorSpread(np.array([a for a, _ in found]), np.array([b for _, b in found]))


def _maximum(S: np.ndarray, f: int, start: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Loadings (D, f) and variances (D,) of most likelihood under second moments S.

    F has several minima where columns may be all factor (Heywood cases), so a descent begins from each kind
    of start, and the best end is taken. With a step before, only the likeliest Heywood case competes with it:
    EM does not stay where its first step fell. Factors one fewer than columns explain any S, most plainly
    with one variance, its smallest eigenvalue.
    """
    if f >= len(S) - 1:
        theta, u = eigh(S)
        s = max(float(theta[0]), 2 * SPREAD_FLOOR)
        return u[:, -f:] * np.sqrt(np.maximum(theta[-f:] - s, 0.0)), np.full(len(S), s)
    total = np.maximum(np.diag(S), 2 * SPREAD_FLOOR)
    if start is None:
        others = [0.5 * total, _heywood(S, f, None)]
        if len(S) <= FEW_COLUMNS:
            others += [_heywood(S, 1, j) * np.where(np.arange(len(S)) == j, 1.0, 0.5) for j in range(len(S))]
        ends = [_descend(S, f, total, s, WARM_STEPS) for s in others]
        best = min(ends, key=lambda end: end[1])[0]
        log_s, value = _descend(S, f, total, np.exp(best), 500)
    else:
        log_s, value = _descend(S, f, total, start, WARM_STEPS)
        other = _heywood(S, f, None) if len(S) <= EXACT_COLUMNS else start
        if _value(S, np.log(other), f)[0] < value - TIE:
            other, lower = _descend(S, f, total, other, 500)
            if lower < value - TIE:
                log_s = other
    theta, u, _ = _pairs(S, log_s, f)
    s = np.exp(log_s)
    return np.sqrt(s)[:, None] * u * np.sqrt(np.maximum(theta - 1.0, 0.0)), s


def _value(S: np.ndarray, log_s: np.ndarray, f: int) -> tuple[float, np.ndarray]:
    """F and its gradient in log s."""
    theta, u, diagonal = _pairs(S, log_s, f)
    used = theta > 1.0
    theta, u = theta[used], u[:, used]
    value = log_s.sum() + diagonal.sum() + (np.log(theta) - theta + 1.0).sum()
    return float(value), 1.0 - diagonal + (u**2) @ (theta - 1.0)


def _descend(
    S: np.ndarray, f: int, total: np.ndarray, start: np.ndarray, steps: int
) -> tuple[np.ndarray, float]:
    """log s and F after L-BFGS from `start`."""
    low, high = np.log(2 * SPREAD_FLOOR), np.log(10 * total)
    done = minimize(
        lambda log_s: _value(S, log_s, f), np.clip(np.log(start), low, high), jac=True, method="L-BFGS-B",
        bounds=[(low, h) for h in high], options={"maxiter": steps, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    return done.x, float(done.fun)


def _heywood(S: np.ndarray, f: int, first: int | None) -> np.ndarray:
    """Variances given that f columns are all factor: what is left of each column given those, chosen one
    after the other.

    With column j all factor, F = log S_jj + sum_i log(S_ii - S_ij^2 / S_jj) + D: each choice after the
    `first` lowers this most.
    """
    floor = 2 * SPREAD_FLOOR
    left, chosen = S.copy(), np.zeros(len(S), dtype=bool)
    for _ in range(f):
        s = np.maximum(np.diag(left), floor)
        if first is None:
            after = np.maximum(s[:, None] - left**2 / s, floor)  # of column i given column j
            after[chosen] = 1.0
            np.fill_diagonal(after, s)
            first = int(np.argmin(np.where(chosen, np.inf, np.log(after).sum(axis=0))))
        chosen[first] = True
        left = left - np.outer(left[:, first], left[first]) / s[first]
        first = None
    return np.where(chosen, floor, np.maximum(np.diag(left), floor))


def _pairs(S: np.ndarray, log_s: np.ndarray, f: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The f largest eigenpairs of S* and its diagonal."""
    root = np.exp(-0.5 * log_s)
    star = S * root[:, None] * root
    D = len(star)
    if D <= EXACT_COLUMNS or f >= D - 1:
        theta, u = eigh(star, subset_by_index=(D - f, D - 1))
    else:
        theta, u = eigsh(star, f, v0=np.ones(D))
    return theta, u, np.diag(star)

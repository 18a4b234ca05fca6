"""The joint log-likelihood of a Gaussian mixture over (x, y), as the solvers see it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import _core
from ..engine import ISA_VARIABLE, Evaluation, Order
from ..solvers.base import ROUNDOFF
from .natural import Monomials
from .normal import softmax
from .spread import SPREAD_FLOOR, floored
from .statistics import EMPTY

BLOCK = 4096
FEW_COLUMNS = 6  # up to which a precision at the floor is positive definite to rounding


@dataclass(frozen=True)
class Box:
    """Natural parameters are free."""

    lower: np.ndarray
    upper: np.ndarray

    @property
    def size(self) -> int:
        return len(self.lower)


@dataclass(frozen=True)
class JointProblem:
    """F of `natural` over standardised rows.

    Attributes
    ----------
    rows : ndarray of shape (n, D)
        (x, y), centred and scaled.
    weights : ndarray of shape (n,) or None
    k : int
    offset : float
        What the user's units add to the sum of log-densities.
    threads : int
        Results do not depend on it.
    """

    rows: np.ndarray
    weights: np.ndarray | None
    k: int
    offset: float = 0.0
    threads: int = 1

    @cached_property
    def monomials(self) -> Monomials:
        return Monomials(self.rows.shape[1])

    @cached_property
    def columns(self) -> np.ndarray:
        return np.ascontiguousarray(self.rows.T)

    @cached_property
    def weight_sum(self) -> float:
        return float(len(self.rows) if self.weights is None else self.weights.sum())

    @property
    def diagonal_share(self) -> float:
        return ROUNDOFF

    @property
    def coordinates(self) -> Box:
        free = np.full(self.k * self.monomials.size, np.inf)
        return Box(-free, free)

    def evaluate(self, phi: np.ndarray, order: Order) -> Evaluation:
        """Value, gradient, EM's information and the Hessian of F at phi (k * size,).

        The value is minus infinity where a covariance leaves the parameter space.
        """
        m, k, s = self.monomials, self.k, self.monomials.size
        theta = phi.reshape(k, s)
        P = k * s
        outside = Evaluation(-np.inf, np.zeros(k), np.zeros(P), np.zeros((P, P)), np.zeros((P, P)))
        found = m.gaussians(theta) if np.isfinite(phi).all() else None
        if found is None or np.linalg.eigvalsh(found[2])[:, 0].min() < SPREAD_FLOOR:
            return outside
        curved = order >= Order.CURVATURE
        value, first, cross = self._sums(theta, curved)
        N = self.weight_sum
        log_mass, mean, covariance = found
        with np.errstate(over="ignore"):
            mass = N * np.exp(log_mass)
        value += self.offset - (mass.sum() - N)
        if order == Order.VALUE:
            return Evaluation(float(value), first[:, 0])
        if not np.isfinite(mass).all():
            return outside
        moments = mass[:, None] * m.expectations(mean, covariance)
        gradient = (first - moments[:, :s]).ravel()
        information = np.zeros((k, s, k, s))
        for a in range(k):
            information[a, :, a] = moments[a][m.product]
        curvature = None
        if cross is not None:
            curvature = cross.reshape(P, P) - information.reshape(P, P)
        return Evaluation(float(value), first[:, 0], gradient, information.reshape(P, P), curvature)

    def _sums(self, theta: np.ndarray, curved: bool) -> tuple[float, np.ndarray, np.ndarray | None]:
        """sum w L, sum w r phi (k, size), and sum w (delta r - r r') phi phi' (k, size, k, size)."""
        if not curved:
            value, first = _core.mixture_sums(
                self.rows,
                self.weights,
                np.ascontiguousarray(theta),
                self.threads,
                os.environ.get(ISA_VARIABLE, ""),
            )
            return value, first, None
        return self.sums_in_numpy(theta, True)

    def sums_in_numpy(self, theta: np.ndarray, curved: bool) -> tuple[float, np.ndarray, np.ndarray | None]:
        """The same sums in NumPy: those with the curvature, and the reference of the compiled ones."""
        m, k, s = self.monomials, self.k, self.monomials.size
        a, b = np.triu_indices(k)
        value, first = 0.0, np.zeros((k, s))
        grams = np.zeros((len(m.exponents), len(a))) if curved else None
        for at in self._blocks():
            M = m.values(self.columns[:, at], 4 if curved else 2)
            r, L = softmax(theta @ M[:s])
            w = None if self.weights is None else self.weights[at]
            value += float(L.sum() if w is None else w @ L)
            weighted = r if w is None else r * w
            first += weighted @ M[:s].T
            if grams is not None:
                pairs = np.empty((len(a), r.shape[1]))
                for t, (i, j) in enumerate(zip(a, b, strict=True)):
                    np.multiply(weighted[i], 1.0 - r[j] if i == j else -r[j], out=pairs[t])
                grams += M @ pairs.T
        if grams is None:
            return value, first, None
        cross = np.empty((k, s, k, s))
        for t, (i, j) in enumerate(zip(a, b, strict=True)):
            cross[i, :, j] = cross[j, :, i] = grams[m.product, t]
        return value, first, cross

    def _blocks(self) -> list[slice]:
        n = len(self.rows)
        return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]

    def rowwise(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities (n, k) and log-densities (n,)."""
        m = self.monomials
        theta = phi.reshape(self.k, m.size)
        parts = [softmax(theta @ m.values(self.columns[:, at])) for at in self._blocks()]
        return np.concatenate([r.T for r, _ in parts]), np.concatenate([L for _, L in parts])

    def responsibilities(self, phi: np.ndarray) -> np.ndarray:
        """Posterior probabilities (n, k)."""
        return self.rowwise(phi)[0]

    # EM in closed form: the M-step matches moments. Statistics are sum w r phi / N as one vector a run: see
    # `accelerated_em`.

    def m_step(self, first: np.ndarray) -> np.ndarray:
        """phi (R, k size) whose Gaussians have the moments `first` (R, k, size) of R runs, masses positive.

        An atom without rows takes the shape of the whole sample, so that it stays an atom with a name.
        """
        m, D = self.monomials, self.monomials.D
        mass = first[:, :, 0]
        total = mass.sum(axis=1, keepdims=True)
        empty = mass < EMPTY * total
        if empty.any():
            whole = first.sum(axis=1, keepdims=True) / total[:, :, None]
            first = np.where(empty[:, :, None], mass[:, :, None] * whole, first)
        atoms = first.reshape(-1, m.size) / mass.reshape(-1, 1)
        mean = atoms[:, 1 : 1 + D]
        i, j = m.pairs
        covariance = np.empty((len(atoms), D, D))
        covariance[:, i, j] = covariance[:, j, i] = atoms[:, 1 + D :] - mean[:, i] * mean[:, j]
        share = np.log(mass / total).ravel()
        theta = m.natural(share, mean, floored(covariance))
        # Where many columns are singular together, rounding may take a precision at the floor out of the
        # parameter space.
        for floor in (1e2 * SPREAD_FLOOR, 1e4 * SPREAD_FLOOR):
            if D <= FEW_COLUMNS or m.gaussians(theta) is not None:
                break
            for e in range(len(theta)):
                one = slice(e, e + 1)
                if m.gaussians(theta[one]) is None:
                    theta[one] = m.natural(share[one], mean[one], floored(covariance[one], floor))
        return theta.reshape(len(first), -1)

    def em(
        self, flat: np.ndarray, previous: Sequence[Any] | None
    ) -> tuple[list[Any], np.ndarray, np.ndarray]:
        """M-step from statistics (R, s) of each run, the log-likelihoods there, and the statistics there;
        parameters None where a mass is not positive."""
        first = flat.reshape(len(flat), self.k, -1)
        at = np.flatnonzero((first[:, :, 0] > 0).all(axis=1) & np.isfinite(flat).all(axis=1))
        out: list[Any] = [None] * len(flat)
        values, statistics = np.full(len(flat), -np.inf), flat.copy()
        for i, phi in zip(at, self.m_step(first[at]) if len(at) else (), strict=True):
            value, sums, _ = self._sums(phi.reshape(self.k, -1), False)
            out[i], values[i], statistics[i] = phi, value, self._kept(sums)
        values += self.offset
        return out, values, statistics

    def masses(self, flat: np.ndarray) -> np.ndarray:
        """Sums of the responsibilities (k,) in statistics."""
        return flat.reshape(self.k, -1)[:, 0] * self.weight_sum

    def log_volumes(self, phi: np.ndarray) -> np.ndarray:
        """Log-determinants of the covariances, shape (k,)."""
        found = self.monomials.gaussians(phi.reshape(self.k, -1))
        return np.full(self.k, -np.inf) if found is None else np.linalg.slogdet(found[2])[1]

    def value(self, phi: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood, and sums of the responsibilities (k,)."""
        e = self.evaluate(phi, Order.VALUE)
        return e.value, e.mass

    def em_step(self, phi: np.ndarray) -> tuple[np.ndarray, float]:
        """One EM step, and the log-likelihood at the point it starts from."""
        value, first, _ = self._sums(phi.reshape(self.k, -1), False)
        return self.m_step(self._kept(first).reshape(1, self.k, -1))[0], value + self.offset

    def statistics(self, r: np.ndarray) -> np.ndarray:
        """Statistics of responsibilities r (n, k)."""
        weighted = r if self.weights is None else r * self.weights[:, None]
        first = np.zeros((self.k, self.monomials.size))
        for at in self._blocks():
            first += weighted[at].T @ self.monomials.values(self.columns[:, at]).T
        return self._kept(first)

    def _kept(self, first: np.ndarray) -> np.ndarray:
        """Statistics of sums; an atom without a row keeps a mass."""
        first[:, 0] += 1e-10 * self.weight_sum
        return (first / self.weight_sum).ravel()

    # What Newton asks for beside the sums.

    def inward(self, phi: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """No coordinate has a bound."""
        return np.ones(len(phi), dtype=bool)

    def gradient_norm(self, phi: np.ndarray, gradient: np.ndarray) -> float:
        """Largest mismatch of a moment, per row, in standardised columns."""
        return float(np.abs(gradient).max()) / self.weight_sum

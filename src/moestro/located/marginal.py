"""Located models on rows with missing values: the likelihood of what was seen, and EM with the moments of the
rest.

    L = sum_i w_i log sum_e pi_e N(z_o; mu_e,o, S_e,oo),   z = (u, v), o the columns that row i has,

mu_e and S_e being the joint law of the component, whatever the structures of its covariances. The E-step
takes E[z z' | z_o, e] for the products of complete rows (Ghahramani and Jordan, 1994), so every M-step from
second moments stays as it is. Values are missing at random (Rubin, 1976): whether a value is missing may
depend on the values that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..gates import log_sum_exp
from ..solvers.accelerated import accelerated_em
from .holes import Patterns, conditional
from .spread import Full
from .statistics import Parameters, Shape, Statistics, m_step, possible

POOLED_TOL, POOLED_LIMIT = 1e-6, 200  # of the one Gaussian that starts look at


@dataclass(frozen=True)
class MarginalProblem:
    """The log-likelihood of standardised rows (u, v) with NaN where a value is missing.

    Attributes
    ----------
    z : ndarray of shape (n, p + D)
    weights : ndarray of shape (n,) or None
    shape : Shape
    D : int
        Columns of v.
    mean, covariance : ndarray of shape (P,) and (P, P)
        One Gaussian of all rows, by which missing values are filled where there are no components yet.
    offset : float
        What the user's units add to the sum of log-densities.
    """

    z: np.ndarray
    weights: np.ndarray | None
    shape: Shape
    D: int
    mean: np.ndarray
    covariance: np.ndarray
    offset: float = 0.0

    degree = 1

    @property
    def k(self) -> int:
        return self.shape.k

    @cached_property
    def patterns(self) -> Patterns:
        return Patterns(~np.isnan(self.z))

    @cached_property
    def rows(self) -> np.ndarray:
        """z (n, P) with missing values as they are expected under one Gaussian."""
        out = self.z.copy()
        for at, seen, lacking in self.patterns.each:
            found = conditional(
                self.mean[None], self.covariance[None], self.z[at[:, None], seen], seen, lacking
            )
            out[at[:, None], lacking] = found.means[:, 0]
        return out

    @cached_property
    def weight_sum(self) -> float:
        return float(len(self.z) if self.weights is None else self.weights.sum())

    # EM, as `accelerated_em` and the search ask for it: statistics are one vector a run, components those of
    # all runs

    def em(
        self, flat: np.ndarray, previous: Sequence[Parameters] | None
    ) -> tuple[list[Any], np.ndarray, np.ndarray]:
        """One M-step from statistics (R, s) of each run, the log-likelihoods there, and the statistics."""
        at = np.flatnonzero(possible(self.k, self._monomials, flat))
        out: list[Any] = [None] * len(flat)
        values, statistics = np.full(len(flat), -np.inf), flat.copy()
        if len(at):
            before = None if previous is None else [previous[i] for i in at.tolist()]
            s = Statistics.of(flat[at], self.k, self._monomials, self._second)
            for i, own in zip(at, m_step(self.shape, s, before).runs(self.k), strict=True):
                out[i] = own
            values[at], statistics[at] = self._expect([out[i] for i in at], flat[at])
        return out, values, statistics

    def statistics(self, r: np.ndarray) -> np.ndarray:
        """Statistics (s,) of responsibilities r (n, k), missing values as under one Gaussian."""
        k = self.k
        mean, covariance = np.tile(self.mean, (k, 1)), np.tile(self.covariance, (k, 1, 1))
        return self._sums(mean, covariance, lambda at, _: r[at]).flat(k)[0]

    def masses(self, flat: np.ndarray) -> np.ndarray:
        """Sums of the responsibilities (k,) in statistics."""
        return flat[: self.k] * self.weight_sum

    def log_volumes(self, found: Parameters) -> np.ndarray:
        """Log-determinants of the covariances of (u, v), shape (k,)."""
        return found.gate.log_det + found.noise.log_det

    def value(self, found: Parameters) -> tuple[float, np.ndarray]:
        """Log-likelihood, and sums of the responsibilities (k,)."""
        values, flat = self._expect([found], np.zeros((1, 1)))
        return float(values[0]), self.masses(flat[0])

    def _expect(self, runs: Sequence[Parameters], before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihoods (R,) and statistics (R, s) at the parameters of each run; minus infinity, and those
        of `before`, where a covariance is singular to rounding."""
        values = np.full(len(runs), self.offset)
        log_weights = np.concatenate([p.log_weights for p in runs])
        means, covariances = (np.concatenate(a) for a in zip(*(_joint(p) for p in runs), strict=True))

        def posterior(at: np.ndarray, log_density: np.ndarray) -> np.ndarray:
            joint = (log_weights + log_density).reshape(len(at), len(runs), self.k)
            level = np.logaddexp.reduce(joint, axis=2)
            values[:] += level.sum(axis=0) if self.weights is None else self.weights[at] @ level
            return np.exp(joint - level[:, :, None]).reshape(len(at), -1)

        try:
            return values, self._sums(means, covariances, posterior).flat(self.k)
        except np.linalg.LinAlgError:
            if len(runs) == 1:
                return np.full(1, -np.inf), before
        each = [self._expect([p], before[[i]]) for i, p in enumerate(runs)]
        return np.concatenate([v for v, _ in each]), np.concatenate([s for _, s in each])

    def rowwise(self, found: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities (n, k) and log-densities (n,)."""
        out, density = np.empty((len(self.z), self.k)), np.empty(len(self.z))
        mean, covariance = _joint(found)
        for at, seen, lacking in self.patterns.each:
            log_density = conditional(mean, covariance, self.z[at[:, None], seen], seen, lacking).log_density
            joint = found.log_weights + log_density
            level = log_sum_exp(joint)
            out[at], density[at] = np.exp(joint - level), level[:, 0]
        return out, density

    def responsibilities(self, found: Parameters) -> np.ndarray:
        """Posterior probabilities (n, k)."""
        return self.rowwise(found)[0]

    def _sums(
        self,
        mean: np.ndarray,
        covariance: np.ndarray,
        memberships: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> Statistics:
        """Expected sums over the rows of components (K, P), `memberships` (rows, K) of rows and their
        log-densities (rows, K)."""
        K, P = mean.shape
        mass, sums = np.zeros(K), np.zeros((K, 1 + P, 1 + P))
        for at, seen, lacking in self.patterns.each:
            found = conditional(mean, covariance, self.z[at[:, None], seen], seen, lacking)
            r = memberships(at, found.log_density)
            if self.weights is not None:
                r = r * self.weights[at, None]
            mass += r.sum(axis=0)
            own = 1 + lacking
            full = np.ones((K, len(at), 1 + P))
            full[:, :, 1 + seen] = self.z[at[:, None], seen]
            full[:, :, own] = np.swapaxes(found.means, 0, 1)
            sums += np.swapaxes(full * r.T[:, :, None], 1, 2) @ full
            sums[:, own[:, None], own] += r.sum(axis=0)[:, None, None] * found.covariances
        N, Q = self.weight_sum, self._monomials
        sums /= N
        second = sums[:, Q:, Q:]
        if not self.shape.noise.needs_matrix:
            second = np.diagonal(second, axis1=1, axis2=2)
        return Statistics(mass / N, sums[:, :Q, :Q], sums[:, :Q, Q:], second, np.zeros(K))

    @property
    def _monomials(self) -> int:
        """Of u: the constant and its columns."""
        return 1 + self.z.shape[1] - self.D

    @property
    def _second(self) -> tuple[int, ...]:
        """Shape of a component's second moments."""
        return (self.D, self.D) if self.shape.noise.needs_matrix else (self.D,)


def _joint(found: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Mean (k, P) and covariance (k, P, P) of (u, v) in each component."""
    gamma, noise, B = found.gate.dense(), found.noise.dense(), found.coefficients
    A, p, D = B[:, :, 1:], found.means.shape[1], B.shape[1]
    mean = np.concatenate([found.means, B[:, :, 0] + np.einsum("kdp,kp->kd", A, found.means)], axis=1)
    out = np.empty((len(B), p + D, p + D))
    cross = A @ gamma
    out[:, :p, :p] = gamma
    out[:, p:, :p], out[:, :p, p:] = cross, np.swapaxes(cross, 1, 2)
    out[:, p:, p:] = noise + cross @ np.swapaxes(A, 1, 2)
    return mean, out


def pooled(z: np.ndarray, weights: np.ndarray | None, p: int) -> MarginalProblem:
    """One Gaussian of rows z (n, P) with NaN, by EM: a problem with its mean and covariance."""
    P = z.shape[1]
    one = MarginalProblem(z, weights, Shape(1, p, Full(), Full()), P - p, np.zeros(P), np.eye(P))
    end = accelerated_em(one, one.statistics(np.ones((len(z), 1))), POOLED_TOL, POOLED_LIMIT)
    mean, covariance = _joint(end.parameters)
    return replace(one, mean=mean[0], covariance=covariance[0])

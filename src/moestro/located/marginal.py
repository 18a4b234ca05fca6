"""Located models on rows with missing values: the likelihood of what was seen, and EM with the moments of the
rest.

    L = sum_i w_i log sum_e pi_e N(z_o; mu_e,o, S_e,oo),   z = (u, v), o the columns that row i has,

mu_e and S_e being the joint law of the component, whatever the structures of its covariances. The E-step
takes E[z z' | z_o, e] for the products of complete rows (Ghahramani and Jordan, 1994), so every M-step from
second moments stays as it is. Values are missing at random (Rubin, 1976): whether a value is missing may
depend on the values that are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..gates import log_sum_exp
from .climb import climb
from .holes import Patterns, conditional
from .spread import Full
from .statistics import Parameters, Shape, Statistics, m_step

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

    # EM, as `climb` and the search ask for it

    def em(
        self, flat: np.ndarray, previous: Parameters | None
    ) -> tuple[Parameters | None, float, np.ndarray]:
        """One M-step from statistics, the log-likelihood there, and the statistics there."""
        found = m_step(self.shape, self._empty().like(flat), previous)
        if found is None:
            return None, -np.inf, flat
        value, statistics = self.expect(found)
        return found, value, statistics.flat()

    def statistics(self, r: np.ndarray) -> np.ndarray:
        """Statistics of responsibilities r (n, k), missing values as under one Gaussian."""
        k = self.k
        mean, covariance = np.tile(self.mean, (k, 1)), np.tile(self.covariance, (k, 1, 1))
        return self._sums(mean, covariance, lambda at, _: r[at]).flat()

    def masses(self, flat: np.ndarray) -> np.ndarray:
        """Sums of the responsibilities (k,) in statistics."""
        return flat[: self.k] * self.weight_sum

    def log_volumes(self, found: Parameters) -> np.ndarray:
        """Log-determinants of the covariances of (u, v), shape (k,)."""
        return found.gate.log_det + found.noise.log_det

    def value(self, found: Parameters) -> tuple[float, np.ndarray]:
        """Log-likelihood, and sums of the responsibilities (k,)."""
        value, s = self.expect(found)
        return value, s.mass * self.weight_sum

    def expect(self, found: Parameters) -> tuple[float, Statistics]:
        """Log-likelihood and statistics at parameters."""
        value = self.offset

        def posterior(at: np.ndarray, log_density: np.ndarray) -> np.ndarray:
            nonlocal value
            joint = found.log_weights + log_density
            level = log_sum_exp(joint)
            value += float(level.sum() if self.weights is None else self.weights[at] @ level[:, 0])
            return np.exp(joint - level)

        try:
            statistics = self._sums(*_joint(found, self.D), posterior)
        except np.linalg.LinAlgError:  # a covariance at its floor
            return -np.inf, self._empty()
        return value, statistics

    def rowwise(self, found: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities (n, k) and log-densities (n,)."""
        out, density = np.empty((len(self.z), self.k)), np.empty(len(self.z))
        mean, covariance = _joint(found, self.D)
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
        """Expected sums over the rows of components (k, P), `memberships` (rows, k) of rows and their
        log-densities (rows, k)."""
        k, P = mean.shape
        mass, sums = np.zeros(k), np.zeros((k, 1 + P, 1 + P))
        for at, seen, lacking in self.patterns.each:
            found = conditional(mean, covariance, self.z[at[:, None], seen], seen, lacking)
            r = memberships(at, found.log_density)
            if self.weights is not None:
                r = r * self.weights[at, None]
            mass += r.sum(axis=0)
            own = 1 + lacking
            full = np.ones((len(at), 1 + P))
            full[:, 1 + seen] = self.z[at[:, None], seen]
            for e in range(k):
                full[:, own] = found.means[:, e]
                sums[e] += (full * r[:, e, None]).T @ full
                sums[e][own[:, None], own] += r[:, e].sum() * found.covariances[e]
        N, Q = self.weight_sum, 1 + P - self.D
        sums /= N
        second = sums[:, Q:, Q:]
        if not self.shape.noise.needs_matrix:
            second = np.diagonal(second, axis1=1, axis2=2)
        return Statistics(mass / N, sums[:, :Q, :Q], sums[:, :Q, Q:], second, np.zeros(k))

    def _empty(self) -> Statistics:
        k, D, Q = self.k, self.D, 1 + self.z.shape[1] - self.D
        second = (k, D, D) if self.shape.noise.needs_matrix else (k, D)
        return Statistics(
            np.zeros(k), np.zeros((k, Q, Q)), np.zeros((k, Q, D)), np.zeros(second), np.zeros(k)
        )


def _joint(found: Parameters, D: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (k, P) and covariance (k, P, P) of (u, v) in each component."""
    gamma, noise, B = found.gate.dense(), found.noise.dense(), found.coefficients
    A, p = B[:, :, 1:], found.means.shape[1]
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
    end = climb(one, one.statistics(np.ones((len(z), 1))), POOLED_TOL, POOLED_LIMIT)
    mean, covariance = _joint(end.parameters, P - p)
    return replace(one, mean=mean[0], covariance=covariance[0])

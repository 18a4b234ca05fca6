"""Located models with structured covariances, polynomial experts or Student tails: the sums over the rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import digamma

from ..gates import log_sum_exp
from . import polynomial
from .normal import log_density
from .statistics import Parameters, Shape, Statistics, m_step

BLOCK = 4096
WIDE_COLUMNS = 60  # columns beyond which a matrix of second moments a component is dear


@dataclass(frozen=True)
class StructuredProblem:
    """The joint log-likelihood of (u, v) over standardised rows.

    Attributes
    ----------
    u : ndarray of shape (n, p)
        The located side.
    v : ndarray of shape (n, D)
        The experts' side.
    weights : ndarray of shape (n,) or None
    shape : Shape
    degree : int
        Of the experts' means in u.
    offset : float
        What the user's units add to the sum of log-densities.
    """

    u: np.ndarray
    v: np.ndarray
    weights: np.ndarray | None
    shape: Shape
    degree: int = 1
    offset: float = 0.0

    @property
    def k(self) -> int:
        return self.shape.k

    @cached_property
    def rows(self) -> np.ndarray:
        """(u, v), shape (n, p + D)."""
        return np.concatenate([self.u, self.v], axis=1)

    @cached_property
    def phi(self) -> np.ndarray:
        """Monomials (n, Q)."""
        return polynomial.values(self.u, self.degree)

    @cached_property
    def weight_sum(self) -> float:
        return float(len(self.u) if self.weights is None else self.weights.sum())

    @property
    def is_wide(self) -> bool:
        """Whether second moments are large matrices."""
        return self.shape.noise.needs_matrix and self.v.shape[1] > WIDE_COLUMNS

    # EM. Statistics travel as one vector: see `climb`.

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
        """Statistics of responsibilities r (n, k)."""
        out = self._empty()
        for at in self._blocks():
            weighted = r[at] if self.weights is None else r[at] * self.weights[at, None]
            self._add(out, at, weighted, weighted, np.zeros_like(weighted))
        return self._scaled(out).flat()

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
        out, value = self._empty(), self.offset
        for at in self._blocks():
            joint, w, log_w = self._joint(found, at)
            level = log_sum_exp(joint)
            r = np.exp(joint - level)
            if self.weights is None:
                value += float(level.sum())
            else:
                value += float(self.weights[at] @ level[:, 0])
                r = r * self.weights[at, None]
            self._add(out, at, r, r * w, r * (log_w - w))
        return value, self._scaled(out)

    def rowwise(self, found: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities (n, k) and log-densities (n,)."""
        out, density = np.empty((len(self.u), self.k)), np.empty(len(self.u))
        for at in self._blocks():
            joint = self._joint(found, at)[0]
            level = log_sum_exp(joint)
            out[at], density[at] = np.exp(joint - level), level[:, 0]
        return out, density

    def responsibilities(self, found: Parameters) -> np.ndarray:
        """Posterior probabilities (n, k)."""
        return self.rowwise(found)[0]

    def residuals(self, found: Parameters, e: int, rows: np.ndarray) -> np.ndarray:
        """v - B_e phi of some rows."""
        return self.v[rows] - self.phi[rows] @ found.coefficients[e].T

    def _joint(self, found: Parameters, at: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log pi_e p_e(u, v), E[W] and E[log W] given the component, each (rows, k)."""
        D = self.u.shape[1] + self.v.shape[1]
        log_det = found.gate.log_det + found.noise.log_det
        distance = np.empty((at.stop - at.start, self.k))
        for e in range(self.k):
            distance[:, e] = found.gate.distance(e, self.u[at] - found.means[e])
            distance[:, e] += found.noise.distance(e, self.v[at] - self.phi[at] @ found.coefficients[e].T)
        joint = found.log_weights + log_density(distance, log_det, D, found.degrees_of_freedom)
        if found.degrees_of_freedom is None:
            one = np.ones_like(distance)
            return joint, one, np.zeros_like(one)
        nu = found.degrees_of_freedom
        half = 0.5 * (nu + distance)
        return joint, 0.5 * (nu + D) / half, digamma(0.5 * (nu + D)) - np.log(half)

    def _add(self, out: Statistics, at: slice, r: np.ndarray, rw: np.ndarray, tail: np.ndarray) -> None:
        phi, v = self.phi[at], self.v[at]
        out.mass[:] += r.sum(axis=0)
        out.tail[:] += tail.sum(axis=0)
        squares = None if self.shape.noise.needs_matrix else v * v
        for e in range(self.k):
            weighted = phi * rw[:, e, None]
            out.gram[e] += weighted.T @ phi
            out.cross[e] += weighted.T @ v
            out.second[e] += (v * rw[:, e, None]).T @ v if squares is None else rw[:, e] @ squares

    def _scaled(self, out: Statistics) -> Statistics:
        N = self.weight_sum
        return Statistics(out.mass / N, out.gram / N, out.cross / N, out.second / N, out.tail / N)

    def _empty(self) -> Statistics:
        k, D, Q = self.k, self.v.shape[1], self.phi.shape[1]
        second = (k, D, D) if self.shape.noise.needs_matrix else (k, D)
        return Statistics(
            np.zeros(k), np.zeros((k, Q, Q)), np.zeros((k, Q, D)), np.zeros(second), np.zeros(k)
        )

    def _blocks(self) -> list[slice]:
        n = len(self.u)
        return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]

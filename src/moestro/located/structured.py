"""Located models with structured covariances, polynomial experts or Student tails: the sums over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import polynomial
from .normal import log_density, softmax
from .statistics import Parameters, Shape, Statistics, m_step, possible
from .tails import TailSums, hidden_scales

NUMBERS = 2**19  # of the residuals of all components that are held together, for a run
LEAST, BLOCK = 256, 4096  # rows
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
    def both(self) -> np.ndarray:
        """Monomials and v, (n, Q + D)."""
        return np.concatenate([self.phi, self.v], axis=1)

    @cached_property
    def weight_sum(self) -> float:
        return float(len(self.u) if self.weights is None else self.weights.sum())

    @property
    def is_wide(self) -> bool:
        """Whether second moments are large matrices."""
        return self.shape.noise.needs_matrix and self.v.shape[1] > WIDE_COLUMNS

    # EM. Statistics travel as one vector a run: see `accelerated_em`.

    def em(
        self, flat: np.ndarray, previous: Sequence[Parameters] | None
    ) -> tuple[list[Any], np.ndarray, np.ndarray]:
        """One M-step from statistics (R, s) of each run, the log-likelihoods there, and the statistics."""
        at = np.flatnonzero(possible(self.k, self.phi.shape[1], flat))
        out: list[Any] = [None] * len(flat)
        values, statistics = np.full(len(flat), -np.inf), flat.copy()
        if len(at):
            before = None if previous is None else [previous[int(i)] for i in at]
            s = Statistics.of(flat[at], self.k, self.phi.shape[1], self._second)
            found, values[at], new = self._settled(m_step(self.shape, s, before))
            statistics[at] = new.flat(self.k)
            for i, own in zip(at, found.runs(self.k), strict=True):
                out[i] = own
        return out, values, statistics

    def statistics(self, r: np.ndarray) -> np.ndarray:
        """Statistics of responsibilities r (n, k)."""
        out = self._empty(self.k)
        for at in self._blocks():
            weighted = r[at].T if self.weights is None else r[at].T * self.weights[at]
            self._add(out, at, weighted, weighted)
        return self._scaled(out).flat(self.k)[0]

    def masses(self, flat: np.ndarray) -> np.ndarray:
        """Sums of the responsibilities (k,) in statistics."""
        return flat[: self.k] * self.weight_sum

    def log_volumes(self, found: Parameters) -> np.ndarray:
        """Log-determinants of the covariances of (u, v), shape (k,)."""
        return found.gate.log_det + found.noise.log_det

    def value(self, found: Parameters) -> tuple[float, np.ndarray]:
        """Log-likelihood, and sums of the responsibilities (k,)."""
        values, s = self._expect(found)
        return float(values[0]), s.mass * self.weight_sum

    def _settled(self, found: Parameters) -> tuple[Parameters, np.ndarray, Statistics]:
        """Parameters of R runs after an M-step, their degrees of freedom where the log-likelihood itself is
        higher, with log-likelihoods (R,) and statistics there."""
        nu = found.degrees_of_freedom
        if nu is None:
            return found, *self._expect(found)
        distances = [self._distances(found, at) for at in self._blocks()]
        tails, before = TailSums(nu, self._columns), np.full(len(nu) // self.k, self.offset)
        for at, distance in zip(self._blocks(), distances, strict=True):
            r, level = self._shares(self._joint(found, distance), at)
            before += level
            tails.add(r, distance)
        raised = tails.raised()
        tried = replace(found, degrees_of_freedom=raised)
        values, s = self._expect(tried, distances)
        lower = ~(values >= before)
        if lower.any():
            tried = replace(found, degrees_of_freedom=np.where(np.repeat(lower, self.k), nu, raised))
            values, s = self._expect(tried, distances)
        return tried, values, s

    def _expect(
        self, found: Parameters, distances: Sequence[np.ndarray] | None = None
    ) -> tuple[np.ndarray, Statistics]:
        """Log-likelihoods (R,) and statistics at the parameters of R runs; `distances` of all blocks where
        they are known."""
        K = len(found.means)
        out, values = self._empty(K), np.full(K // self.k, self.offset)
        for i, at in enumerate(self._blocks()):
            distance = self._distances(found, at) if distances is None else distances[i]
            r, level = self._shares(self._joint(found, distance), at)
            values += level
            if found.degrees_of_freedom is None:
                self._add(out, at, r, r)
            else:
                w, log_w = hidden_scales(distance, self._columns, found.degrees_of_freedom[:, None])
                self._add(out, at, r, r * w)
                out.tail[:] += (r * (log_w - w)).sum(axis=1)
        return values, self._scaled(out)

    def _shares(self, joint: np.ndarray, at: slice) -> tuple[np.ndarray, np.ndarray]:
        """Weighted responsibilities (K, rows) of log pi_e p_e, and the runs' sums of log-densities (R,)."""
        r, level = softmax(joint.reshape(-1, self.k, joint.shape[1]), axis=1)
        r = r.reshape(joint.shape)
        if self.weights is None:
            return r, level.sum(axis=1)
        return r * self.weights[at], level @ self.weights[at]

    def rowwise(self, found: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities (n, k) and log-densities (n,)."""
        out, density = np.empty((len(self.u), self.k)), np.empty(len(self.u))
        for at in self._blocks():
            r, density[at] = softmax(self._joint(found, self._distances(found, at)))
            out[at] = r.T
        return out, density

    def responsibilities(self, found: Parameters) -> np.ndarray:
        """Posterior probabilities (n, k)."""
        return self.rowwise(found)[0]

    def residuals(self, found: Parameters, e: int, rows: np.ndarray) -> np.ndarray:
        """v - B_e phi of some rows."""
        return self.v[rows] - self.phi[rows] @ found.coefficients[e].T

    @property
    def _columns(self) -> int:
        return self.u.shape[1] + self.v.shape[1]

    def _distances(self, found: Parameters, at: slice) -> np.ndarray:
        """Squared distances (K, rows) of (u, v) from the components."""
        predicted = self.phi[at] @ np.swapaxes(found.coefficients, 1, 2)
        out = found.gate.distances(self.u[at] - found.means[:, None])
        out += found.noise.distances(self.v[at] - predicted)
        return out

    def _joint(self, found: Parameters, distance: np.ndarray) -> np.ndarray:
        """log pi_e p_e(u, v), (K, rows), of squared distances."""
        log_det = (found.gate.log_det + found.noise.log_det)[:, None]
        nu = None if found.degrees_of_freedom is None else found.degrees_of_freedom[:, None]
        return found.log_weights[:, None] + log_density(distance, log_det, self._columns, nu)

    def _add(self, out: Statistics, at: slice, r: np.ndarray, rw: np.ndarray) -> None:
        """Sums of rows with responsibilities r and r w (K, rows)."""
        both, Q = self.both[at], self.phi.shape[1]
        out.mass[:] += r.sum(axis=1)
        matrix = self.shape.noise.needs_matrix
        left = both if matrix else both[:, :Q]
        sums = (left.T * rw[:, None, :]) @ both
        out.gram[:] += sums[:, :Q, :Q]
        out.cross[:] += sums[:, :Q, Q:]
        out.second[:] += sums[:, Q:, Q:] if matrix else rw @ both[:, Q:] ** 2

    def _scaled(self, out: Statistics) -> Statistics:
        N = self.weight_sum
        return Statistics(out.mass / N, out.gram / N, out.cross / N, out.second / N, out.tail / N)

    @property
    def _second(self) -> tuple[int, ...]:
        """Shape of a component's second moments."""
        D = self.v.shape[1]
        return (D, D) if self.shape.noise.needs_matrix else (D,)

    def _empty(self, K: int) -> Statistics:
        D, Q = self.v.shape[1], self.phi.shape[1]
        zeros = ((K,), (K, Q, Q), (K, Q, D), (K, *self._second), (K,))
        return Statistics(*(np.zeros(shape) for shape in zeros))

    def _blocks(self) -> list[slice]:
        n = len(self.u)
        step = int(np.clip(NUMBERS // (self.k * self.both.shape[1]), LEAST, BLOCK))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

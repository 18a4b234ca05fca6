"""Rows of a located fit: checked, standardised, and the way back to the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DataError
from ..rows import MERGE_LIMIT, merge_rows, row_keys, shuffled
from . import polynomial
from .checks import columns_of, enough, names_of, no_twins
from .marginal import MarginalProblem, pooled
from .measure import LocatedMeasure
from .natural import Monomials
from .problem import JointProblem
from .specification import Specification
from .spread import floored
from .statistics import Parameters, Shape
from .structured import StructuredProblem

JOINT_COLUMNS = 24  # columns up to which a full joint mixture is summed as one product of monomials
LARGEST = 1e150  # a standard deviation whose square is a double, and so is that of its inverse


@dataclass(frozen=True)
class Data:
    """Standardised rows (u, v) and what standardised them; u is the located side.

    Attributes
    ----------
    u, v : ndarray of shape (n, p) and (n, D)
    weights : ndarray of shape (n,) or None
    center, scale : ndarray of shape (p + D,)
    offset : float
        What the user's units add to the sum of log-densities.
    threads : int
    pooled : MarginalProblem or None
        Where values are missing: the rows with NaN there, and one Gaussian of them, under which u and v are
        filled with what is expected.
    """

    u: np.ndarray
    v: np.ndarray
    weights: np.ndarray | None
    center: np.ndarray
    scale: np.ndarray
    offset: float
    threads: int = 1
    pooled: MarginalProblem | None = None

    @classmethod
    def read(
        cls, x: Any, y: Any, weights: Any, spec: Specification, k: int, threads: int = 1,
        names: Sequence[str] = (),
    ) -> Data:  # fmt: skip
        """Check and standardise; one sentence says what is wrong, with the `names` of the columns of x and y,
        x0, x1, ..., y0, ... where they have none."""
        x, y, w = columns_of(x, y, weights, spec.missing == "marginal", names)
        names = names_of(x, y, names)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise DataError(f"the number of experts must be a whole number of at least 1, got {k!r}")
        if len(x) <= MERGE_LIMIT:  # so that a weight of 2 is a row written twice, to the bit
            x, y, w = _merged(x, y, w)
        u, v = (x, y) if spec.direction == "direct" else (y, x)
        if spec.direction == "inverse":
            names = names[x.shape[1] :] + names[: x.shape[1]]
        if not v.shape[1]:
            raise DataError("the experts have no columns to explain")
        rows = np.concatenate([u, v], axis=1)
        n = len(rows) if w is None else int(np.count_nonzero(w))
        enough(n, u.shape[1], v.shape[1], spec, k)
        gaps = np.isnan(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            center = _average(rows, w, gaps)
            scale = np.sqrt(_average((rows - center) ** 2, w, gaps))
        for j in np.flatnonzero(~(scale < LARGEST)):
            raise DataError(f"column '{names[j]}' is too large for double precision: rescale it")
        flat = np.flatnonzero(scale <= 1e-13 * np.nanmax(np.abs(rows), axis=0))
        if len(flat):
            raise DataError(f"column '{names[flat[0]]}' is constant: its variance is zero")
        for j in np.flatnonzero(scale < 1 / LARGEST):
            raise DataError(f"column '{names[j]}' is too small for double precision: rescale it")
        reach = np.nanmax(np.abs(rows[:, : u.shape[1]]), axis=0)
        for j in np.flatnonzero(reach > LARGEST ** (2 / spec.degree)):
            raise DataError(
                f"column '{names[j]}' is too large for degree={spec.degree} in double precision: rescale it"
            )
        rows, p = (rows - center) / scale, u.shape[1]
        one = pooled(rows, w, p) if gaps.any() else None
        rows = rows if one is None else one.rows
        if spec.gate_covariance == "full":
            no_twins(rows[:, :p], w, names[:p], "gate_covariance")
        if spec.covariance == "full" and v.shape[1] <= 200:
            no_twins(rows[:, p:], w, names[p:], "covariance")
        total = len(rows) if w is None else float(w.sum())
        offset = -float(total) * float(np.log(scale).sum())
        if one is not None:  # each column counts where it is seen
            offset = -float((~gaps if w is None else w[:, None] * ~gaps).sum(axis=0) @ np.log(scale))
        return cls(
            rows[:, :p].copy(), rows[:, p:].copy(), w, center, scale, offset, threads, one
        )  # fmt: skip

    @property
    def p(self) -> int:
        return self.u.shape[1]

    def take(self, rows: np.ndarray) -> Data:
        """Some rows, with the same units."""
        w = None if self.weights is None else self.weights[rows]
        one = self.pooled and replace(self.pooled, z=self.pooled.z[rows], weights=w)
        return replace(self, u=self.u[rows], v=self.v[rows], weights=w, offset=0.0, pooled=one)

    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
        """A random order of the rows, as `sample_rows`: indices (n,)."""
        return shuffled(row_keys([*self.u.T, *self.v.T]), seed, most)

    @property
    def seen(self) -> float:
        """Numbers of an average row."""
        every = self.u.shape[1] + self.v.shape[1]
        if self.pooled is None:
            return float(every)
        return float(np.average(self.pooled.patterns.counts, weights=self.weights))

    def problem(self, spec: Specification, k: int) -> JointProblem | StructuredProblem | MarginalProblem:
        """The log-likelihood of the model on these rows."""
        p, D = self.u.shape[1], self.v.shape[1]
        if self.pooled is not None:
            return replace(self.pooled, shape=self.shape(spec, k), offset=self.offset)
        if spec.is_joint(p, D) and p + D <= JOINT_COLUMNS:
            rows = np.concatenate([self.u, self.v], axis=1)
            return JointProblem(rows, self.weights, k, self.offset, self.threads)
        return StructuredProblem(self.u, self.v, self.weights, self.shape(spec, k), spec.degree, self.offset)

    def shape(self, spec: Specification, k: int) -> Shape:
        """The structures of the model in standardised columns."""
        return spec.shape(k, self.u.shape[1], self.v.shape[1], tuple(self.scale.tolist()))

    def volume(self, spec: Specification) -> float:
        """Log-determinant of the covariance of a single component on all rows, kept for every k that asks."""
        if spec.covariance == "blocks":  # whose partitions may be k
            spec = replace(spec, covariance="diagonal", blocks=None)
        if spec not in self._volumes:
            one: Any = self.problem(spec, 1)
            parameters = one.em(one.statistics(np.ones((len(self.u), 1)))[None], None)[0][0]
            self._volumes[spec] = float(one.log_volumes(parameters)[0])
        return self._volumes[spec]

    @cached_property
    def _volumes(self) -> dict[Specification, float]:
        return {}

    def measure(
        self, problem: JointProblem | StructuredProblem | MarginalProblem, parameters: Any
    ) -> LocatedMeasure:
        """What was fitted, in the user's units and in the direction of the fit."""
        if isinstance(problem, JointProblem):
            return self._of_phi(problem, parameters)
        return self._of_parameters(problem, parameters)

    def phi_of(self, measure: LocatedMeasure) -> np.ndarray:
        """Natural parameters, in standardised columns, of Gaussian atoms."""
        mean, covariance = measure.joint()
        mean = (mean - self.center) / self.scale
        covariance = covariance / np.outer(self.scale, self.scale)
        with np.errstate(divide="ignore"):
            log_weights = np.maximum(np.log(measure.weights), -50.0)
        return Monomials(len(self.center)).natural(log_weights, mean, floored(covariance)).ravel()

    def in_user_units(self, at: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """u and v of some rows as they were read, to rounding, NaN where a value is missing."""
        p = self.p
        u, v = self.u[at], self.v[at]
        if self.pooled is not None:
            u, v = self.pooled.z[at, :p], self.pooled.z[at, p:]
        return u * self.scale[:p] + self.center[:p], v * self.scale[p:] + self.center[p:]

    def responsibilities(self, measure: LocatedMeasure) -> np.ndarray:
        """Posterior probabilities (n, k) under a measure in the user's units and the direction of the fit."""
        joint = measure.log_joint(*self.in_user_units())
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])

    def _of_phi(self, problem: JointProblem, phi: np.ndarray) -> LocatedMeasure:
        found = problem.monomials.gaussians(phi.reshape(problem.k, -1))
        assert found is not None
        log_mass, mean, covariance = found
        weights = np.exp(log_mass - np.logaddexp.reduce(log_mass))
        mean = mean * self.scale + self.center
        return LocatedMeasure.from_joint(weights, mean, covariance * np.outer(self.scale, self.scale), self.p)

    def _of_parameters(
        self, problem: StructuredProblem | MarginalProblem, found: Parameters
    ) -> LocatedMeasure:
        p = self.p
        su, sv, cu, cv = self.scale[:p], self.scale[p:], self.center[:p], self.center[p:]
        B = found.coefficients @ polynomial.change_of_units(cu, su, problem.degree)
        B = sv[:, None] * B
        weights = np.exp(found.log_weights)
        return LocatedMeasure(
            weights=weights / weights.sum(),
            means=found.means * su + cu,
            covariances=found.gate.dense() * np.outer(su, su),
            slopes=B[:, :, 1:],
            intercepts=B[:, :, 0] + cv,
            noise=found.noise.dense() * np.outer(sv, sv),
            degrees_of_freedom=found.degrees_of_freedom,
            degree=problem.degree,
        )


def _average(rows: np.ndarray, w: np.ndarray | None, gaps: np.ndarray) -> np.ndarray:
    """Weighted means of the columns, of what is seen."""
    if not gaps.any():
        return np.average(rows, axis=0, weights=w)
    share = ~gaps if w is None else ~gaps * w[:, None]
    return np.where(gaps, 0.0, rows * share).sum(axis=0) / share.sum(axis=0)


def _merged(
    x: np.ndarray, y: np.ndarray, w: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Distinct rows in sorted order with their summed weights."""
    columns = np.concatenate([x, y], axis=1)
    gaps = np.isnan(columns)
    if gaps.any():
        columns = np.concatenate([gaps, np.where(gaps, 0.0, columns)], axis=1)
    index, w = merge_rows(columns[:, :-1], None, columns[:, -1], w)
    return x[index], y[index], w

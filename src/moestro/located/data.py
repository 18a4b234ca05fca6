"""Rows of a located fit: checked, standardised, and the way back to the user's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..design.frames import which_rows
from ..errors import DataError
from ..rows import MERGE_LIMIT, merge_rows, row_keys, shuffled
from . import polynomial
from .marginal import MarginalProblem, pooled
from .measure import LocatedMeasure
from .natural import Monomials
from .problem import JointProblem
from .specification import Specification
from .spread import floored
from .statistics import Parameters, Shape
from .structured import StructuredProblem

JOINT_COLUMNS = 24  # columns up to which a full joint mixture is summed as one product of monomials
MANY_COLUMNS = 50  # columns beyond which a covariance or a mean without enough rows is refused, not fitted
MOST_TERMS = 5000  # slopes of an expert: its matrix of their second moments has this to the square
LARGEST = 1e150  # a standard deviation whose square is a double
ALIASED = 1e-10  # 1 - |correlation| below which two columns count as one


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
    def read(cls, x: Any, y: Any, weights: Any, spec: Specification, k: int, threads: int = 1) -> Data:
        """Check and standardise; one sentence says what is wrong."""
        x, y, w = columns_of(x, y, weights, spec.missing == "marginal")
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise DataError(f"the number of experts must be a whole number of at least 1, got {k!r}")
        names = [f"x{j}" for j in range(x.shape[1])] + [f"y{j}" for j in range(y.shape[1])]
        if len(x) <= MERGE_LIMIT:  # so that a weight of 2 is a row written twice, to the bit
            x, y, w = _merged(x, y, w)
        u, v = (x, y) if spec.direction == "direct" else (y, x)
        if spec.direction == "inverse":
            names = names[x.shape[1] :] + names[: x.shape[1]]
        if not v.shape[1]:
            raise DataError("the experts have no columns to explain")
        rows = np.concatenate([u, v], axis=1)
        n = len(rows) if w is None else int(np.count_nonzero(w))
        _enough(n, u.shape[1], v.shape[1], spec, k)
        gaps = np.isnan(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            center = _average(rows, w, gaps)
            scale = np.sqrt(_average((rows - center) ** 2, w, gaps))
        for j in np.flatnonzero(~(scale < LARGEST)):
            raise DataError(f"column {names[j]} is too large for double precision: rescale it")
        flat = np.flatnonzero(scale <= 1e-13 * np.nanmax(np.abs(rows), axis=0))
        if len(flat):
            raise DataError(f"column {names[flat[0]]} is constant: its variance is zero")
        rows, p = (rows - center) / scale, u.shape[1]
        one = pooled(rows, w, p) if gaps.any() else None
        rows = rows if one is None else one.rows
        if spec.gate_covariance == "full":
            _no_twins(rows[:, :p], w, names[:p], "gate_covariance")
        if spec.covariance == "full" and v.shape[1] <= 200:
            _no_twins(rows[:, p:], w, names[p:], "covariance")
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


def columns_of(
    x: Any, y: Any, weights: Any, holes: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x (n, d), y (n, q) and weights as finite numbers; with `holes` NaN says that a value is missing."""
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows, y has {len(y)}")
    try:
        x, y = (np.asarray(a, dtype=float).reshape(len(a), -1) for a in (x, y))
    except (TypeError, ValueError) as error:
        raise DataError("x and y must hold numbers only") from error
    if holes and not (np.isinf(x).any() or np.isinf(y).any()):
        _refuse_unseen(np.concatenate([x, y], axis=1), x.shape[1])
    elif not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("x or y contains NaN or infinity: remove those rows first")
    w = None if weights is None else np.asarray(weights, dtype=float)
    n = len(x)
    if w is not None and (w.shape != (n,) or (w < 0).any() or not np.isfinite(w).all() or w.sum() <= 0):
        raise DataError(f"weights must be {n} finite numbers of at least 0 with a positive sum")
    return x, y, w


def _refuse_unseen(rows: np.ndarray, d: int) -> None:
    """Refuse rows and columns without a value."""
    gaps = np.isnan(rows)
    empty = np.asarray(gaps.all(axis=1))
    if empty.any():
        raise DataError(f"every value is missing in {which_rows(empty)}: leave such rows out")
    for j in np.flatnonzero(gaps.all(axis=0)):
        name = f"x{j}" if j < d else f"y{j - d}"
        raise DataError(f"column {name} has no value in any row: leave it out")


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


def _enough(n: int, p: int, D: int, spec: Specification, k: int) -> None:
    """Refuse fewer distinct rows than components, many columns with too few rows for even one full covariance
    or for the mean of one expert, and more monomials than matrices of them can be held.

    Few columns with too few rows are fitted, and the status names the components whose covariance is
    singular.
    """
    if n < k:
        raise DataError(f"{k} located experts need at least {k} distinct rows, got {n}")
    if spec.covariance == "full" and n < p + D + 1 and D > MANY_COLUMNS:
        raise DataError(
            f"a full covariance of {p + D} columns needs at least {p + D + 1} distinct rows, got {n}: "
            "covariance='diagonal', 'blocks' or 'factors' need fewer"
        )
    if spec.gate_covariance == "full" and n < p + 1 and p > MANY_COLUMNS:
        raise DataError(
            f"a full gate covariance of {p} columns needs at least {p + 1} distinct rows, got {n}: "
            "gate_covariance='diagonal' or direction='inverse' need fewer"
        )
    terms, most = polynomial.count(p, spec.degree), min(max(n - 1, MANY_COLUMNS), MOST_TERMS)
    if terms > most:
        raise DataError(
            f"experts of degree {spec.degree} in {p} columns have {terms} slopes, of which {n} distinct rows "
            f"bear {most}: use fewer columns, a lower degree or direction='inverse'"
        )


def _no_twins(rows: np.ndarray, w: np.ndarray | None, names: list[str], option: str) -> None:
    """Refuse columns of which one is a multiple of another: their full covariance is singular in every
    component."""
    if rows.shape[1] < 2:
        return
    weighted = rows if w is None else rows * w[:, None]
    correlation = np.abs(weighted.T @ rows) / (len(rows) if w is None else w.sum())
    i, j = np.nonzero(np.triu(correlation > 1.0 - ALIASED, 1))
    if len(i):
        raise DataError(
            f"columns {names[i[0]]} and {names[j[0]]} are multiples of each other, so that a full covariance "
            f"is singular: leave one out, or use {option}='diagonal'"
        )

"""Maximum likelihood of located experts under linear hypotheses about their coefficients, places and
variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space

from ..errors import DataError, quiet
from ..located import LocatedFit, LocatedMeasure
from ..located.checks import columns_of
from ..tables import Table
from .atoms import Atom, Moved
from .hypotheses import Hypotheses, HypothesisTest
from .located import free_of
from .louis import information
from .restricted import RAN_AWAY, chi_squared, ends_of
from .terms import Terms

STEPS = 100
HALVINGS = 40
DECREMENT = 1e-12  # squared Newton decrement, in units of the log-likelihood, at which a maximum is one
UNSURE = 1e-6  # the same, at which a search that cannot rise any more may end
FEASIBLE = 1e-9  # of a hypothesis, in standard errors
FLOOR = 1e-6  # of a curvature, in units of that of the complete data


@dataclass(frozen=True)
class Point:
    """The log-likelihood at a measure, to second order in its free parameters (F).

    Attributes
    ----------
    measure : LocatedMeasure
    value : float
    gradient : ndarray of shape (F,)
    observed : ndarray of shape (F, F)
        Information.
    size : ndarray of shape (F,)
        What a parameter is measured in: one over the root of the complete data's information.
    link : ndarray of shape (P, F)
        Derivatives of the atoms' blocks.
    jacobian : ndarray of shape (U, F)
        Derivatives of the user's parameters.
    moved : Moved
    """

    measure: LocatedMeasure
    value: float
    gradient: np.ndarray
    observed: np.ndarray
    size: np.ndarray
    link: np.ndarray
    jacobian: np.ndarray
    moved: Moved

    def step(self, d: np.ndarray) -> LocatedMeasure:
        """A step d (F,) away."""
        return self.moved.measure(self.link @ d)


@dataclass(frozen=True)
class LocatedRestricted:
    """The log-likelihood of a located fit on its rows x (n, d), y (n, q), weights w (n,), under R b = r for
    the user's parameters b."""

    fit: LocatedFit
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray

    @classmethod
    def of(cls, fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> LocatedRestricted:
        """Of a usable direct fit whose parameters are free within linear covariances."""
        spec = fit.specification
        if spec.direction == "inverse" or spec.covariance == "factors":
            what = "inverse regression" if spec.direction == "inverse" else "covariance='factors'"
            raise DataError(
                f"the likelihood cannot be profiled under {what}: use wald_test, or cov='bootstrap'"
            )
        if not fit.status.usable:
            raise DataError(f"the likelihood cannot be profiled from this fit ({fit.status.kind})")
        x, y, weights = columns_of(x, y, w)
        return cls(fit, x, y, np.ones(len(x)) if weights is None else weights)

    def at(self, measure: LocatedMeasure) -> Point:
        """To second order."""
        spec = self.fit.specification
        shape = spec.shape(measure.k, measure.d, measure.q)
        atoms = [Atom.of(measure, e, shape) for e in range(measure.k)]
        found = information(atoms, self.x, self.y, self.w)
        link, score_curvature, bound = free_of(atoms, shape, found.gradient)
        if bound.any():
            raise DataError("the likelihood cannot be profiled where a parameter is at its bound")
        complete = np.diag(link.T @ found.complete @ link - score_curvature)
        return Point(
            measure, found.value, link.T @ found.gradient, link.T @ found.observed @ link - score_curvature,
            1.0 / np.sqrt(np.maximum(complete, 1e-300)), link,
            Terms.of(measure, spec).jacobian(atoms, False) @ link, Moved(tuple(atoms), False),
        )  # fmt: skip

    def value(self, measure: LocatedMeasure) -> float:
        """Log-likelihood, minus infinity outside of the parameters' space."""
        with quiet():
            try:
                value = float(self.w @ measure.joint_log_density(self.x, self.y))
            except (DataError, np.linalg.LinAlgError):
                return -np.inf
        return value if np.isfinite(value) else -np.inf

    def maximum(self, R: np.ndarray, r: np.ndarray) -> Point:
        """A local maximum where R b = r, R (m, U): the nearest point there in standard errors of the complete
        data, and Newton's method in the null space of the hypotheses from it."""
        terms = Terms.of(self.fit.measure, self.fit.specification)
        _refuse_curved(terms, R)
        point = self.at(self.fit.measure)
        for _ in range(STEPS):
            A = (R @ point.jacobian) * point.size
            gap = r - R @ terms.values(point.measure)
            if np.linalg.matrix_rank(A, tol=1e-10 * np.abs(A).max(initial=1e-300)) < len(A):
                raise DataError(f"the {len(A)} hypotheses are not independent: leave some out")
            towards = point.size * np.linalg.lstsq(A, gap, rcond=None)[0]
            if np.abs(towards / point.size).max() > FEASIBLE:
                point = self.at(self._towards(point, towards))
                continue
            B = point.size[:, None] * null_space(A)
            values, vectors = np.linalg.eigh(B.T @ point.observed @ B)
            g = vectors.T @ (B.T @ point.gradient)
            step = g / np.maximum(np.abs(values), FLOOR)
            rise = float(g @ step)
            if rise <= DECREMENT * (1 + abs(point.value)):
                if len(values) and values[0] < -FLOOR:
                    break  # a saddle
                return point
            new = self._rising(point, B @ (vectors @ step), rise)
            if new is None:
                if rise <= UNSURE and (not len(values) or values[0] > 0):
                    return point
                break
            point = self.at(new)
        raise DataError(RAN_AWAY)

    def _towards(self, point: Point, d: np.ndarray) -> LocatedMeasure:
        """As far towards the hypotheses as the parameters' space reaches."""
        for i in range(HALVINGS):
            measure = point.step(d / 2**i)
            if np.isfinite(self.value(measure)):
                return measure
        raise DataError("the hypotheses lie outside of what the parameters may be")

    def _rising(self, point: Point, d: np.ndarray, rise: float) -> LocatedMeasure | None:
        for i in range(HALVINGS):
            measure = point.step(d / 2**i)
            if self.value(measure) >= point.value + 1e-4 * rise / 2**i:
                return measure
        return None

    def test(self, name: str, h: Hypotheses) -> HypothesisTest:
        """Chi-squared under the hypotheses, as `Restricted.test`."""
        point = self.maximum(h.R, h.r)
        statistic = 2.0 * (self.fit.log_likelihood - point.value)
        if name == "score":
            if np.linalg.eigvalsh(point.observed * np.outer(point.size, point.size))[0] <= 0:
                raise DataError("the information at the restricted maximum is not positive: no score test")
            statistic = float(point.gradient @ np.linalg.solve(point.observed, point.gradient))
        elif statistic < -1e-6 * (1 + abs(point.value)):
            raise DataError("a better optimum was found under the hypotheses: fit again with more starts")
        statistic = max(statistic, 0.0)
        table = Table({"hypothesis": list(h.texts)})
        return HypothesisTest(name, statistic, len(h.r), chi_squared(statistic, len(h.r)), table, "")

    def profile(self, i: int, estimate: float, se: float, level: float) -> tuple[float | None, float | None]:
        """Interval of parameter i, as `Restricted.profile`."""
        terms = Terms.of(self.fit.measure, self.fit.specification)
        R = np.zeros((1, len(terms.values(self.fit.measure))))
        R[0, i] = 1.0
        return ends_of(
            lambda b: self.maximum(R, np.array([b])).value, self.fit.log_likelihood, estimate, se, level
        )


def _refuse_curved(terms: Terms, R: np.ndarray) -> None:
    """Shares and degrees of freedom are not linear in the free parameters."""
    names = terms.names([f"x{j}" for j in range(terms.d)], [f"y{j}" for j in range(terms.q)])
    for term, column in zip(names, R.T, strict=True):
        if column.any() and term.term in ("share", "degrees of freedom"):
            raise DataError(
                f"the likelihood cannot be profiled for a {term.term}: use wald_test, or cov='bootstrap'"
            )

"""Maximum likelihood under linear hypotheses: likelihood-ratio and score tests, and profile intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import brentq, minimize
from scipy.special import chdtrc

from ..design import Units
from ..engine import Evaluation, Order, make_engine
from ..errors import DataError
from ..measure import relevelled, to_user, user_jacobian
from ..problems import MixtureFit
from ..rows import Rows
from ..solvers.coordinates import Objective
from ..tables import Table
from .estimates import critical
from .hypotheses import Hypotheses, HypothesisTest

FAR = 10  # doublings of a Wald interval's half within which an end is looked for
GRADIENT = 1e-6  # per row, at which a restricted maximum is one
RAN_AWAY = "the likelihood has no maximum under these hypotheses: an expert or a slope ran away"


@dataclass(frozen=True)
class Restricted:
    """The log-likelihood of a fit on its rows, under R b = r for the user's parameters b.

    Attributes
    ----------
    fit : MixtureFit
    units : Units
    objective : Objective
    """

    fit: MixtureFit
    units: Units
    objective: Objective

    @classmethod
    def of(
        cls, fit: MixtureFit, units: Units, rows: Rows, engine: str = "auto", threads: int = 1
    ) -> Restricted:
        """Of a usable fit within the bounds of its parameters."""
        c = fit.coordinates
        phi = c.collapse(fit.theta)
        if not fit.status.usable or ((phi <= c.lower) | (phi >= c.upper)).any():
            raise DataError(f"the likelihood cannot be profiled from this fit ({fit.status.kind})")
        return cls(fit, units, Objective(make_engine(fit.model, rows, engine, threads), c))

    def matrix(self, R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows (m, size) and constants (m,) of R b in phi."""
        c, model = self.fit.coordinates, self.fit.model
        told, R = R, np.zeros((len(R), model.size))
        R[:, model.present] = told
        A = R @ relevelled(model, user_jacobian(model, self.units))
        return c.map.gradient(A.T).T, R @ relevelled(model, to_user(model, self.units, c.map.b))

    def maximum(
        self, R: np.ndarray, r: np.ndarray, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, Evaluation]:
        """phi, and the evaluation there, by a trust region in the null space of the restrictions."""
        A, constant = self.matrix(R)
        phi = self.fit.coordinates.collapse(self.fit.theta) if start is None else start
        e = self.objective.evaluate(phi, Order.INFORMATION)
        assert e.information is not None
        size = 1.0 / np.sqrt(np.maximum(np.diag(e.information), 1e-12 * np.diag(e.information).max()))
        scaled = A * size
        if np.linalg.matrix_rank(scaled, tol=1e-10 * np.abs(scaled).max()) < len(A):
            raise DataError(f"the {len(A)} hypotheses are not independent: leave some out")
        phi = phi + size * np.linalg.lstsq(scaled, r - constant - A @ phi, rcond=None)[0]
        B = size[:, None] * null_space(scaled)
        if B.shape[1] == 0:
            return phi, self.objective.evaluate(phi, Order.CURVATURE)
        n = self.objective.weight_sum

        def at(order: Order) -> Callable[[np.ndarray], Evaluation]:
            return lambda psi: self.objective.evaluate(phi + B @ psi, order)

        value, first, second = at(Order.VALUE), at(Order.GRADIENT), at(Order.CURVATURE)
        how: Any = {"method": "trust-exact", "options": {"gtol": 1e-9 * n, "maxiter": 200}}
        try:
            found = minimize(
                lambda psi: -value(psi).value,
                np.zeros(B.shape[1]),
                jac=lambda psi: -(B.T @ _sure(first(psi).gradient)),
                hess=lambda psi: -(B.T @ _sure(second(psi).curvature) @ B),
                **how,
            )
        except OverflowError as error:  # SciPy's step where the curvature is singular to rounding
            raise DataError(RAN_AWAY) from error
        phi = phi + B @ found.x
        e = self.objective.evaluate(phi, Order.CURVATURE)
        c = self.fit.coordinates
        if ((phi <= c.lower) | (phi >= c.upper)).any() or np.abs(_sure(e.gradient) @ B).max() > GRADIENT * n:
            raise DataError(RAN_AWAY)
        return phi, e

    def test(self, name: str, h: Hypotheses) -> HypothesisTest:
        """Chi-squared under the hypotheses: 2 (L - L0), or g' I^-1 g with the score g and the observed
        information I at the restricted maximum (Rao, 1948)."""
        _, e = self.maximum(h.R, h.r)
        if name == "score":
            g, information = _sure(e.gradient), -_sure(e.curvature)
            if np.linalg.eigvalsh(information)[0] <= 0:
                raise DataError("the information at the restricted maximum is not positive: no score test")
            statistic = float(g @ np.linalg.solve(information, g))
        else:
            statistic = 2.0 * (self.fit.log_likelihood - e.value)
            if statistic < -1e-6 * (1 + abs(e.value)):
                raise DataError("a better optimum was found under the hypotheses: fit again with more starts")
        statistic = max(statistic, 0.0)
        df = len(h.r)
        table = Table({"hypothesis": list(h.texts)})
        return HypothesisTest(name, statistic, df, chi_squared(statistic, df), table, "")

    def profile(self, i: int, estimate: float, se: float, level: float) -> tuple[float | None, float | None]:
        """Values b of parameter i at which 2 (L - L(b)) reaches the chi-squared quantile; None where it does
        not."""
        R = np.zeros((1, int(self.fit.model.present.sum())))
        R[0, i] = 1.0

        def value(b: float) -> float:
            return self.maximum(R, np.array([b]))[1].value

        return ends_of(value, self.fit.log_likelihood, estimate, se, level)


def chi_squared(statistic: float, df: int) -> float:
    """P(chi-squared with df degrees of freedom > statistic)."""
    return float(chdtrc(df, statistic))


def ends_of(
    value: Callable[[float], float], log_likelihood: float, estimate: float, se: float, level: float
) -> tuple[float | None, float | None]:
    """Numbers b on both sides of an estimate at which 2 (L - value(b)) reaches the chi-squared quantile; None
    where it does not."""
    z = critical(level)

    def root(b: float) -> float:
        """sqrt(2 (L - L(b))) - z: about linear in |b - estimate|."""
        drop = log_likelihood - value(b)
        if drop < -1e-6 * (1 + abs(log_likelihood)):
            raise DataError("a better optimum was found along the profile: fit again with more starts")
        return float(np.sqrt(2.0 * max(drop, 0.0))) - z

    ends: list[float | None] = []
    for side in (-1.0, 1.0):
        near, half = estimate, z * se
        for _ in range(FAR):
            far = estimate + side * half
            if root(far) >= 0:
                ends.append(float(np.asarray(brentq(root, near, far, xtol=1e-7 * se))))
                break
            near, half = far, 2 * half
        else:
            ends.append(None)
    return ends[0], ends[1]


def _sure(part: np.ndarray | None) -> np.ndarray:
    assert part is not None
    return part

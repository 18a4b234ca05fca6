"""A penalised mixture at one strength as a problem of the search."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..engine import Order
from ..gates import log_softmax, log_sum_exp
from ..model import ActiveModel
from ..penalties import Terms
from ..problems import MixtureFit
from ..search import Defaults, End, Said, audited, budget_of, entropy, history
from ..search.problem import WIDE
from ..search.starts import STRATEGIES
from ..solvers import Coordinates, Status
from ..solvers.pool import Pool
from .begin import from_responsibilities
from .likelihood import Likelihood
from .restricted import Restricted, on_support, whole_model
from .screening import SCREENED, relevant
from .solve import Solution, solve
from .status import diagnose

VIEWED = (3, 6, SCREENED)  # columns of a side that a start or a move looks at
RUN_TOL, RUN_LIMIT = 1e-4, 30  # of runs: near enough to tell optima apart
PASSES = 300  # an expert, that a search may take


@dataclass(frozen=True, kw_only=True)
class PenalisedFit(MixtureFit):
    """A fitted penalised mixture; its tables of starts and iterations have the penalised log-likelihood, -n
    F.

    Attributes
    ----------
    alpha : float
    solution : Solution
        Experts in the order of the path.
    """

    alpha: float
    solution: Solution


@dataclass(frozen=True)
class PenalisedProblem(Defaults):
    """The penalised log-likelihood -n F at one strength; points are (u, slopes) in one vector.

    Attributes
    ----------
    likelihood : Likelihood
    terms : Terms
        Of all slopes, at strength alpha.
    alpha : float
    """

    likelihood: Likelihood
    terms: Terms
    alpha: float

    @property
    def k(self) -> int:
        return self.likelihood.k

    @property
    def n(self) -> int:
        return self.likelihood.rows.n

    @property
    def size(self) -> int:
        return self.likelihood.n_free + self.likelihood.size

    @property
    def weight_sum(self) -> float:
        return self.likelihood.n

    @property
    def weights(self) -> np.ndarray | None:
        return self.likelihood.rows.w

    @property
    def budget(self) -> float:
        return budget_of(self, PASSES)

    @property
    def wide(self) -> bool:
        return self.n * min(self.size, 100) > WIDE

    # Memberships

    @cached_property
    def _columns(self) -> tuple[np.ndarray, ...]:
        rows = self.likelihood.rows
        sides = (rows.experts,) if rows.gate is rows.experts else (rows.experts, rows.gate)
        return tuple(side.columns(relevant(self.likelihood, side)) for side in sides)

    def view(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y, count = self.likelihood.family.on_link_scale(self.likelihood.rows.scaled_y), rng.choice(VIEWED)
        y = (y - np.average(y, weights=self.weights)) / max(float(y.std()), 1e-300)
        return np.column_stack([side[:, :count] for side in self._columns]), y

    def guess(self, strategy: str, rng: np.random.Generator) -> np.ndarray:
        return STRATEGIES[strategy](rng, *self.view(rng), self.likelihood.rows.weights, self.k)

    def begin(self, memberships: Sequence[np.ndarray], pool: Pool) -> Sequence[np.ndarray]:
        return pool.map(lambda r: from_responsibilities(self._one, r), memberships)

    @cached_property
    def _one(self) -> Likelihood:
        """The likelihood as one of several runs side by side sums it."""
        return self.likelihood if self.wide else replace(self.likelihood, threads=1)

    def pooled(self) -> np.ndarray:
        return self.likelihood.pooled()

    def given(self, initial: np.ndarray) -> np.ndarray:
        return initial

    def by_mass(self, point: np.ndarray) -> np.ndarray:
        return point  # the order is that of the path; `fit` sorts

    # Runs

    def settle(self, points: Sequence[np.ndarray], pool: Pool) -> Sequence[End]:
        def run(point: np.ndarray) -> End:
            return self.advance(point, tol=RUN_TOL, max_iter=RUN_LIMIT, cancel=pool.cancel)

        return (Pool(1) if self.wide else pool).map(run, points)

    def advance(
        self, point: np.ndarray, *, tol: float, max_iter: int | None, cancel: threading.Event | None
    ) -> End:
        return self.end(solve(self._one, self.terms, point, tol=tol, max_iter=max_iter, cancel=cancel))

    def end(self, solution: Solution) -> End:
        """Where a run stopped."""
        value, passes = -self.weight_sum * solution.objective, float(solution.iterations + 1)
        return End(solution.point, value, solution.mass, solution.iterations, passes, solution)

    def _at(self, point: np.ndarray) -> tuple[Restricted, np.ndarray, float]:
        """The likelihood of the slopes of a point that are not zero, its parameters there, and the
        penalty."""
        return *on_support(self._one, point), self.terms.value(point[self.likelihood.n_free :])

    def values(self, points: Sequence[np.ndarray], pool: Pool) -> Sequence[tuple[float, np.ndarray]]:
        def value(point: np.ndarray) -> tuple[float, np.ndarray]:
            part, v, penalty = self._at(point)
            smooth, *_, mass = part.evaluate(v, Order.VALUE)
            return -self.weight_sum * (smooth + penalty), mass

        return pool.map(value, points)

    def rowwise(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Responsibilities, and log-densities less the penalty: their weighted sum is -n F."""
        part, v, penalty = self._at(point)
        at = part.engine.rowwise(part.theta(v))
        return at.responsibilities, at.log_density - penalty

    # What an end is worth

    def key(self, point: np.ndarray, value: float, mass: np.ndarray) -> tuple[int, float]:
        return self.likelihood.rank(point, value, mass)

    def diagnose(self, end: End) -> Status:
        return diagnose(self.likelihood, end.outcome, self.alpha)

    # Rows

    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
        return self.likelihood.rows.shuffled(seed, most)

    def subset(self, rows: np.ndarray) -> PenalisedProblem:
        return replace(self, likelihood=self.likelihood.take(rows))

    def fit(self, end: End, **common: Any) -> PenalisedFit:
        """Parameters of the whole model, experts in decreasing order of mass."""
        pr, solution = self.likelihood, end.outcome
        model, theta = whole_model(pr, end.point)
        order = np.argsort(-solution.mass, kind="stable")
        trace = [replace(i, value=-pr.n * i.value) for i in solution.trace]
        found = PenalisedFit(
            model=model,
            coordinates=Coordinates.of(model, pr.experts.scaling, pr.gate.scaling),
            theta=model.permute(theta, order),
            log_likelihood=solution.log_likelihood,
            n_parameters=pr.n_free + len(solution.support),
            weight_sum=pr.n,
            mass=solution.mass[order],
            entropy=entropy(self.rowwise(end.point)[0], self.weights),
            history=history(trace),
            alpha=self.alpha,
            solution=solution,
            **common,
        )
        return audited(found, self._said(found))

    def _said(self, fit: PenalisedFit) -> Iterator[Said]:
        """What a fit says of the rows, from the columns with slopes."""
        rows, w = self.likelihood.rows, self.likelihood.rows.w
        at = ActiveModel(fit.model, fit.theta, rows.experts.scaling, rows.gate.scaling, None, None)
        at = at.with_slopes()
        of_experts, of_gate = at.blocks(rows.experts.x, "experts"), at.blocks(rows.gate.x, "gate")
        for (cut, x), (_, z) in zip(of_experts, of_gate, strict=True):
            y = rows.scaled_y[cut]
            joint = at.model.log_joint(at.theta, at.z_scaling.apply(z), at.x_scaling.apply(x), y)
            base = at.model.family.log_base(y) - np.log(rows.y_scale)
            yield None if w is None else w[cut], log_sum_exp(joint)[:, 0] + base, np.exp(log_softmax(joint))

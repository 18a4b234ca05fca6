"""A Gaussian-gated mixture as a problem of the search."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DataError
from ..gates import log_softmax, log_sum_exp
from ..search import Defaults, End, Fit, Said, audited, budget_of, entropy, history
from ..search.starts import ROTATION, STRATEGIES, auto_starts
from ..solvers import Status, thin_status
from ..solvers.pool import Pool
from .data import Data
from .measure import LocatedMeasure
from .polish import Found, Point, ascend, by_em_together, degenerate, diagnose, has_newton
from .ranking import Ranking
from .specification import Specification
from .starts import seeded, splits
from .structured import StructuredProblem

SIMPLER = {"full": "diagonal", "blocks": "diagonal", "factors": "diagonal", "diagonal": "isotropic"}
OWN = ("centres", "turned centres")  # strategies in the space of (x, y), two of three starts
FEW = 4  # starts of a model whose M-steps are dear, beside that of the simpler one
VIEWED = 12  # columns of u that starts and moves look at: more are projected at random
PART = 65536  # rows looked at together once the fit is found
RUN_TOL, RUN_EM = 1e-4, 80  # of runs, by EM: near enough to tell optima apart
PASSES = 1000  # an expert, that a search may take
DEAR, DEAR_EM = 50.0, 25  # passes an expert and steps of a run where M-steps are dear
TOGETHER, MOST_TOGETHER = 1_000_000, 16  # rows x statistics of runs that go on side by side, and their number
SHARP, GENTLE = 2.0, 0.1  # slope, per standard deviation, of the cut that makes two components of one


@dataclass(frozen=True, kw_only=True)
class LocatedFit(Fit):
    """A fitted Gaussian-gated mixture of experts; its log-likelihood is the joint one, sum of log p(x, y).

    Attributes
    ----------
    measure : LocatedMeasure
        From x to y, in the user's units.
    fitted : LocatedMeasure
        In the direction of the fit: from y to x for an inverse regression.
    specification : Specification
    gradient_norm : float
        Largest mismatch of a moment per row.
    """

    measure: LocatedMeasure
    fitted: LocatedMeasure
    specification: Specification
    gradient_norm: float

    def labels(self) -> dict[str, Any]:
        s = self.specification
        return {"model": s.label, "k": self.k, "degree": s.degree, "blocks": s.block_counts}


@dataclass(frozen=True)
class LocatedProblem(Defaults):
    """The joint log-likelihood of a located model on rows; points are `polish.Point`.

    Attributes
    ----------
    data : Data
    specification : Specification
    k : int
    rank_by : {"usable", "likelihood"}
    share : float
        Of all rows, by weight.
    """

    data: Data
    specification: Specification
    k: int
    rank_by: str = "usable"
    share: float = 1.0

    @cached_property
    def model(self) -> Any:
        """The sums over the rows."""
        data = self.data if self.wide else replace(self.data, threads=1)
        return data.problem(self.specification, self.k)

    @property
    def n(self) -> int:
        return len(self.data.u)

    @property
    def size(self) -> int:
        return self.specification.n_parameters(self.k, self.data.p, self.data.v.shape[1])

    @property
    def weight_sum(self) -> float:
        return float(self.n if self.data.weights is None else self.data.weights.sum())

    @property
    def weights(self) -> np.ndarray | None:
        return self.data.weights

    @property
    def rotation(self) -> Sequence[str]:
        return [name for other in ROTATION for name in (*OWN, other)]

    @property
    def dear(self) -> bool:
        """Whether an M-step costs more than the sums."""
        wide = isinstance(self.model, StructuredProblem) and self.model.is_wide
        return wide or self.specification.covariance == "factors"

    @property
    def n_starts(self) -> int:
        return min(FEW, auto_starts(self.k)) if self.dear else auto_starts(self.k)

    @property
    def budget(self) -> float:
        return DEAR * self.k if self.dear and self.k > 1 else budget_of(self, PASSES)

    @property
    def hopeless(self) -> bool:
        return self.ranking.hopeless(self.k, self.weight_sum)

    @property
    def few_steps(self) -> int:
        return 5 if has_newton(self.model) else 20

    # Memberships

    def view(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        u, v = self.data.u, self.data.v
        if u.shape[1] > VIEWED:
            u = u @ rng.standard_normal((u.shape[1], VIEWED)) / np.sqrt(u.shape[1])
        if v.shape[1] == 1:
            return u, v[:, 0]
        y = v @ rng.standard_normal(v.shape[1])
        return u, y / max(float(y.std()), 1e-300)

    def guess(self, strategy: str, rng: np.random.Generator) -> np.ndarray:
        if strategy in OWN:
            return seeded(self.model.rows, self.data.weights, self.k, rng, refined=strategy == OWN[0])
        x, y = self.view(rng)
        w = np.ones(self.n) if self.data.weights is None else self.data.weights
        return STRATEGIES[strategy](rng, x, y, w, self.k)

    def begin(self, memberships: Sequence[np.ndarray], pool: Pool) -> Sequence[Point]:
        return pool.map(self._point, memberships)

    def _point(self, r: np.ndarray) -> Point:
        return Point(self.model.statistics(r))

    def pooled(self) -> Point:
        return self._point(np.full((self.n, self.k), 1.0 / self.k))

    def given(self, initial: Any) -> Point:
        """From a measure from x to y in the user's units, or memberships (n, k)."""
        if not isinstance(initial, LocatedMeasure):
            return self._point(initial)
        if initial.k != self.k:
            raise DataError(f"initial has {initial.k} atoms, not {self.k}")
        inverse = self.specification.direction == "inverse"
        return self._point(self.data.responsibilities(initial.inverse() if inverse else initial))

    def nested(self, below: Any) -> Sequence[Point]:
        return self._splits(below, SHARP)

    def duplicated(self, below: Any) -> Sequence[Point]:
        return [*self._splits(below, GENTLE), *self._splits(below, 0.0)]

    def _splits(self, below: Any, sharpness: float) -> Sequence[Point]:
        r = self.data.responsibilities(below.fitted)
        return [self._point(s) for s in splits(self.model.rows, self.data.weights, r, sharpness)]

    def by_mass(self, point: Point) -> Point:
        return point  # partitions of the columns belong to components by their place

    def simpler(self) -> LocatedProblem | None:
        name = SIMPLER.get(self.specification.covariance)
        if name is None or self.data.v.shape[1] < 2:
            return None
        return replace(self, specification=replace(self.specification, covariance=name, blocks=None))

    # Runs

    def settle(self, points: Sequence[Point], pool: Pool) -> Sequence[End]:
        limit = DEAR_EM if self.dear else RUN_EM
        # Side by side while the sums of a run cost less than the rest of a step, on any number of threads.
        numbers = max((self.n * p.statistics.size for p in points if p.statistics is not None), default=1)
        beside = int(np.clip(TOGETHER // max(numbers, 1), 1, MOST_TOGETHER))

        def run(start: int) -> list[End]:
            group = points[start : start + beside]
            return [self._end(f) for f in by_em_together(self.model, group, RUN_TOL, limit, pool.cancel)]

        return [end for ends in pool.map(run, range(0, len(points), beside)) for end in ends]

    def advance(
        self, point: Point, *, tol: float, max_iter: int | None, cancel: threading.Event | None
    ) -> End:
        to_the_end = self.k == 1 or self.rank_by == "likelihood"
        return self._end(ascend(self.model, point, tol, max_iter, cancel, to_the_end))

    @staticmethod
    def _end(found: Found) -> End:
        passes = float(found.iterations + 1)
        return End(found.point, found.value, found.mass, found.iterations, passes, found)

    def values(self, points: Sequence[Point], pool: Pool) -> Sequence[tuple[float, np.ndarray]]:
        return pool.map(self._value, points)

    def _value(self, point: Point) -> tuple[float, np.ndarray]:
        if point.parameters is None:
            return -np.inf, np.zeros(self.k)
        return self.model.value(point.parameters)

    def rowwise(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        return self.model.rowwise(point.parameters)

    # What an end is worth

    @cached_property
    def ranking(self) -> Ranking:
        return Ranking.of(self.data, self.specification, self.k, self.share)

    def key(self, point: Point, value: float, mass: np.ndarray) -> tuple[int, float]:
        if not np.isfinite(value) or point.parameters is None:
            return -1, -np.inf
        if self.rank_by == "likelihood":
            return 2, float(value)
        if degenerate(self.model, point.parameters) is not None:
            return 0, float(value)
        thin = self.ranking.thin(self.model.log_volumes(point.parameters), mass)
        return (1 if thin.any() else 2), float(value)

    def diagnose(self, end: End) -> Status:
        status = diagnose(self.model, end.outcome)
        if not status.usable or self.rank_by == "likelihood":
            return status
        thin = self.ranking.thin(self.model.log_volumes(end.point.parameters), end.mass)
        return thin_status(status, thin, end.mass * self.ranking.unit, "component", "a simpler covariance")

    # Rows

    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
        return self.data.shuffled(seed, most)

    def subset(self, rows: np.ndarray) -> LocatedProblem:
        part = replace(self, data=self.data.take(rows))
        return replace(part, share=self.share * part.weight_sum / self.weight_sum)

    def fit(self, end: End, **common: Any) -> LocatedFit:
        found: Found = end.outcome
        if found.parameters is None:
            raise DataError(
                "no start of EM reached a finite log-likelihood: rescale the columns or use fewer experts"
            )
        spec = self.specification
        fitted = self.data.measure(self.model, found.parameters)
        if not (np.isfinite(fitted.slopes).all() and np.isfinite(fitted.intercepts).all()):
            raise DataError(
                "coefficients in the units of the columns are beyond double precision: rescale the columns"
            )
        r = self.model.responsibilities(found.parameters)
        w = np.ones(len(r)) if self.data.weights is None else self.data.weights
        out = LocatedFit(
            measure=fitted if spec.direction == "direct" else fitted.inverse(),
            fitted=fitted,
            specification=spec,
            gradient_norm=found.mismatch,
            log_likelihood=found.value,
            n_parameters=self.size,
            weight_sum=self.weight_sum,
            mass=w @ r,
            entropy=entropy(r, self.data.weights),
            history=history(found.trace),
            **common,
        )
        return audited(out, self._said(out.measure))

    def _said(self, measure: LocatedMeasure) -> Iterator[Said]:
        """What a measure from x to y says of the rows, in the user's units."""
        for start in range(0, self.n, PART):
            at = slice(start, start + PART)
            u, v = self.data.in_user_units(at)
            joint = measure.log_joint(*((u, v) if self.specification.direction == "direct" else (v, u)))
            w = None if self.data.weights is None else self.data.weights[at]
            yield w, log_sum_exp(joint)[:, 0], np.exp(log_softmax(joint))

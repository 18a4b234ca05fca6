"""A softmax-gated mixture (any gate whose scores are smooth) as a problem of the search."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..engine import Evaluation, Order, is_compiled, make_engine, supports
from ..model import Model
from ..rows import Rows, RowsElsewhere, sample_rows
from ..search import Defaults, End, Fit, Said, audited, budget_of, entropy, history
from ..search.starts import STRATEGIES
from ..solvers import Coordinates, Objective, Sampled, Solver, Status, narrow_status, run, thin_status
from ..solvers.base import Cancelled
from ..solvers.em import run_em
from ..solvers.pool import Pool
from ..solvers.together import newton_together
from .curvature import MANY_ROWS, from_first, is_endless, status_of
from .memberships import from_memberships, keep_borders, pooled
from .mixture_fit import MixtureFit
from .ranking import Ranking
from .smaller import duplicated, halves
from .view import view_of

SHORT_EM = 4  # EM steps before Newton's: far from an optimum they are cheap and safe
LONG_EM = 60  # instead of Newton's where a Hessian costs more than it tells
MANY = 300  # parameters from which it does
RUN_TOL, RUN_LIMIT = 1e-4, 50  # gradient per row, or steps, at which runs end: enough to tell optima apart
PASSES = 8000  # an expert, that a search may take
NUMPY_PASSES = 2000  # of a family in NumPy
SLOW_PASSES, READABLE_PASSES = 1000, 500  # of a gate in NumPy; where all is in NumPy
SLOW_REFUSED = 100  # iterations there of an optimum that is refused
PART = 65536  # rows looked at together once the fit is found
READ = 8  # parts of many rows of which the readable engine looks at one
STACK_BYTES = 60e6  # of matrices and memberships held at once by runs done side by side


@dataclass(frozen=True)
class MixtureProblem(Defaults):
    """The log-likelihood of a model on rows, in the free coordinates phi: its points. Where rows come in
    groups, a group is what the search calls a unit: it has one share in every expert.

    Attributes
    ----------
    rows : Rows
    coordinates : Coordinates
    solver : Solver
        Of the polish.
    engine : str
    threads : int
    rank_by : {"usable", "likelihood"}
    share : float
        Of all rows, by weight.
    sampled : bool
        Whether the polish of many rows takes its curvature from parts of them.
    samples : tuple of MixtureProblem
        Growing random parts of the rows that it takes it from; none where an exact Hessian is.
    """

    rows: Rows | RowsElsewhere
    coordinates: Coordinates
    solver: Solver
    engine: str = "auto"
    threads: int = 1
    rank_by: str = "usable"
    share: float = 1.0
    sampled: bool = False
    samples: tuple[MixtureProblem, ...] = ()

    @property
    def model(self) -> Model:
        return self.coordinates.model

    @property
    def k(self) -> int:
        return self.model.k

    @property
    def n(self) -> int:
        return self.rows.n

    @property
    def at_hand(self) -> int:
        return self.rows.at_hand.n

    @property
    def size(self) -> int:
        return self.coordinates.size

    @property
    def weight_sum(self) -> float:
        return self.rows.weight_sum

    @property
    def weights(self) -> np.ndarray | None:
        grouped = self.rows.groups is not None and self.rows.w is None
        return np.ones(self.rows.n_units) if grouped else self.rows.w

    @property
    def budget(self) -> float:
        if self._is_slow:
            return budget_of(self, READABLE_PASSES if self.engine == "array" else SLOW_PASSES)
        return budget_of(self, PASSES if supports(self.model) else NUMPY_PASSES)

    @property
    def hopeless(self) -> bool:
        return self.ranking.hopeless(self.rows.row_weight_sum)

    @property
    def refused_steps(self) -> int:
        steps = SLOW_REFUSED if self._is_slow else super().refused_steps
        return max(steps // self.solver.inner, 1)

    @property
    def _is_slow(self) -> bool:
        return self.engine not in ("auto", "native") or not is_compiled(self.model)

    @property
    def at_once(self) -> int:
        return max(1, int(STACK_BYTES / (8 * (4 * self.size**2 + self.n * self.k))))

    @cached_property
    def objective(self) -> Objective:
        threads = self.threads if self.wide else 1
        return Objective(make_engine(self.model, self.rows, self.engine, threads), self.coordinates)

    @cached_property
    def ranking(self) -> Ranking:
        return Ranking.of(self.coordinates, self.rows, self.rank_by, self.share)

    @cached_property
    def _view(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return view_of(self.model, self.rows.at_hand)

    def view(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self._view[:2]

    def guess(self, strategy: str, rng: np.random.Generator) -> np.ndarray:
        x, y, w = self._view
        return STRATEGIES[strategy](rng, x, y, w, self.k)

    # Points

    def begin(self, memberships: Sequence[np.ndarray], pool: Pool) -> Sequence[np.ndarray]:
        return list(from_memberships(self.objective, memberships, pool.threads, self._pooled))

    def follow(
        self, points: Sequence[np.ndarray], memberships: Sequence[np.ndarray], pool: Pool
    ) -> tuple[Sequence[np.ndarray], float]:
        return keep_borders(self.objective, points, memberships, pool.threads)

    def pooled(self) -> np.ndarray:
        return self._pooled.copy()

    @cached_property
    def _pooled(self) -> np.ndarray:
        return pooled(self.objective)

    def given(self, initial: Any) -> np.ndarray:
        return self.coordinates.collapse(initial)

    def by_mass(self, point: np.ndarray) -> np.ndarray:
        c = self.coordinates
        if not c.model.constraints.symmetric:
            return point
        near = self.samples[-1] if self.samples and self.at_hand < self.n else self  # no reading for an order
        mass, theta = near.objective.evaluate(point, Order.VALUE).mass, c.expand(point)
        order = c.model.alike(c.model.constraints.order(c.model, theta, mass))
        return c.collapse(c.model.permute(theta, order))

    def nested(self, below: Fit) -> Sequence[np.ndarray]:
        return [self.coordinates.collapse(theta) for theta in halves(below)]

    def duplicated(self, below: Fit) -> Sequence[np.ndarray]:
        return [self.coordinates.collapse(theta) for theta in duplicated(below)]

    # Runs

    def settle(self, points: Sequence[np.ndarray], pool: Pool) -> Sequence[End]:
        """Short EM, then Newton, of all points side by side."""
        many = self.size > MANY
        steps = LONG_EM if many else SHORT_EM
        phi, value = self.em_steps(np.array(points), steps, pool.threads, pool.cancel)
        further, passes = np.zeros(len(phi), dtype=int), steps + 1
        if many:
            mass = self.objective.evaluate_all(phi, Order.VALUE, threads=pool.threads).mass
        else:
            ends = newton_together(self.objective, phi, RUN_TOL, RUN_LIMIT, pool)
            phi, value, mass, further = ends.phi, ends.value, ends.mass, ends.iterations
            passes += 1
        return [
            End(p, float(v), m, steps + int(i), float(passes + i))
            for p, v, m, i in zip(phi, value, mass, further, strict=True)
        ]

    def sharpen(self, point: np.ndarray, tol: float, pool: Pool) -> np.ndarray:
        """By the compiled loop, whose steps on few rows take a tenth of the interpreter's."""
        far = self.size > MANY
        return point if far else newton_together(self.objective, point[None], tol, RUN_LIMIT, pool).phi[0]

    def em_steps(
        self, phi: np.ndarray, steps: int, threads: int, cancel: threading.Event | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`steps` of EM from each of phi (S, P), side by side: where they end, and the values there."""

        def evaluate(at: np.ndarray, order: Order) -> Evaluation:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            return self.objective.evaluate_all(at, order, threads=threads)

        return run_em(self.objective, phi, evaluate, steps)

    def advance(
        self, point: np.ndarray, *, tol: float, max_iter: int | None, cancel: threading.Event | None
    ) -> End:
        passes: list[int] = []
        before = self.objective.tally.passes
        solver = Sampled([part.objective for part in self.samples]) if self.samples else self.solver
        end = run(
            solver, self.objective, point, tol=tol, max_iter=max_iter, cancel=cancel,
            callback=lambda _: passes.append(self.objective.tally.passes), hopeless=self.ranking.lost,
            endless=lambda phi: is_endless(self.objective, phi),
        )  # fmt: skip
        taken = self.objective.tally.passes - before
        return End(end.phi, end.value, end.evaluation.mass, end.iterations, taken, end, tuple(passes))

    def values(self, points: Sequence[np.ndarray], pool: Pool) -> Sequence[tuple[float, np.ndarray]]:
        e = self.objective.evaluate_all(np.array(points), Order.VALUE, threads=pool.threads)
        return list(zip(np.asarray(e.value).tolist(), e.mass, strict=True))

    def rowwise(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = self.objective.engine.rowwise(self.coordinates.expand(point))
        return at.responsibilities, at.log_density

    # What an end is worth

    def key(self, point: np.ndarray, value: float, mass: np.ndarray) -> tuple[int, float]:
        return self.ranking.key(point, value, mass)

    def diagnose(self, end: End) -> Status:
        """How the polish ended, thin experts by name."""
        outcome, sample = end.outcome, self.samples[-1].objective if self.samples else None
        status = status_of(self.objective, outcome, sample)
        if not status.usable or self.rank_by == "likelihood":
            return status
        ranking, rows = self.ranking, end.mass * self.ranking.unit
        narrow = ranking.narrow(outcome.phi)
        if narrow.any():
            return narrow_status(narrow, rows, ranking.rounding * self.rows.y_scale)
        return thin_status(status, ranking.thin(outcome.phi, end.mass), rows, "expert", "columns")

    def is_usable(self, end: End) -> bool:
        """Separated and flat optima are usable, and what tells them apart is most of a diagnosis."""
        e, phi = end.outcome.evaluation, end.outcome.phi
        if e.curvature is None or not np.isfinite(e.curvature).all():
            return self.diagnose(end).usable
        fine = np.isfinite(phi).all() and not self.coordinates.collapsed(phi).any()
        return fine and self.key(phi, e.value, end.mass)[0] == 2

    # Rows

    def beside(self, samples: Sequence[MixtureProblem]) -> Self:
        elsewhere = self.at_hand < self.n
        if not (self.sampled and (elsewhere or self.n >= MANY_ROWS)):
            return self
        return replace(self, samples=from_first(samples, [part.n for part in samples], self.n))

    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
        return sample_rows(self.rows.at_hand, seed, most)

    def subset(self, rows: np.ndarray) -> Self:
        part = self.rows.at_hand.take(rows).merged()
        share = self.share * part.row_weight_sum / self.rows.row_weight_sum
        return replace(self, rows=part, share=share, samples=())

    def fit(self, end: End, **common: Any) -> MixtureFit:
        theta = self.coordinates.expand(end.point)
        entropies: list[float] = []
        found = MixtureFit(
            model=self.model, coordinates=self.coordinates, theta=theta, log_likelihood=end.value,
            n_parameters=self.size, weight_sum=self.weight_sum, mass=end.mass, entropy=0.0,
            group_sizes=self.rows.group_sizes, history=history(end.outcome.trace, end.counts), **common,
        )  # fmt: skip
        return replace(audited(found, self._said(theta, entropies)), entropy=sum(entropies))

    def _said(self, theta: np.ndarray, entropies: list[float]) -> Iterator[Said]:
        """What theta says of the rows, by the readable engine, whichever found it; of many rows by it in one
        of `READ` parts, since it takes the time of ten gradients. The entropies of the responsibilities are
        kept."""
        many = self.n >= MANY_ROWS
        for i, part in enumerate(self.rows.parts(PART)):
            name = self.engine if many and i % READ else "array"
            at = make_engine(self.model, part, name, self.threads).rowwise(theta)
            entropies.append(entropy(at.responsibilities, part.w))
            yield part.w, at.log_density, at.responsibilities

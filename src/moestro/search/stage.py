"""The rows that are searched, and what a wave of runs does on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..engine import Evaluation, Order, make_engine
from ..model import Model
from ..rows import Rows
from ..solvers.base import Cancelled
from ..solvers.coordinates import Coordinates, Objective
from ..solvers.em import climb
from ..solvers.pool import Pool
from .candidates import Candidate, Optima, Optimum
from .ranking import Ranking
from .starts import from_memberships
from .together import newton_together

SHORT_EM = 4  # EM steps before Newton's: far from an optimum they are cheap and safe
LONG_EM = 60  # instead of Newton's where a Hessian costs more than it tells
MANY = 300  # parameters from which it does
RUN_TOL = 1e-4  # gradient per row at which runs end: near enough to tell optima apart
RUN_LIMIT = 50
STACK_BYTES = 60e6  # of matrices and memberships held at once by runs done side by side


@dataclass
class Stage:
    """Scaled rows x (n, d), y (n,), w (n,), the objective on them, and every run so far.

    Attributes
    ----------
    judge : Objective or None
        As many other rows, where these are a part of all: an end is ranked by the likelihood of both, so that what a few rows make does not win.
    passes : float
        Passes over these rows so far.
    """

    objective: Objective
    ranking: Ranking
    pool: Pool
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    optima: Optima
    judge: Objective | None = None
    everyone: list[Candidate] = field(default_factory=list)
    passes: float = 0.0

    @classmethod
    def of(
        cls,
        model: Model,
        c: Coordinates,
        rows: Rows,
        others: Rows | None,
        share: float,
        engine: str,
        rank_by: str,
        pool: Pool,
    ) -> Stage:
        """The stage on `rows`, a `share` of all, judged on `others` too."""
        objective = Objective(make_engine(model, rows, engine), c)
        block = next(rows.blocks(rows.n))
        x = block.x[:, 1:] if rows.shared else np.column_stack([block.x[:, 1:], block.z[:, 1:]])
        y = model.family.spread(block.y)
        y = (y - np.average(y, weights=block.w)) / max(float(y.std()), 1e-300)
        ranking = Ranking.of(c, rows, rank_by, share)
        judge = None if others is None else Objective(make_engine(model, others, engine), c)
        return cls(objective, ranking, pool, x, y, block.w, Optima(objective), judge)

    def run(
        self,
        names: Sequence[str],
        guesses: Sequence[np.ndarray],
        parents: Sequence[Optimum | None] | None = None,
    ) -> None:
        """Runs from memberships (n, k): M-steps with those held, short EM, Newton to an optimum."""
        parents = [None] * len(names) if parents is None else parents
        size, k = self.objective.coordinates.size, self.objective.coordinates.model.k
        group = max(1, int(STACK_BYTES / (8 * (4 * size**2 + len(self.y) * k))))
        for start in range(0, len(names), group):
            at = slice(start, start + group)
            phi = from_memberships(self.objective, guesses[at], self.pool.threads)
            self.passes += 3 * len(phi)
            self._finish(names[at], phi, parents[at])

    def run_from(self, names: Sequence[str], phi: Sequence[np.ndarray]) -> None:
        """Runs from parameters."""
        if len(names):
            self._finish(names, np.array(phi), [None] * len(names))

    def _finish(self, names: Sequence[str], phi: np.ndarray, parents: Sequence[Optimum | None]) -> None:
        objective, n = self.objective, len(self.y)
        many = objective.coordinates.size > MANY

        def evaluate(at: np.ndarray) -> Evaluation:
            if self.pool.cancel.is_set():
                raise Cancelled
            self.passes += len(at)
            return objective.evaluate_all(at, Order.INFORMATION, threads=self.pool.threads)

        phi, value = climb(objective, phi, evaluate, LONG_EM if many else SHORT_EM)
        iterations = np.full(len(phi), LONG_EM if many else SHORT_EM)
        if many:
            mass = objective.evaluate_all(phi, Order.VALUE, threads=self.pool.threads).mass
        else:
            ends = newton_together(objective, phi, RUN_TOL, RUN_LIMIT, self.pool)
            phi, value, mass = ends.phi, ends.value, ends.mass
            iterations = iterations + ends.iterations
            self.passes += float(ends.iterations.sum()) + len(phi)
        beside = np.zeros(len(phi))
        if self.judge is not None:
            beside = np.asarray(self.judge.evaluate_all(phi, Order.VALUE, threads=self.pool.threads).value)
            self.passes += len(phi)
        for i, name in enumerate(names):
            kind, level = self.ranking.key(phi[i], value[i], mass[i])
            key = (kind, level + beside[i]) if np.isfinite(beside[i]) else (-1, -np.inf)
            run = Candidate(name, phi[i], float(value[i]), int(iterations[i]), n, key=key, parent=parents[i])
            self.everyone.append(run)
            self.optima.add(run)

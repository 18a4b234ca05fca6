"""The search for the best optimum: cheap starts, moves between basins, finalists polished on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..engine import Evaluation, Order, make_engine
from ..model import Model
from ..rows import Rows
from ..tables import Table
from .base import Cancelled, Solver
from .candidates import Candidate, Options, distinct, ranked, starts_table
from .coordinates import Coordinates, Objective
from .diagnosis import diagnose
from .em import EM, climb
from .moves import MOVES
from .pool import Pool, silent
from .starts import ROTATION, STRATEGIES, from_memberships, pooled
from .status import Status

NEWTON_LIMIT = 1500  # free parameters up to which an exact Hessian is held (docs/benchmarks.md)
SHORT_EM = 8  # EM steps before the worse starts are dropped
SHORT_RUN = 12  # iterations of the solver before the finalists are chosen
KEPT = 3  # one in so many starts goes on to a short run
FINALISTS = 4
ROUND = 6  # moves tried at once from the best two fits
STALE_ROUNDS = 3  # rounds without a gain that end the search, one fewer where a fit is costly
COSTLY = 20_000  # rows x parameters of a start from which the search saves
MAX_ROUNDS = 12
SETTLED = 0.3  # share of the short runs that agree on the best value where costly moves are not needed
BEHIND = 0.5  # log-likelihood per parameter by which a finalist may trail the best on a subsample
# Prior standard deviation of a scaled slope while starts are searched. Without it the search chases optima at
# infinity that a few rows make, another one from every seed; the finalists are polished without it.
SPREAD = 4.0
STACK_BYTES = 50e6  # of information matrices held at once by fits done side by side
MANY = (
    300  # parameters from which short runs are EM's: a Hessian costs more than it tells so far from the end
)
WIDE = 2_000_000  # rows x parameters from which one fit uses all threads


@dataclass(frozen=True)
class _Stage:
    """What the search on the first subsample shares: scaled rows x (n, d), y (n,), weights w (n,)."""

    objective: Objective
    solver: Solver
    pool: Pool
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray

    @classmethod
    def of(cls, objective: Objective, solver: Solver, pool: Pool) -> _Stage:
        if objective.coordinates.size > MANY:
            solver = EM()
        rows = objective.engine.rows
        block = next(rows.blocks(rows.n))
        x = block.x[:, 1:] if rows.shared else np.column_stack([block.x[:, 1:], block.z[:, 1:]])
        y = objective.coordinates.model.family.spread(block.y)
        y = (y - np.average(y, weights=block.w)) / max(float(y.std()), 1e-300)
        return cls(objective, solver, pool, x, y, block.w)

    def grow(self, names: list[str], guesses: list[np.ndarray], tick: Callable[[], None]) -> list[Candidate]:
        """Candidates from memberships, as many side by side as memory allows."""
        group = max(1, int(STACK_BYTES / (8 * self.objective.coordinates.size**2)))
        out: list[Candidate] = []
        for start in range(0, len(names), group):
            at = slice(start, start + group)
            out += self._grow(names[at], guesses[at], tick)
        return out

    def _grow(self, names: list[str], guesses: list[np.ndarray], tick: Callable[[], None]) -> list[Candidate]:
        """M-steps with the memberships held, then short EM, all side by side."""

        def each(evaluate: Callable[[int], Evaluation], count: int) -> list[Evaluation]:
            if self.pool.cancel.is_set():
                raise Cancelled
            return self.pool.map(evaluate, range(count))

        def evaluate(phi: np.ndarray) -> list[Evaluation]:
            return each(lambda i: self.objective.evaluate(phi[i], Order.INFORMATION), len(phi))

        phi = from_memberships(self.objective, guesses, each)
        phi, at = climb(self.objective, phi, evaluate, SHORT_EM)
        out = []
        for i, name in enumerate(names):
            out.append(Candidate(name, phi[i], at[i].value, SHORT_EM, len(self.y), "dropped after short EM"))
            tick()
        return out

    def short_run(self, candidate: Candidate) -> None:
        """A few iterations of the solver."""
        candidate.note = "dropped after short run"
        candidate.advance(self.solver, self.objective, tol=1e-4, max_iter=SHORT_RUN, cancel=self.pool.cancel)


def search(
    model: Model,
    c: Coordinates,
    levels: list[Rows],
    solver: Solver,
    options: Options,
    seeds: list[np.random.SeedSequence],
    pool: Pool,
) -> tuple[Candidate, Table]:
    """Best candidate on all rows, and the record of every start.

    Parameters
    ----------
    levels : list of Rows
        Growing subsamples, all rows last.
    seeds : list of SeedSequence
        One a start, and a last one for the moves.
    """
    ridge = None if options.only_initial else c.slopes_ridge(SPREAD)
    objective = Objective(make_engine(model, levels[0], options.engine), c, ridge)
    stage = _Stage.of(objective, solver, pool)
    everyone = _begin(stage, options, seeds[:-1])
    if model.k > 1 and options.n_starts == "auto" and not options.only_initial:
        everyone += _explore(stage, options, everyone, seeds[-1])
    best = _polish(model, c, levels, solver, options, everyone, pool)
    return best, starts_table(everyone, best)


def _begin(stage: _Stage, options: Options, seeds: list[np.random.SeedSequence]) -> list[Candidate]:
    """Short EM from every start, a short run of the solver from the better third."""
    objective, k = stage.objective, stage.objective.coordinates.model.k
    known = [("given", objective.coordinates.collapse(theta)) for theta in options.initial]
    if k == 1 and not options.only_initial:
        known.append(("pooled", pooled(objective)))
        seeds = []
    tick = options.ticker("starts", 2 * (len(known) + len(seeds)))
    everyone = [
        Candidate(name, phi, objective.evaluate(phi, Order.VALUE).value, rows=len(stage.y))
        for name, phi in known
    ]
    names = [ROTATION[i % len(ROTATION)] for i in range(len(seeds))]

    def guess(task: tuple[str, np.random.SeedSequence]) -> np.ndarray:
        return STRATEGIES[task[0]](np.random.default_rng(task[1]), stage.x, stage.y, stage.w, k)

    guesses = stage.pool.map(guess, zip(names, seeds, strict=True))
    if guesses:
        everyone += stage.grow(names, guesses, tick)
    better = ranked(everyone)[: max(FINALISTS, -(-len(everyone) // KEPT))]
    stage.pool.map(stage.short_run, better, tick)
    return everyone


def _explore(
    stage: _Stage, options: Options, everyone: list[Candidate], seed: np.random.SeedSequence
) -> list[Candidate]:
    """Moves from the best two fits, in rounds, until none has gained for a while."""
    objective, names = stage.objective, list(MOVES)
    order = ranked(everyone)
    close = 1e-6 * (100.0 + abs(order[0].value))
    costly = objective.engine.rows.n * objective.coordinates.size > COSTLY
    runs = [a for a in order if a.outcome is not None]
    if costly and sum(a.value >= order[0].value - close for a in runs) >= SETTLED * len(runs):
        return []
    tick = options.ticker("moves", MAX_ROUNDS * ROUND)
    found: list[Candidate] = []
    stale = 0
    for number in range(MAX_ROUNDS):
        parents = distinct(order)[:2]
        at = [objective.engine.rowwise(objective.coordinates.expand(a.phi)) for a in parents]
        chosen = [names[(number * ROUND + i) % len(names)] for i in range(ROUND)]
        guesses = []
        for i, own in enumerate(seed.spawn(ROUND)):
            rows = at[-1] if i % 3 == 0 else at[0]
            rng = np.random.default_rng(own)
            guesses.append(MOVES[chosen[i]](rng, stage.x, stage.y, rows.responsibilities, rows.log_density))
        new = stage.grow([f"move: {name}" for name in chosen], guesses, silent)
        stage.pool.map(stage.short_run, ranked(new)[: ROUND // 2], tick)
        gained = max(a.rank for a in new) > (order[0].rank[0], order[0].value + close)
        found += new
        order = ranked([*order, *new])
        stale = 0 if gained else stale + 1
        if stale == STALE_ROUNDS - costly:
            break
    return found


def _polish(
    model: Model,
    c: Coordinates,
    levels: list[Rows],
    solver: Solver,
    options: Options,
    everyone: list[Candidate],
    pool: Pool,
) -> Candidate:
    """Finalists to convergence on the subsamples, then on all rows, experts in decreasing order of mass."""
    finalists = distinct(ranked([a for a in everyone if a.outcome is not None]))[:FINALISTS]
    tick = options.ticker("polish", len(finalists) + len(levels) - 1)
    for depth, rows in enumerate(levels):
        last = depth == len(levels) - 1
        wide = rows.n * c.size > WIDE
        objective = Objective(make_engine(model, rows, options.engine, options.threads if wide else 1), c)
        tol = options.tol if last else max(options.tol, 1e-4)
        limit = options.max_iter if last else min(options.max_iter or 60, 60)

        def settle(
            candidate: Candidate,
            objective: Objective = objective,
            last: bool = last,
            tol: float = tol,
            limit: int | None = limit,
        ) -> None:
            if last and not options.only_initial:
                candidate.phi = _by_mass(objective, candidate.phi)
            candidate.advance(solver, objective, tol=tol, max_iter=limit, cancel=pool.cancel)
            candidate.status = _status(objective, candidate)
            candidate.note = "polished"

        workers = Pool(1) if wide else pool
        workers.map(settle, finalists, tick)
        finalists = distinct(ranked(finalists))
        if not last:
            near = [a for a in finalists if finalists[0].value - a.value <= BEHIND * c.size]
            finalists = near[: max(1, 3 - depth)]
    return finalists[0]


def _by_mass(objective: Objective, phi: np.ndarray) -> np.ndarray:
    """The same density with experts in decreasing order of mass."""
    c = objective.coordinates
    model, theta = c.model, c.expand(phi)
    order = np.argsort(-objective.evaluate(phi, Order.VALUE).mass, kind="stable")
    return c.collapse(model.permute(theta, order))


def _status(objective: Objective, candidate: Candidate) -> Status:
    outcome = candidate.outcome
    assert outcome is not None
    curvature = outcome.evaluation
    if curvature.curvature is None:
        small = objective.coordinates.size <= NEWTON_LIMIT
        curvature = objective.evaluate(outcome.phi, Order.CURVATURE) if small else None
    return diagnose(objective, outcome, curvature)

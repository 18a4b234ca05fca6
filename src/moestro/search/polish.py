"""From the optima of the search to the estimate on all rows."""

from __future__ import annotations

import numpy as np

from ..engine import Order, make_engine
from ..rows import Rows
from ..solvers.base import Solver
from ..solvers.coordinates import Coordinates, Objective
from ..solvers.diagnosis import diagnose
from ..solvers.pool import Pool
from ..solvers.status import Status, StatusKind
from .candidates import Candidate, ranked
from .options import Options
from .ranking import Ranking

NEWTON_LIMIT = 1500  # free parameters up to which an exact Hessian is held (docs/benchmarks.md)
FINALISTS = 12  # optima of a subsample that go on to more rows
TRIED = 8  # optima that are polished at most, where the better ones turn out unusable
JUDGED = 30  # optima of a subsample whose likelihood on more rows is looked at
FIRST_STEPS = 5  # of each finalist on all rows, before the best are polished
MIDDLE_STEPS = 60  # on a subsample in between
SLACK = 1.0  # log-likelihood that a finalist may still gain after those
WIDE = 2_000_000  # rows x parameters from which one fit uses all threads


def polish(
    c: Coordinates, levels: list[Rows], solver: Solver, options: Options, optima: list[Candidate], pool: Pool
) -> Candidate:
    """The best of `optima` (best first, of the first level) on all rows, converged, experts in decreasing order of mass."""
    finalists = optima
    for depth, rows in enumerate(levels[1:]):
        objective, workers = _objective(c, rows, options, pool)
        ranking = Ranking.of(c, rows, options.rank_by, rows.weight_sum / levels[-1].weight_sum)
        kept = 2 if depth else FINALISTS
        finalists = _judged(objective, ranking, finalists[:JUDGED], pool)[:kept]
        steps = FIRST_STEPS if rows is levels[-1] else MIDDLE_STEPS

        def settle(
            a: Candidate, objective: Objective = objective, ranking: Ranking = ranking, steps: int = steps
        ) -> None:
            tol = max(options.tol, 1e-4)
            a.advance(solver, objective, ranking, tol=tol, max_iter=steps, cancel=pool.cancel)

        workers.map(settle, finalists)
        finalists = ranked(finalists)
    objective, _ = _objective(c, levels[-1], options, pool)
    ranking = Ranking.of(c, levels[-1], options.rank_by)
    return _settled(c, objective, ranking, solver, options, finalists, optima, pool)


def _judged(
    objective: Objective, ranking: Ranking, candidates: list[Candidate], pool: Pool
) -> list[Candidate]:
    """Best first on the rows of `objective`, most of which they were not fitted on."""
    e = objective.evaluate_all(np.array([a.phi for a in candidates]), Order.VALUE, threads=pool.threads)
    keys = [ranking.key(a.phi, v, m) for a, v, m in zip(candidates, np.asarray(e.value), e.mass, strict=True)]
    return [candidates[i] for i in sorted(range(len(keys)), key=lambda i: keys[i], reverse=True)]


def _objective(c: Coordinates, rows: Rows, options: Options, pool: Pool) -> tuple[Objective, Pool]:
    wide = rows.n * c.size > WIDE
    engine = make_engine(c.model, rows, options.engine, options.threads if wide else 1)
    return Objective(engine, c), Pool(1) if wide else pool


def _settled(
    c: Coordinates,
    objective: Objective,
    ranking: Ranking,
    solver: Solver,
    options: Options,
    finalists: list[Candidate],
    others: list[Candidate],
    pool: Pool,
) -> Candidate:
    """Converged on all rows, one after the other, until none that is left can be better."""
    queue = [*finalists, *(a for a in others if all(a is not b for b in finalists))][:TRIED]
    best: Candidate | None = None
    tick = options.ticker("polish", len(queue))
    for a in queue:
        if best is not None and best.key[0] == 2:
            on_all = a.rows == objective.engine.rows.n
            hope = 0.0 if a.outcome is None else SLACK
            if not on_all or best.key >= (a.key[0], a.key[1] + hope):
                break
        if not options.only_initial:
            a.phi = by_mass(objective, a.phi)
        a.advance(solver, objective, ranking, tol=options.tol, max_iter=options.max_iter, cancel=pool.cancel)
        a.note = "polished"
        a.status = status_of(objective, ranking, a)
        if not a.status.usable:
            a.key = (min(a.key[0], 1), a.key[1])
        if best is None or a.key > best.key:
            best = a
        tick()
    assert best is not None
    return best


def by_mass(objective: Objective, phi: np.ndarray) -> np.ndarray:
    """The same density with experts in decreasing order of mass."""
    c = objective.coordinates
    order = np.argsort(-objective.evaluate(phi, Order.VALUE).mass, kind="stable")
    return c.collapse(c.model.permute(c.expand(phi), order))


def status_of(objective: Objective, ranking: Ranking, candidate: Candidate) -> Status:
    """How the polish ended, thin experts by name."""
    outcome = candidate.outcome
    assert outcome is not None
    curvature = outcome.evaluation
    if curvature.curvature is None:
        small = objective.coordinates.size <= NEWTON_LIMIT
        curvature = objective.evaluate(outcome.phi, Order.CURVATURE) if small else None
    status = diagnose(objective, outcome, curvature)
    thin = np.flatnonzero(ranking.thin(outcome.phi, outcome.evaluation.mass))
    if not status.usable or not len(thin) or ranking.by == "likelihood":
        return status
    rows = outcome.evaluation.mass * ranking.unit
    each = " and ".join(f"expert {e + 1} on {rows[e]:.1f} rows" for e in thin)
    return Status(
        StatusKind.THIN,
        f"{each}: too few for its parameters, so its coefficients are not reliable. Use fewer experts or columns",
        tuple(int(e) for e in thin),
    )

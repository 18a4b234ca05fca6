"""A mixture under a sparse gate, whose likelihood jumps where the ranking of the experts changes.

A gradient sees only the region of the present ranking, and with one expert selected it does not see the gate
at all. So a run begins under the dense gate and is annealed: the boundaries between the regions are soft at
first and harden from gate to gate of `Gate.path`, with a few steps of EM at each. Every other run goes to the
dense gate's optimum first; the others keep more of where they began, which is what a move from a good fit
needs. The polish ends with the solver asked for within the region, and a pattern search that moves its
boundaries, only ever uphill.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..engine import Order
from ..gates import Gate, log_softmax
from ..search import SEARCH_ROWS, End, budget_of, distinct
from ..solvers import Outcome, Status, StatusKind
from ..solvers.pool import Pool
from .boundaries import GAIN, move_boundaries
from .mixture import MixtureProblem

STEPS = 6  # of EM at each gate of the path
ROTATION = ("subsets", "regions", "kmeans", "regions", "balls", "regions", "segments", "residuals",
            "bands", "patches", "scatter", "regions")  # fmt: skip
STEEP = 2.0  # scores of a gate drawn at random, on scaled columns
SOFTENED = 4  # gates of the path that the polish goes back to
ROUNDS = 6  # of boundaries and experts in turn
PASSES = 1200  # an expert, that a search may take
SAME_VALUE = 1.0  # log-likelihood within which ends in one basin differ: boundaries settle at the polish


@dataclass(frozen=True)
class AtEdge(Outcome):
    """A maximum at a jump: the experts converge with the gate held there, and no boundary can be moved
    uphill."""


@dataclass(frozen=True)
class SparseProblem(MixtureProblem):
    """The log-likelihood of a model whose gate has a path, in the free coordinates phi, which all gates of
    the path share."""

    @property
    def budget(self) -> float:
        return budget_of(self, PASSES)

    @property
    def search_rows(self) -> int:
        return SEARCH_ROWS[0]  # a run passes every gate of the path

    @property
    def rotation(self) -> Sequence[str]:
        return ROTATION

    def guess(self, strategy: str, rng: np.random.Generator) -> np.ndarray:
        """Of the memberships too that a gate drawn at random gives: ranks without a bias cut the inputs in
        cones around one point, which no start of the dense gate looks for."""
        if strategy != "regions":
            return super().guess(strategy, rng)
        block = next(self.rows.blocks(self.rows.n))
        rows = rng.standard_normal((self.model.n_gate, self.model.q)) * STEEP
        return np.exp(log_softmax(self.model.gate.scores(rows, np.zeros(0), block.z)))

    @property
    def same_value(self) -> float:
        return SAME_VALUE

    @cached_property
    def _easier(self) -> list[MixtureProblem]:
        """The problems under the gates of the path, the dense one first."""
        return [self._under(gate) for gate in self.model.gate.path(self.k)]

    def _under(self, gate: Gate) -> MixtureProblem:
        c = replace(self.coordinates, model=replace(self.model, gate=gate))
        return MixtureProblem(self.rows, c, self.solver, self.engine, self.threads, self.rank_by, self.share)

    def begin(self, memberships: Sequence[np.ndarray], pool: Pool) -> Sequence[np.ndarray]:
        return self._easier[0].begin(memberships, pool)

    def follow(
        self, points: Sequence[np.ndarray], memberships: Sequence[np.ndarray], pool: Pool
    ) -> tuple[Sequence[np.ndarray], float]:
        """The path of gates hardens the borders."""
        return points, 0.0

    def settle(self, points: Sequence[np.ndarray], pool: Pool) -> Sequence[End]:
        """Annealed from the dense gate: from its optimum, or after a few steps there, in turn."""
        dense, *soft = self._easier
        warm, cold = dense.settle(points[::2], pool), self._short(dense, points[1::2], pool)
        same = distinct(dense, warm)  # copies are annealed once
        kept = sorted(set(same))
        place = [kept.index(same[i // 2]) if i % 2 == 0 else len(kept) + i // 2 for i in range(len(points))]
        phi = np.array([*(warm[i].point for i in kept), *(end.point for end in cold)])
        for problem in soft:
            phi, _ = problem.em_steps(phi, STEPS, pool.threads, pool.cancel)
        phi, value = self.em_steps(phi, STEPS, pool.threads, pool.cancel)
        mass = self.objective.evaluate_all(phi, Order.VALUE, threads=pool.threads).mass
        gates, out = len(self._easier), []
        for i, at in enumerate(place):
            begun = (cold if i % 2 else warm)[i // 2]
            passes = gates * (STEPS + 1) + 1 if place.index(at) == i else 0
            iterations = begun.iterations + gates * STEPS
            out.append(End(phi[at], float(value[at]), mass[at], iterations, begun.passes + passes))
        return out

    @staticmethod
    def _short(dense: MixtureProblem, points: Sequence[np.ndarray], pool: Pool) -> list[End]:
        """A few steps under the dense gate, from each point."""
        if not len(points):
            return []
        phi, value = dense.em_steps(np.array(points), STEPS, pool.threads, pool.cancel)
        return [End(p, float(v), np.empty(0), STEPS, STEPS + 1) for p, v in zip(phi, value, strict=True)]

    def advance(
        self, point: np.ndarray, *, tol: float, max_iter: int | None, cancel: threading.Event | None
    ) -> End:
        """Experts and boundaries in turn, until neither gains; stopped by `max_iter`, as far as it leads."""
        how: dict[str, Any] = {"tol": tol, "max_iter": max_iter, "cancel": cancel}
        end = super().advance(point, **how)
        iterations = end.iterations
        for turn in range(1 + ROUNDS):
            if _out_of_steps(end, max_iter):
                break
            at = end.point
            moved = move_boundaries(self.objective, at) if turn else self._softened(at, cancel)
            if moved is None:
                break
            again = super().advance(moved, **how)
            iterations += again.iterations
            gain = again.value - end.value
            end = again if gain > 0 else end
            if gain <= GAIN and turn:
                break
        if not _out_of_steps(end, max_iter) and self._is_stuck(end):
            end, further = self._at_an_edge(end, how)
            iterations += further
        return replace(end, iterations=iterations)

    def _softened(self, point: np.ndarray, cancel: threading.Event | None) -> np.ndarray:
        """The point after steps under the hardest of the soft gates: all boundaries move at once."""
        phi = point[None]
        for problem in (*self._easier[-SOFTENED:], self):
            phi, _ = problem.em_steps(phi, STEPS, self.threads, cancel)
        return phi[0]

    def _at_an_edge(self, end: End, how: dict[str, Any]) -> tuple[End, int]:
        """The experts' maximum with the gate held, where no boundary can be moved uphill; else `end`."""
        point, iterations = end.point, 0
        for _ in range(ROUNDS):
            held = self._held(point)
            again = held.advance(point, **how)
            iterations += again.iterations
            moved = move_boundaries(self.objective, again.point)
            if moved is not None:
                point = moved
                continue
            if held.diagnose(again).kind == StatusKind.LIMIT or again.value < end.value - GAIN:
                break
            return replace(again, outcome=AtEdge(**vars(again.outcome))), iterations
        return end, iterations

    def _held(self, point: np.ndarray) -> MixtureProblem:
        """The problem with the gate of `point` held, so that its likelihood is smooth."""
        c = self.coordinates
        return replace(self, coordinates=c.holding(point, c.block == 0))._under(self.model.gate)

    def _is_stuck(self, end: End) -> bool:
        return super().diagnose(end).kind == StatusKind.LIMIT

    def diagnose(self, end: End) -> Status:
        if not isinstance(end.outcome, AtEdge):
            return super().diagnose(end)
        status = self._held(end.point).diagnose(end)
        return replace(
            status, sentence=f"{status.sentence}; the gate sits where the ranking of experts changes"
        )


def _out_of_steps(end: End, max_iter: int | None) -> bool:
    return max_iter is not None and not end.outcome.converged and not end.outcome.stuck

"""Compiled sums of a family that is written in NumPy.

The core computes the linear predictors of a piece of the rows, the family turns them into log-densities,
scores and curvatures, all rows and experts at once, and the core does the rest: gate, mixture, Gram sums.
Pieces are cut by size alone and added in their order, so results do not depend on the number of threads,
which the core's sums use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import _core
from ..model import Model
from ..rows import Rows
from .base import (
    IMPOSSIBLE,
    Evaluation,
    Order,
    Rowwise,
    Terms,
    Together,
    added,
    base_of,
    joined,
    log_base_sum,
    terms_of,
)
from .native import OUTSIDE, instruction_set, problem_of

PIECE = 16384  # rows at a time: their terms stay in the caches


@dataclass(frozen=True)
class Piece:
    """Consecutive rows, their units, and the core's view of them."""

    rows: Rows
    units: slice
    y: np.ndarray  # (n, 1), scaled
    problem: _core.Problem


class TermsEngine(Together):
    """Engine over `rows` on `threads` threads, for softmax and top-K gates, soft boundaries
    included, with any family."""

    def __init__(self, model: Model, rows: Rows, threads: int = 1, isa: str | None = None):
        self.model, self.rows, self.threads = model, rows, threads
        self.isa = instruction_set(isa)
        self._offset = log_base_sum(model, rows)
        self._pieces, start = [], 0
        for part in rows.parts(PIECE):
            units = slice(start, start + part.n_units)
            y = ((part.y - part.y_center) / part.y_scale)[:, None]
            self._pieces.append(Piece(part, units, y, problem_of(model, part, OUTSIDE)))
            start = units.stop

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        thetas = np.ascontiguousarray(thetas)
        together = max(1, PIECE // max(self.rows.n, 1))  # of small data several thetas make one piece
        parts = []
        for start in range(0, len(thetas), together):
            at = slice(start, start + together)
            given = None if responsibilities is None else responsibilities[at]
            parts.append(
                added([self._sums(piece, thetas[at], order, given, threads) for piece in self._pieces])
            )
        sums = joined(parts)
        return replace(sums, value=sums.value + self._offset)

    @cached_property
    def _base(self) -> np.ndarray:
        return base_of(self.model, self.rows)

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        order = Order.GRADIENT if scores else Order.VALUE
        return self._rowwise(theta, [self._terms(p, theta[None], order)[0] for p in self._pieces], scores)

    def evaluate_rows(self, theta: np.ndarray, order: Order, scores: bool) -> tuple[Evaluation, Rowwise]:
        """`evaluate` and `rowwise` from the same terms, which are the dear part."""
        terms = [self._terms(piece, theta[None], order) for piece in self._pieces]
        sums = added(
            [
                self._sums(piece, theta[None], order, None, self.threads, of_piece)
                for piece, of_piece in zip(self._pieces, terms, strict=True)
            ]
        )
        of_rows = self._rowwise(theta, [of_piece[0] for of_piece in terms], scores)
        return replace(sums, value=sums.value + self._offset).each()[0], of_rows

    def _rowwise(self, theta: np.ndarray, terms: list[Terms], scores: bool) -> Rowwise:
        density, resp, score = [], [], []
        for piece, of_piece in zip(self._pieces, terms, strict=True):
            parts = piece.problem.rowwise(theta, scores, self.threads, self.isa, of_piece)
            for whole, part in zip((density, resp, score), parts, strict=True):
                whole.append(part)
        return Rowwise(
            np.concatenate(density) + self._base,
            np.concatenate(resp),
            np.concatenate(score) if scores else None,
        )

    def _sums(
        self,
        piece: Piece,
        thetas: np.ndarray,
        order: Order,
        given: np.ndarray | None,
        threads: int,
        terms: list[Terms] | None = None,
    ) -> Evaluation:
        """The core's sums over a piece at each theta, stacked."""
        terms = self._terms(piece, thetas, order) if terms is None else terms
        r = None if given is None else np.ascontiguousarray(given[:, piece.units])
        if len(thetas) > 1:
            sums: tuple[Any, ...] = piece.problem.sums_of(thetas, int(order), threads, self.isa, r, terms)
        else:
            one = piece.problem.sums(
                thetas[0], int(order), threads, self.isa, None if r is None else r[0], terms[0]
            )
            sums = tuple(None if a is None else np.asarray(a)[None] for a in one)
        undefined = [np.isnan(np.sum(of_theta[0])) for of_theta in terms]  # maxima inside the core drop NaN
        value: Any = np.where(undefined, np.nan, sums[0])
        return Evaluation(value, *sums[1:])

    def _terms(self, piece: Piece, thetas: np.ndarray, order: Order) -> list[Terms]:
        """(log-density (n, k), scores (n, k, m), information and curvature (n, k, m, m)) at each theta."""
        model, law, n = self.model, self.model.family, piece.rows.n
        free = model.m + law.nuisances
        known = piece.rows.known
        trials = 0 if known is None else known.shape[1] - 1
        more = trials + bool(law.members)
        raw = np.empty((len(thetas), model.k, free + more, n))  # rows next to each other
        for s, theta in enumerate(thetas):
            if more:
                own = np.empty((model.k, free, n))
                piece.problem.predictors(theta, own, self.isa)
                raw[s, :, :free] = own
                if known is not None and trials:
                    raw[s, :, free] = known[:, 1]
                if law.members:
                    raw[s, :, -1] = np.arange(model.k)[:, None]
            else:
                piece.problem.predictors(theta, raw[s], self.isa)
            raw[s, :, model.m : free] = model.nuisances(theta)[:, :, None]
        eta = raw.transpose(0, 3, 1, 2)
        shape = (len(thetas), n, model.k)
        with np.errstate(all="ignore"):
            density, *more_terms = terms_of(law, eta, piece.y, order)
            density = np.maximum(np.broadcast_to(density, shape), IMPOSSIBLE)
        parts = (density, *more_terms)
        return [tuple(None if a is None else a[s] for a in parts) for s in range(len(thetas))]

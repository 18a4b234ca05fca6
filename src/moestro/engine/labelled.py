"""Sums over rows of which some say which expert they have.

Such a unit contributes log pi_e + log f_e of its own expert, which is EM's Q function with a responsibility
of one; so two engines are added, one of the other units and one of these with their responsibilities given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import DataError
from ..gates import log_softmax
from ..model import Model
from ..rows import Rows
from .base import Engine, Evaluation, Order, Rowwise, added

Make = Callable[[Model, Rows], Engine]


class LabelledEngine:
    """Engine over `rows` with labels, by engines that `make` makes of rows without."""

    def __init__(self, model: Model, rows: Rows, make: Make):
        if model.gate.path(model.k):
            raise DataError(
                "a sparse gate may leave out the expert that a row is known to have: leave out top_k"
            )
        assert rows.labels is not None
        self.model, self.rows = model, rows
        self._known = np.flatnonzero(rows.labels >= 0)
        self._open = np.flatnonzero(rows.labels < 0)
        self._one = np.eye(model.k)[rows.labels[self._known]]
        self._of_known = (
            make(model, replace(rows.take(self._known), labels=None)) if len(self._known) else None
        )
        self._of_open = make(model, replace(rows.take(self._open), labels=None)) if len(self._open) else None

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        given = None if responsibilities is None else responsibilities[None]
        return self.evaluate_all(theta[None], order, given).each()[0]

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        parts = []
        if self._of_open is not None:
            given = None
            if responsibilities is not None:
                given = np.ascontiguousarray(responsibilities[:, self._open])
            parts.append(self._of_open.evaluate_all(thetas, order, given, threads))
        if self._of_known is not None:
            one = np.ascontiguousarray(np.broadcast_to(self._one, (len(thetas), *self._one.shape)))
            parts.append(self._of_known.evaluate_all(thetas, order, one, threads))
        return added(parts)

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        u, k = self.rows.n_units, self.model.k
        density, r = np.empty(u), np.empty((u, k))
        found: list[tuple[np.ndarray, np.ndarray | None]] = []
        if self._of_open is not None:
            at = self._of_open.rowwise(theta, scores=scores)
            density[self._open], r[self._open] = at.log_density, at.responsibilities
            found.append((self._open, at.scores))
        if self._of_known is not None:
            own, of_logits = self._known_rows(theta)
            density[self._known], r[self._known] = own, self._one
            found.append((self._known, of_logits))
        if not scores:
            return Rowwise(density, r, None)
        first = found[0][1]
        assert first is not None
        out = np.empty((self.rows.n, first.shape[1]))
        for units, part in found:
            out[units if self.rows.groups is None else self.rows.groups.take(units)[0]] = part
        return Rowwise(density, r, out)

    def _known_rows(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log pi_e + log f_e of the known units, (m,), in the user's units, and weighted scores of their
        rows' logits."""
        assert self._of_known is not None
        model, rows = self.model, self._of_known.rows
        block = next(rows.blocks(rows.n))
        eta, log_pi = model.predictors(theta, block.x, block.known), log_softmax(model.scores(theta, block.z))
        base = np.broadcast_to(model.family.log_base(block.y) - np.log(rows.y_scale), block.y.shape)
        joint = log_pi + block.sum(model.family.log_density(eta, block.y[:, None]) + base[:, None])
        d = np.zeros((len(block.y), model.n_gate))
        d[block.first] = block.w[:, None] * (self._one - np.exp(log_pi))[:, : model.n_gate]
        s = block.spread(block.w[:, None] * self._one)[:, :, None] * model.family.score(eta, block.y[:, None])
        scores = np.concatenate([d, s.reshape(len(d), -1)], axis=1)
        return (joint * self._one).sum(axis=1), scores


def labelled(model: Model, rows: Rows, make: Make) -> Engine:
    """An engine of rows, whether or not some have labels."""
    return make(model, rows) if rows.labels is None else LabelledEngine(model, rows, make)

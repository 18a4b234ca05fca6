"""Sums over rows of which some say which expert they have.

Such a unit contributes log pi_e + log f_e of its own expert, which is EM's Q function with a responsibility
of one; so two engines are added, one of the other units and one of these with their responsibilities given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import Rows
from .array import ArrayEngine
from .base import Engine, Evaluation, Order, Rowwise, Together, added

Make = Callable[[Model, Rows], Engine]


class LabelledEngine(Together):
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
        model, rows = self.model, self.rows
        parts = []
        if self._of_open is not None:
            parts.append((self._open, self._of_open.rowwise(theta, scores=scores)))
        if self._of_known is not None:
            reference = ArrayEngine(model, self._of_known.rows)
            parts.append((self._known, reference.rowwise(theta, scores=scores, responsibilities=self._one)))
        density, r = np.empty(rows.n_units), np.empty((rows.n_units, model.k))
        logits = model.n_gate + model.k * (model.m + model.family.nuisances)
        of_rows = np.empty((rows.n, logits)) if scores else None
        for units, part in parts:
            density[units], r[units] = part.log_density, part.responsibilities
            if of_rows is not None:
                of_rows[units if rows.groups is None else rows.groups.take(units)[0]] = part.scores
        return Rowwise(density, r, of_rows)


def labelled(model: Model, rows: Rows, make: Make) -> Engine:
    """An engine of rows, whether or not some have labels."""
    return make(model, rows) if rows.labels is None else LabelledEngine(model, rows, make)

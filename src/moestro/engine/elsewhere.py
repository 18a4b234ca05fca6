"""Sums over rows that are read block by block: those of the blocks, added in their order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import Rows, RowsElsewhere
from .base import Engine, Evaluation, Order, Rowwise, added

Make = Callable[[Model, Rows], Engine]


class ElsewhereEngine:
    """Engine over `rows` that are elsewhere, by an engine that `make` makes of each block.

    A pass over the rows is one reading of them, however many parameters it is made for. Where a source holds
    them on other machines, the sums are made there.
    """

    def __init__(self, model: Model, rows: RowsElsewhere, make: Make):
        self.model, self.rows, self._make = model, rows, make

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        _refuse(responsibilities)
        return self.rows.summed(partial(_evaluated, self._make, self.model, theta, order), _both)

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        _refuse(responsibilities)
        how = partial(_all_evaluated, self._make, self.model, thetas, order, threads)
        return self.rows.summed(how, _both)

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        raise DataError(
            "rows outside memory have no results of all rows at once: predict them, or give a frame of some"
        )


def _evaluated(make: Make, model: Model, theta: np.ndarray, order: Order, part: Rows) -> Evaluation:
    return make(model, part).evaluate(theta, order)


def _all_evaluated(
    make: Make, model: Model, thetas: np.ndarray, order: Order, threads: int, part: Rows
) -> Evaluation:
    return make(model, part).evaluate_all(thetas, order, None, threads)


def _both(a: Evaluation, b: Evaluation) -> Evaluation:
    return added([a, b])


def _refuse(responsibilities: np.ndarray | None) -> None:
    if responsibilities is not None:
        raise DataError("memberships need rows in memory: give a frame of them, or of a sample")

"""Sums over rows that are read block by block: those of the blocks, added in their order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import Rows, RowsElsewhere
from .base import Engine, Evaluation, Order, Rowwise, added


class ElsewhereEngine:
    """Engine over `rows` that are elsewhere, by an engine that `make` makes of each block.

    A pass over the rows is one reading of them, however many parameters it is made for.
    """

    def __init__(self, model: Model, rows: RowsElsewhere, make: Callable[[Model, Rows], Engine]):
        self.model, self.rows, self._make = model, rows, make

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        _refuse(responsibilities)
        total = None
        for part in self.rows.parts():
            own = self._make(self.model, part).evaluate(theta, order)
            total = own if total is None else added([total, own])
        assert total is not None
        return total

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        _refuse(responsibilities)
        total = None
        for part in self.rows.parts():
            own = self._make(self.model, part).evaluate_all(thetas, order, None, threads)
            total = own if total is None else added([total, own])
        assert total is not None
        return total

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        raise DataError(
            "results of every row of rows that are elsewhere are made block by block: predict them, or give "
            "a frame of some"
        )


def _refuse(responsibilities: np.ndarray | None) -> None:
    if responsibilities is not None:
        raise DataError("memberships are of rows in memory: give a frame of them, or of a sample")

"""Engines: the same sums over rows, computed in different ways."""

from ..errors import DataError
from ..model import Model
from ..rows import Rows, RowsElsewhere
from .array import ArrayEngine, unit_scores
from .base import Engine, Evaluation, Order, Rowwise, stacked
from .elsewhere import ElsewhereEngine
from .labelled import labelled
from .native import GATES, ISA_VARIABLE, NativeEngine, supports
from .terms import TermsEngine

ENGINES = ("auto", "native", "array")


def make_engine(model: Model, rows: Rows | RowsElsewhere, name: str = "auto", threads: int = 1) -> Engine:
    """The engine called `name`; "auto" is native where the core has the gate. The terms of a family that it
    has not come from NumPy."""
    if name not in ENGINES:
        raise DataError(f"engine={name!r} is unknown: choose one of {', '.join(ENGINES)}")

    def make(model: Model, rows: Rows) -> Engine:
        if name == "array" or (name == "auto" and model.gate.name not in GATES):
            return ArrayEngine(model, rows)
        if model.gate.name in GATES and not supports(model):
            return TermsEngine(model, rows, threads)
        return NativeEngine(model, rows, threads)

    if isinstance(rows, RowsElsewhere):
        return ElsewhereEngine(model, rows, make)
    return labelled(model, rows, make)


__all__ = [
    "ENGINES",
    "GATES",
    "ISA_VARIABLE",
    "ArrayEngine",
    "Engine",
    "Evaluation",
    "NativeEngine",
    "Order",
    "Rowwise",
    "TermsEngine",
    "make_engine",
    "stacked",
    "unit_scores",
]

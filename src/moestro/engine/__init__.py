"""Engines: the same sums over rows, computed in different ways."""

from ..errors import DataError
from ..model import Model
from ..rows import Rows
from .array import ArrayEngine, unit_scores
from .base import Engine, Evaluation, Order, Rowwise, stacked
from .labelled import labelled
from .native import ISA_VARIABLE, NativeEngine, supports

ENGINES = ("auto", "native", "array")


def make_engine(model: Model, rows: Rows, name: str = "auto", threads: int = 1) -> Engine:
    """The engine called `name`; "auto" is native where the core has the gate and the family."""
    if name not in ENGINES:
        raise DataError(f"engine={name!r} is unknown: choose one of {', '.join(ENGINES)}")
    if name == "native" or (name == "auto" and supports(model)):
        return labelled(model, rows, lambda model, rows: NativeEngine(model, rows, threads))
    return labelled(model, rows, ArrayEngine)


__all__ = [
    "ENGINES",
    "ISA_VARIABLE",
    "ArrayEngine",
    "Engine",
    "Evaluation",
    "NativeEngine",
    "Order",
    "Rowwise",
    "make_engine",
    "stacked",
    "unit_scores",
]

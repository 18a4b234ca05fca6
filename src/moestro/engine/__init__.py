"""Engines: the same sums over rows, computed in different ways."""

from ..errors import DataError
from ..model import Model
from ..rows import Rows, RowsElsewhere
from .array import ArrayEngine, unit_scores
from .base import Engine, Evaluation, Order, Rowwise, stacked
from .elsewhere import ElsewhereEngine
from .labelled import labelled
from .native import ISA_VARIABLE, NativeEngine, is_compiled, supports
from .scores import ScoresEngine
from .terms import TermsEngine
from .torch import TorchEngine

ENGINES = ("auto", "native", "array", "torch")


def make_engine(model: Model, rows: Rows | RowsElsewhere, name: str = "auto", threads: int = 1) -> Engine:
    """The engine called `name`; "auto" makes compiled sums, for which the scores of a gate and the terms of a
    family that the core has not come from NumPy. "torch" is torch's CPU, "torch:cuda:0" another device."""
    if name not in ENGINES and not name.startswith("torch:"):
        raise DataError(f"engine={name!r} is unknown: choose one of {', '.join(ENGINES)}")

    def make(model: Model, rows: Rows) -> Engine:
        if name.startswith("torch"):
            return TorchEngine(model, rows, name)
        if name == "array":
            return ArrayEngine(model, rows)
        if name == "auto" and not is_compiled(model):
            return ScoresEngine(model, rows, threads)
        if is_compiled(model) and not supports(model):
            return TermsEngine(model, rows, threads)
        return NativeEngine(model, rows, threads)

    if isinstance(rows, RowsElsewhere):
        return ElsewhereEngine(model, rows, make)
    return labelled(model, rows, make)


__all__ = [
    "ENGINES",
    "ISA_VARIABLE",
    "ArrayEngine",
    "Engine",
    "Evaluation",
    "NativeEngine",
    "Order",
    "Rowwise",
    "ScoresEngine",
    "TermsEngine",
    "TorchEngine",
    "is_compiled",
    "make_engine",
    "stacked",
    "unit_scores",
]

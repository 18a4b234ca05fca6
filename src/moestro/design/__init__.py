"""From frames, formulas and arrays to matrices of numbers, remembered for prediction."""

from typing import Any

from ..errors import DataError
from .arrays import ArrayDesign
from .formula import FormulaDesign
from .known import append_second, check_offset, split_known, split_trials, with_second
from .observations import Observations
from .scaling import Scaling, cross_products, fit_scaling, scaling_of
from .transforms import apply_transform, learn_transform
from .units import Units

Design = ArrayDesign | FormulaDesign


def design_from_dict(data: dict[str, Any]) -> Design:
    """The design that `to_dict` described."""
    kinds = {"array": ArrayDesign, "formula": FormulaDesign}
    if data.get("kind") not in kinds:
        raise DataError(f"unknown kind of design {data.get('kind')!r} in the model file")
    return kinds[data["kind"]].from_dict(data)


__all__ = [
    "ArrayDesign",
    "Design",
    "FormulaDesign",
    "Observations",
    "Scaling",
    "Units",
    "append_second",
    "apply_transform",
    "check_offset",
    "cross_products",
    "design_from_dict",
    "fit_scaling",
    "learn_transform",
    "scaling_of",
    "split_known",
    "split_trials",
    "with_second",
]

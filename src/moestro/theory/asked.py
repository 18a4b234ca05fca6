"""What a question to the theory may hold: whole numbers, numbers, and measures."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..errors import DataError


def whole(name: str, value: object, low: int = 1) -> int:
    """A whole number of at least `low`, Python's or NumPy's."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise DataError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)


def number(name: str, value: object, low: float, *, open_: bool = False) -> float:
    """A finite number of at least `low`, or above it."""
    fine = isinstance(value, Real) and not isinstance(value, bool)
    if not fine or not math.isfinite(value) or not (value > low if open_ else value >= low):  # type: ignore[arg-type]
        raise DataError(
            f"{name} must be a number {'above' if open_ else 'of at least'} {low:g}, got {value!r}"
        )
    return float(value)  # type: ignore[arg-type]


def check_measure(measure: Any) -> None:
    """Refuse what is no mixing measure, and numbers that are no distance away from anything."""
    if not callable(getattr(measure, "components", None)) or not callable(getattr(measure, "atoms", None)):
        raise DataError(
            f"a mixing measure is needed, got {type(measure).__name__}: that of an estimator is `measure_`"
        )
    with np.errstate(over="ignore"):
        parts = measure.components()
    for name, value in parts.items():
        wrong = np.flatnonzero(~np.isfinite(value.reshape(len(value), -1)).all(axis=1))
        if len(wrong):
            raise DataError(f"{name} of atom {wrong[0] + 1} are not finite")
    located = not hasattr(measure, "log_weights")
    weights = measure.weights if located else measure.log_weights
    if np.isnan(weights).any() or np.isposinf(weights).any() or not (located or np.isfinite(weights).any()):
        raise DataError("the weights of a measure must be finite, and one of them above zero")


def same_order(what: str, first: Any, second: Any) -> None:
    """Refuse names that are the same ones in another order."""
    a, b = list(first), list(second)
    if a != b and len(a) == len(b) and set(a) == set(b):
        raise DataError(f"the {what} are in another order: {list(first)} against {list(second)}")

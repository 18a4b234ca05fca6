"""What a question to the theory may hold: whole numbers, numbers, arrays of them, and measures."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..errors import DataError


def whole(name: str, value: object, low: int = 1, high: int | None = None) -> int:
    """A whole number of at least `low` and at most `high`, Python's or NumPy's."""
    fine = isinstance(value, Integral) and not isinstance(value, bool)
    if not fine or not low <= int(value) <= (math.inf if high is None else high):  # type: ignore[call-overload]
        among = f"of at least {low}" if high is None else f"between {low} and {high}"
        raise DataError(f"{name} must be a whole number {among}, got {value!r}")
    return int(value)  # type: ignore[call-overload]


def wholes(name: str, values: object, low: int, high: int) -> list[int]:
    """Whole numbers between `low` and `high`, at least one."""
    found = [whole(name, value, low, high) for value in np.ravel(np.asarray(values, dtype=object))]
    if not found:
        raise DataError(f"{name} is needed, at least one")
    return found


def number(name: str, value: object, low: float = -math.inf, *, open_: bool = False) -> float:
    """A finite number of at least `low`, or above it."""
    fine = isinstance(value, Real) and not isinstance(value, bool)
    if not fine or not math.isfinite(value) or not (value > low if open_ else value >= low):  # type: ignore[arg-type]
        least = f"a number {'above' if open_ else 'of at least'} {low:g}"
        raise DataError(f"{name} must be {least if math.isfinite(low) else 'a finite number'}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def reals(name: str, values: Any) -> np.ndarray:
    """Finite real numbers as an array of doubles: no text, no complex ones, and a row at least."""
    found = np.asarray(values)
    try:
        out = found.astype(float) if found.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        out = None
    if out is None or out.shape[:1] == (0,) or not np.isfinite(out).all():
        raise DataError(f"{name} must hold finite real numbers, at least one")
    return out


def power_of(loss: str, needed: bool, r: object) -> float | None:
    """The power r of a loss that has one."""
    if needed != (r is not None):
        asked = "needs its power r, a number of at least 1" if needed else "has no power r: leave it out"
        raise DataError(f"{loss} {asked}")
    return None if r is None else number("the power r", r, 1.0)


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

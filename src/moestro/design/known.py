"""What is known of the linear predictors: an offset, which is added to them with the coefficient one, and
what stands in a second column of the response: trials in which it counts successes, or the other end of an
interval.

Matrices of the experts' columns carry them as their last columns, so that rows keep them wherever they go.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from .frames import which_rows
from .response import finite_numbers

OPEN = 1e300  # the other end of an interval that is infinite
LARGEST = 2.0**53  # whole numbers above it are not all doubles
OFFSET = "(offset)"  # what the known column of a matrix is called


class TwoColumns(Protocol):
    """What a family of experts says about a second column of its response."""

    @property
    def takes_trials(self) -> bool: ...

    @property
    def takes_bounds(self) -> bool: ...


def split_known(x: Any, known: int) -> tuple[Any, np.ndarray | None]:
    """The experts' columns, and the `known` last columns of x (None: there are none)."""
    return (x[:, :-known], x[:, -known:]) if known else (x, None)


def split_trials(y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Successes (n,) and trials (n,) of a response of two columns; y and None of one."""
    return (y[:, 0].copy(), y[:, 1].copy()) if y.ndim == 2 else (y, None)


def with_trials(known: np.ndarray | None, y: np.ndarray, trials: np.ndarray | None) -> np.ndarray | None:
    """`known` with the trials in which y (n,) counts successes, (n, 2); None: a row is one trial."""
    n = np.ones_like(y) if trials is None else trials
    if trials is not None:
        bad = (trials < 1) | (trials != np.floor(trials))
        if bad.any():
            raise DataError(f"trials must be whole numbers of at least 1, and are not in {which_rows(bad)}")
        if (bad := trials > LARGEST).any():
            raise DataError(
                f"trials above 2^53 are no exact count in double precision, and are in {which_rows(bad)}"
            )
    if (y > n).any():
        row = int(np.argmax(y > n))
        more = ": give two columns, successes and trials" if trials is None else ""
        raise DataError(f"row {row + 1} has {y[row]:g} successes in {n[row]:g} trials{more}")
    if trials is None:
        return known
    return np.column_stack([np.zeros_like(y) if known is None else known[:, 0], trials])


def with_second(
    known: np.ndarray | None, y: np.ndarray, second: np.ndarray | None, family: TwoColumns
) -> np.ndarray | None:
    """`known` with the second column of a response of this family."""
    if family.takes_trials:
        return with_trials(known, y, second)
    if second is None or not family.takes_bounds:
        return known
    return np.column_stack([np.zeros_like(y) if known is None else known[:, 0], second])


def ends_of(y: np.ndarray, lowest: float, name: str = "y") -> np.ndarray:
    """Lower and upper ends (n, 2) of a response as one end that is a number, and the other (n, 2), beyond
    `OPEN` where it is infinite; equal ends say that the response is seen. No number is below `lowest`."""
    low, high = np.asarray(y, dtype=float).T
    open_low, open_high = ~(low > lowest), np.isposinf(high)
    for bad, says in (
        (np.isnan(y).any(axis=1), "NaN: an end that is not known is infinite"),
        (low > high, "a lower end above the upper one"),
        (open_low & open_high, "no end that is a number: leave such rows out"),
        (~open_high & ~(high > lowest), f"an upper end that is not above {lowest:g}"),
    ):
        if bad.any():
            raise DataError(f"the response '{name}' has {says}, in {which_rows(np.asarray(bad))}")
    number = np.where(open_low, high, low)
    return np.column_stack([number, np.where(open_low, -OPEN, np.where(open_high, OPEN, high))])


def bounded(times: np.ndarray, name: str = "y") -> np.ndarray:
    """Lower and upper ends (n, 2) of times and status (n, 2): 1 of an event that was seen, 0 where it was not
    seen until then, 2 where it was before."""
    time, status = np.asarray(times, dtype=float).T
    odd = ~np.isin(status, (0.0, 1.0, 2.0))
    if odd.any():
        raise DataError(
            f"the status in '{name}' must be 1 (the event at that time), 0 (later) or 2 (earlier), and is "
            f"not in {which_rows(odd)}"
        )
    return np.column_stack([np.where(status == 2, -np.inf, time), np.where(status == 0, np.inf, time)])


def append_second(x: Any, known: int, y: np.ndarray, second: np.ndarray | None, family: TwoColumns) -> Any:
    """The experts' columns with their `known` ones, which `split_known` takes off again, and the second
    column of the response."""
    own, offset = split_known(x, known)
    both = with_second(offset, y, second, family)
    return x if both is None else np.column_stack([own, both])


def check_offset(offset: Any, n: int) -> np.ndarray:
    """Finite numbers (n,)."""
    return finite_numbers(offset, n, "offset", "it is one number a row, added to the linear predictor")


def refuse_offset(known: int, what: str) -> None:
    """Where predictors take no offset yet."""
    if known:
        raise DataError(f"{what} take no offset: leave it out, or use MoERegressor")

"""What a prediction must be: a number. A row beyond what double precision can say of it is refused by its
place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design.frames import which_rows
from ..errors import DataError, quiet
from ..gates import log_softmax


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """`values` (n, ...), every row finite."""
    return _refuse(values, np.logical_not(np.isfinite(values)), what)


def no_nan(values: np.ndarray, what: str) -> np.ndarray:
    """`values` (n, ...) without NaN: a log-density may be minus infinity."""
    return _refuse(values, np.isnan(values), what)


def posterior(joint: np.ndarray) -> np.ndarray:
    """Responsibilities (n, k) from log g_i f_i (n, k)."""
    with quiet():
        return finite(np.exp(log_softmax(joint)), "responsibilities")


def assigned(r: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of responsibilities (n, k): the most probable expert of each row, counted from 1, and the
    posterior of each; None in rows of NaN."""
    table: dict[str, Any] = {
        "expert": np.argmax(r, axis=1) + 1,
        **{f"posterior({e + 1})": p for e, p in enumerate(r.T)},
    }
    unknown = np.isnan(r).any(axis=1)
    if unknown.any():
        return {name: np.where(unknown, np.array(None), values) for name, values in table.items()}
    return table


def _refuse(values: np.ndarray, bad: np.ndarray, what: str) -> np.ndarray:
    if bad.any():
        rows = bad.reshape(len(bad), -1).max(axis=1)
        raise DataError(
            f"the model has no finite {what} in {which_rows(rows)}: the columns there are too large for it "
            "in double precision: rescale them, or leave these rows out"
        )
    return values

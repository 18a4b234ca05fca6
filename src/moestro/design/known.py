"""What is known of the linear predictors: an offset, which is added to them with the coefficient one, and the
trials in which a response counts successes.

Matrices of the experts' columns carry them as their last columns, so that rows keep them wherever they go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .frames import which_rows

OFFSET = "(offset)"  # what the known column of a matrix is called


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
            raise DataError(f"trials are whole numbers of at least 1, and are not in {which_rows(bad)}")
    if (y > n).any():
        row = int(np.argmax(y > n))
        more = ": give two columns, successes and trials" if trials is None else ""
        raise DataError(f"row {row + 1} has {y[row]:g} successes in {n[row]:g} trials{more}")
    if trials is None:
        return known
    return np.column_stack([np.zeros_like(y) if known is None else known[:, 0], trials])


def append_trials(x: Any, known: int, y: np.ndarray, trials: np.ndarray | None) -> Any:
    """The experts' columns with their `known` ones, which `split_known` takes off again, and the trials."""
    own, offset = split_known(x, known)
    both = with_trials(offset, y, trials)
    return x if both is None else np.column_stack([own, both])


def check_offset(offset: Any, n: int) -> np.ndarray:
    """Finite numbers (n,)."""
    try:
        out = np.ascontiguousarray(offset, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError("offset holds text: it is a number a row, added to the linear predictor") from error
    if out.shape != (n,):
        raise DataError(f"offset has shape {out.shape}, expected ({n},): one number a row")
    bad = ~np.isfinite(out)
    if bad.any():
        raise DataError(f"offset is NaN or infinite in {which_rows(bad)}")
    return out


def refuse_offset(known: int, what: str) -> None:
    """Where predictors take no offset yet."""
    if known:
        raise DataError(f"an offset is not known to {what}: leave it out, or use MoERegressor")

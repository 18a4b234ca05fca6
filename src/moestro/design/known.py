"""What is known of the linear predictors: an offset, which is added to them with the coefficient one.

Matrices of the experts' columns carry it as one more column, the last, so that rows keep it wherever they go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .frames import which_rows


def split_known(x: Any, known: int) -> tuple[Any, np.ndarray | None]:
    """The experts' columns, and the `known` last columns of x (None: there are none)."""
    return (x[:, :-known], x[:, -known:]) if known else (x, None)


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

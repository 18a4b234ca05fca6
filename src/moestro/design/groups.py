"""What stands beside the rows, as people give it: ids of groups that share their expert, known experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .frames import columns, gaps


def beside_rows(given: Any, data: Any) -> Any:
    """Ids or weights (n,): of a column of a frame or mapping by its name, or as they are."""
    if not isinstance(given, str):
        return given
    return columns(data, [given])[given]


GATE_AT = ("constant", "first", "mean")


def check_gate_at(gate_at: Any, groups: Any) -> str:
    """The word `gate_at`, which says something of groups alone."""
    if not isinstance(gate_at, str) or gate_at not in GATE_AT:
        raise DataError(f"gate_at={gate_at!r} is unknown: choose one of {', '.join(GATE_AT)}")
    if groups is None and gate_at != "constant":
        raise DataError(f"gate_at={gate_at!r} says where the gate reads a group of rows: give groups too")
    return gate_at


def known_experts(partial: Any, data: Any, n: int, k: int | None) -> np.ndarray | None:
    """The expert (n,) that each row is known to have, from 0, -1 where it is missing.

    `partial` counts from 1, and is the name of a column or the labels themselves; of `k` experts, None where
    that is to be chosen.
    """
    if partial is None:
        return None
    values = np.asarray(columns(data, [partial])[partial] if isinstance(partial, str) else partial)
    if values.shape != (n,):
        raise DataError(f"partial has shape {values.shape}, expected ({n},): an expert a row, or none")
    if k is None:
        raise DataError("partial says which expert a row has, so n_experts must be a number")
    absent = gaps({"partial": values}).get("partial", np.zeros(n, dtype=bool))
    out = np.full(n, -1)
    try:
        found = values[~absent].astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"partial holds text: give experts from 1 to {k}, and nothing where it is unknown"
        ) from error
    if (wrong := (found != np.round(found)) | (found < 1) | (found > k)).any():
        raise DataError(f"partial names expert {found[wrong][0]:g}: give experts from 1 to {k}, or nothing")
    out[~absent] = found.astype(int) - 1
    return out if (out >= 0).any() else None


def refuse_partial(partial: Any, common: tuple[str, ...], what: str) -> None:
    """Where no row can say which expert it has, and no coefficient be common."""
    if partial is not None:
        raise DataError(f"{what} take no partial labels: leave them out, or use a softmax gate alone")
    if common:
        raise DataError(f"{what} take no common(...): write the column without it")


def refuse_groups(groups: Any, what: str) -> None:
    """Where rows cannot share their expert yet."""
    if groups is not None:
        raise DataError(f"{what} take no groups: leave them out, or use MoERegressor or MoEClassifier")

"""The ids of groups that share their expert, as people give them."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from .frames import columns


def group_ids(groups: Any, data: Any) -> Any:
    """The ids (n,): of a column of a frame or mapping by its name, or as they are."""
    if not isinstance(groups, str):
        return groups
    return columns(data, [groups])[groups]


def refuse_groups(groups: Any, what: str) -> None:
    """Where rows cannot share their expert yet."""
    if groups is not None:
        raise DataError(
            f"groups are not known to {what}: leave them out, or use MoERegressor or MoEClassifier"
        )

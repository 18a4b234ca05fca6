"""Experts that share their variance, or what their family has for one: the first of its nuisances."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DataError
from .reading import from_numpy

EQUAL = "equal"

Shared = str | tuple[tuple[int, ...], ...]  # "equal", or groups of experts from 0


def shared_by(variances: Any, k: int | None) -> Shared:
    """What the word of an estimator says of `k` experts, None where these are to be chosen: without groups of
    one, and "equal" of all in one group."""
    variances = from_numpy(variances)
    if variances is None or (isinstance(variances, str) and variances == EQUAL):
        return () if variances is None else EQUAL
    lists = list | tuple
    if not isinstance(variances, lists) or any(not isinstance(group, lists) for group in variances):
        raise DataError(
            f"variances must be 'equal', or groups of experts such as [[1, 2], [3]], got {variances!r}"
        )
    if k is None:
        raise DataError("variances in groups need n_experts as a number; 'equal' does not")
    named = [e for group in variances for e in group]
    for e in named:
        if isinstance(e, bool) or not isinstance(e, int | np.integer) or not 1 <= e <= k:
            raise DataError(f"variances names {e!r}, which is no expert: these are 1 to {k}")
    for e in named:
        if named.count(e) > 1:
            raise DataError(f"variances names expert {e} twice")
    groups = tuple(tuple(sorted(int(e) - 1 for e in group)) for group in variances if len(group) > 1)
    return EQUAL if groups and len(groups[0]) == k else groups


def groups_of(shared: Shared, k: int) -> list[tuple[int, ...]]:
    """The groups of k experts."""
    if isinstance(shared, str):
        return [tuple(range(k))]
    return [tuple(e for e in group if e < k) for group in shared]


def check_shared(shared: Shared, family: Any, k: int) -> None:
    """Refuse what experts of this family do not have, or have said already."""
    if not shared:
        return
    if family.tied_nuisances:
        raise DataError("shared_variance and variances both say what is equal: leave one of them out")
    laws = family.members or (family,) * k
    for first, *others in groups_of(shared, len(laws)):
        for e in (first, *others):
            if laws[e].labels or not laws[e].nuisances:
                raise DataError(f"{laws[e].name} experts have no variance to share: leave out variances")
            if laws[e] != laws[first]:
                raise DataError(
                    f"variances are shared by experts of one family: expert {first + 1} is "
                    f"{laws[first].name}, and expert {e + 1} {laws[e].name}"
                )

"""Records that a model file may hold beside the model: penalties, accounts of a slope heuristic, dendrograms;
each with the fields that it must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DataError
from ..penalties import PENALTIES
from ..reading import flag, number, numbers, whole
from ..selection import DDSE, Dendrogram, Djump
from ..tables import Table

MOST = 10**6  # models and experts
RECORDS: dict[str, type] = {kind.__name__: kind for kind in (*PENALTIES.values(), Djump, DDSE, Dendrogram)}


def make_record(name: Any, fields: Any) -> Any:
    """The record of this class."""
    if name not in RECORDS:
        raise DataError(f"unknown record {name!r} in the model file")
    if name in CHECKS:
        CHECKS[name](fields)
    return RECORDS[name](**fields)


def _djump(f: Mapping[str, Any]) -> None:
    _slope(f)
    number(f["kappa_min"], "kappa", 0.0)
    _columns(f["path"], "kappa", "model", "complexity")


def _ddse(f: Mapping[str, Any]) -> None:
    _slope(f)
    numbers(f["slope"], (2,), "slopes")
    whole(f["plateau"], "plateau", 1, MOST)
    flag(f["long_enough"], "mark of a plateau")
    _columns(f["regressions"], "pen_at_least", "slope", "intercept", "model")
    _columns(f["models"], "model", "pen", "contrast")


def _slope(f: Mapping[str, Any]) -> None:
    whole(f["index"], "place of a model", 0, MOST)
    number(f["kappa"], "kappa")
    if not isinstance(f["model"], int | str):
        raise DataError("the model file has an account of a slope without its model")


def _columns(table: Any, *names: str) -> None:
    if not isinstance(table, Table) or tuple(table.columns) != names:
        raise DataError(f"the model file has a table without the columns {', '.join(names)}")


def _dendrogram(f: Mapping[str, Any]) -> None:
    stages, K = f["stages"], max(f["stages"], default=0)
    if K < 2 or set(stages) != set(range(1, K + 1)):
        raise DataError("the model file has a dendrogram without all its stages")
    if any(getattr(stage, "k", None) != k for k, stage in stages.items()):
        raise DataError("the model file has a dendrogram whose stages are not its measures")
    for name, first in (("heights", 2), ("log_likelihoods", 1), ("dsc", 2)):
        if set(f[name]) != set(range(first, K + 1)):
            raise DataError(f"the model file has a dendrogram without all its {name}")
        numbers(list(f[name].values()), (K + 1 - first,), f"{name} of a dendrogram")
    if len(f["pairs"]) != K - 1:
        raise DataError("the model file has a dendrogram without all its merges")
    free = set(range(K))
    for step, pair in enumerate(f["pairs"]):
        a, b = (whole(node, "node of a dendrogram", 0, 2 * K) for node in pair)
        if a == b or not {a, b} <= free:
            raise DataError("the model file has a dendrogram that merges what is merged")
        free = free - {a, b} | {K + step}
    whole(f["k"], "number of experts of a dendrogram", 2, K)


CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "Djump": _djump,
    "DDSE": _ddse,
    "Dendrogram": _dendrogram,
}

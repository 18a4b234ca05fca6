"""Values of Python and NumPy as JSON data, and back: what constructor words, tables and accounts of a choice
are made of.

None, truth values, finite numbers, text, lists and dictionaries with text as keys are themselves; anything
else is a dictionary whose first key says what it is. Nothing that is read is executed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import DataError
from ..gates import GATES, make_gate
from ..located import LocatedMeasure
from ..measure import MixingMeasure
from ..penalties import PENALTIES
from ..selection import DDSE, Dendrogram, Djump
from ..tables import Table

RECORDS: dict[str, type] = {kind.__name__: kind for kind in (*PENALTIES.values(), Djump, DDSE, Dendrogram)}


def encode(value: Any, what: str) -> Any:
    """`value` as JSON data; `what` is how an error calls it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [encode(v, what) for v in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(v, what) for v in value]}
    if isinstance(value, range):
        return {"$range": [value.start, value.stop, value.step]}
    if isinstance(value, np.ndarray):
        return {"$array": encode(value.tolist(), what), "dtype": value.dtype.str}
    if isinstance(value, dict):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: encode(v, what) for k, v in value.items()}
        return {"$pairs": [[encode(k, what), encode(v, what)] for k, v in value.items()]}
    if isinstance(value, Table):
        return {"$table": {n: [encode(v, what) for v in cells] for n, cells in value.columns.items()}}
    if isinstance(value, MixingMeasure):
        return {"$measure": value.to_dict()}
    if isinstance(value, LocatedMeasure):
        return {"$located": value.to_dict()}
    if isinstance(value, np.random.RandomState):
        return {"$random_state": encode(value.get_state(), what)}
    kind = type(value)
    if kind in GATES.values():
        return {"$gate": value.name, "options": encode(value.options(), what)}
    if kind in RECORDS.values():
        parts = {f.name: encode(getattr(value, f.name), what) for f in fields(value)}
        return {"$record": kind.__name__, "fields": parts}
    raise DataError(
        f"{what} holds an object of type {kind.__name__}, which JSON cannot: pickle the estimator instead"
    )


def decode(value: Any) -> Any:
    """Inverse of `encode`."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value), "")
    if not kind.startswith("$"):
        return {k: decode(v) for k, v in value.items()}
    if kind not in DECODERS:
        raise DataError(f"unknown kind of value {kind!r} in the model file")
    return DECODERS[kind](value)


def _random_state(state: Any) -> np.random.RandomState:
    out = np.random.RandomState()
    out.set_state(decode(state))
    return out


DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$float": lambda d: float(d["$float"]),
    "$tuple": lambda d: tuple(decode(d["$tuple"])),
    "$range": lambda d: range(*d["$range"]),
    "$array": lambda d: np.array(decode(d["$array"]), dtype=np.dtype(d["dtype"])),
    "$pairs": lambda d: {decode(k): decode(v) for k, v in d["$pairs"]},
    "$table": lambda d: Table({n: decode(cells) for n, cells in d["$table"].items()}),
    "$measure": lambda d: MixingMeasure.from_dict(d["$measure"]),
    "$located": lambda d: LocatedMeasure.from_dict(d["$located"]),
    "$random_state": lambda d: _random_state(d["$random_state"]),
    "$gate": lambda d: make_gate(d["$gate"], **decode(d["options"])),
    "$record": lambda d: RECORDS[d["$record"]](**decode(d["fields"])),
}

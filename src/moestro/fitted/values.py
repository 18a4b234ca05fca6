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
from ..experts import FAMILIES, make_family
from ..gates import GATES, make_gate
from ..located import LocatedMeasure
from ..measure import MixingMeasure
from ..reading import from_numpy, numbers, sentence, whole
from ..tables import Table
from .records import RECORDS, make_record

SCALARS = (bool, int, float, str)
RANGE = 10**5  # numbers in a range
ARRAY = 2**24  # bytes of an array of texts, each as long as the longest
STATE = 624  # words of a Mersenne twister, and the place after the last


def encode(value: Any, what: str) -> Any:
    """`value` as JSON data; `what` is how an error calls it."""
    if isinstance(value, np.generic):
        value = from_numpy(value)
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
    if kind in FAMILIES.values() and value == make_family(value.name):
        return value.name  # a family that its name makes
    if kind in GATES.values():
        return {"$gate": value.name, "options": encode(value.options(), what)}
    if kind in RECORDS.values():
        parts = {f.name: encode(getattr(value, f.name), what) for f in fields(value)}
        return {"$record": kind.__name__, "fields": parts}
    raise DataError(
        f"{what} holds an object of type {kind.__name__}, which JSON cannot hold: pickle the estimator "
        "instead"
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


def labels(values: Any, what: str) -> tuple[Any, ...]:
    """Different numbers or texts."""
    if not isinstance(values, list) or any(not isinstance(v, SCALARS) for v in values):
        raise DataError(f"the model file's {what} must be a list of numbers or texts")
    if len(set(values)) < len(values):
        raise DataError(f"the model file's {what} must differ from each other")
    return tuple(values)


def table(data: Any) -> Table:
    """Columns of equal length; a cell is a number, text, or nothing."""
    if not isinstance(data, dict) or any(not isinstance(cells, list) for cells in data.values()):
        raise DataError("a table in the model file must be made of lists")
    if len({len(cells) for cells in data.values()}) > 1:
        raise DataError("a table in the model file has columns of unequal length")
    columns = {name: [decode(cell) for cell in cells] for name, cells in data.items()}
    if any(
        cell is not None and not isinstance(cell, SCALARS) for cells in columns.values() for cell in cells
    ):
        raise DataError("a table in the model file has a cell that is neither a number nor text")
    return Table(columns)


def _range(bounds: Any) -> range:
    start, stop, step = (whole(b, "range", -RANGE, RANGE) for b in bounds)
    return range(start, stop, step)


def _array(values: Any, kind: Any) -> np.ndarray:
    """An array of numbers, texts or objects: the width of texts is that of the longest, whatever the file
    says."""
    dtype = np.dtype(sentence(kind, "type of an array"))
    if dtype.kind not in "biufUO" or (dtype.kind != "U" and dtype.itemsize > 16):
        raise DataError(f"the model file has an array of type {kind!r}")
    if dtype.kind != "U":
        return np.array(values, dtype=dtype)
    if not isinstance(values, list) or any(not isinstance(v, str) for v in values):
        raise DataError("the model file has an array of texts with other values")
    longest = max(map(len, values), default=0)
    if 4 * longest * len(values) > ARRAY:
        raise DataError("the model file has an array of texts that are too long")
    return np.array(values, dtype=dtype if 4 * longest <= dtype.itemsize <= 400 else str)


def _random_state(state: Any) -> np.random.RandomState:
    """The generator's own reader believes its place among the words."""
    name, words, place, has_gauss, gauss = decode(state)
    if name != "MT19937" or not isinstance(words, np.ndarray) or words.shape != (STATE,):
        raise DataError("the model file has a damaged state of a random generator")
    words = numbers(words.tolist(), (STATE,), "random state", 0, 2**32 - 1).astype(np.uint32)
    place, has_gauss = whole(place, "random state", 0, STATE), whole(has_gauss, "random state", 0, 1)
    out = np.random.RandomState()
    out.set_state((name, words, place, has_gauss, float(numbers(gauss, (), "random state"))))
    return out


def _pairs(pairs: Any) -> dict[Any, Any]:
    keys = [decode(k) for k, _ in pairs]
    if any(not isinstance(k, SCALARS) for k in keys):
        raise DataError("the model file has a dictionary whose keys are neither numbers nor texts")
    return {k: decode(v) for k, (_, v) in zip(keys, pairs, strict=True)}


DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$float": lambda d: float(sentence(d["$float"], "number")),
    "$tuple": lambda d: tuple(decode(d["$tuple"])),
    "$range": lambda d: _range(d["$range"]),
    "$array": lambda d: _array(decode(d["$array"]), d["dtype"]),
    "$pairs": lambda d: _pairs(d["$pairs"]),
    "$table": lambda d: table(d["$table"]),
    "$measure": lambda d: MixingMeasure.from_dict(d["$measure"]),
    "$located": lambda d: LocatedMeasure.from_dict(d["$located"]),
    "$random_state": lambda d: _random_state(d["$random_state"]),
    "$gate": lambda d: make_gate(d["$gate"], **decode(d["options"])),
    "$record": lambda d: make_record(d["$record"], decode(d["fields"])),
}

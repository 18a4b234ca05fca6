"""What a fit is given where rows are elsewhere: the design, learned in one pass, and how to read the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..design import ArrayDesign, Design, FormulaDesign, Observations, Units
from ..design.by_formula import Given, read_formula, reads
from ..design.frames import refuse_numbers_as_text
from ..design.grammar import with_offset
from ..design.holes import Dropped, check_policy
from ..design.levels import plain_level
from ..design.response import check_weights, encode_classes, numeric_response, ordered_classes
from ..errors import DataError
from .elsewhere import BLOCK, Reader, RowsElsewhere, read_elsewhere
from .read import read_rows
from .rows import Rows
from .sources import Batch, Complete, is_elsewhere, read_once, source_of
from .survey import Survey

SAMPLE = 500_000  # rows that are kept in memory at most
LEAST = 30_000  # rows that a search and its judge need
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
RESERVED = 400e6  # bytes of the interpreter with its libraries
COPIES = 12  # of a number of the sample that are held at once: raw, matrices, parts of growing size
Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scan:
    """As `Observations`, without the rows.

    Attributes
    ----------
    reader : Reader
        Of the rows, for a family that is still to be named.
    sample : Batch
        Columns of the rows that are at hand.
    n : int
    responses, classes : tuple
        What the response is called, and the labels of its classes.
    dropped : Dropped or None
        Rows that were left out for missing values.
    """

    reader: Reader
    sample: Batch
    n: int
    responses: tuple[str, ...]
    classes: tuple = ()
    partial: None = None
    dropped: Dropped | None = None
    gate_at: str = "constant"

    @property
    def design(self) -> Design:
        return self.reader.design

    @property
    def response(self) -> str:
        return self.responses[0]

    def read(self, family: Any, gate_scaling: str) -> tuple[RowsElsewhere | Rows, Units]:
        """The rows with their scaling, and the units that turn results back."""
        reader = replace(self.reader, family=family, gate_scaling=gate_scaling)
        return read_elsewhere(reader, self.sample, self.response, self.classes)


def read_given(data: Observations | Scan, family: Any, gate_scaling: str) -> tuple[Any, Units]:
    """The rows of what a fit is given with their scaling, and their units."""
    if isinstance(data, Scan):
        return data.read(family, gate_scaling)
    return read_rows(
        data.design, data.x, data.z, data.y, data.w, family, data.response, data.classes, gate_scaling,
        data.groups, data.trials, data.partial, data.gate_at,
    )  # fmt: skip


def read_any(
    formula: str,
    data: Any,
    given: Given,
    *,
    classes: bool = False,
    ordered: bool = False,
    k: int | None = None,
    memory_limit: Any = None,
    cache: Any = None,
    family: Any = None,
) -> Observations | Scan:
    """What a formula reads from a frame, as `read_formula` does, or from rows that are elsewhere."""
    if not is_elsewhere(data):
        refuse_cache(cache)
        return read_formula(formula, data, given, classes=classes, ordered=ordered, k=k, family=family)
    refuse_whole(given.groups, given.partial, given.gate_at)
    return scan_formula(
        formula, data, given.sample_weight, classes=classes, ordered=ordered, levels=given.levels,
        offset=given.offset, missing=given.missing, memory=memory_of(memory_limit),
        cache=cache,
    )  # fmt: skip


def refuse_cache(cache: Any) -> None:
    """Refuse a cache of rows that are in memory."""
    if cache:
        raise DataError("cache keeps rows that are read from files, and these are in memory: leave it out")


def refuse_whole(groups: Any, partial: Any, gate_at: str) -> None:
    """Refuse what needs all rows in memory."""
    for word, given in (("groups", groups), ("partial", partial)):
        if given is not None:
            raise DataError(f"{word} needs all rows in memory at once: give a frame, or leave it out")
    if gate_at != "constant":
        raise DataError("gate_at needs groups of rows: leave it out")


def scan_formula(
    formula: str,
    data: Any,
    weights: str | None = None,
    *,
    classes: bool = False,
    ordered: bool = False,
    levels: Sequence[Any] | None = None,
    offset: str | None = None,
    missing: str = "error",
    memory: float | None = None,
    cache: Any = None,
    sample: int | None = None,
) -> Scan:
    """What "y ~ experts | gate" reads from a source; `weights` and `offset` are names of columns, `memory`
    the bytes that may be used (None: no limit), `cache` where what is read is kept for later passes, `sample`
    the rows that are kept at hand."""
    formula, source = with_offset(formula, offset), _source(data, missing, cache)
    wanted, categories = reads(formula, classes)
    wanted = _with(wanted, weights)
    block, rows = _sizes(memory, len(wanted), sample)
    seen = Survey.of(source, wanted, categories, rows, block)
    _refuse_text(seen, wanted)
    design = FormulaDesign.learn(formula, seen.learned)
    design, raw = design.learn_response(seen.learned)
    states = [design.experts.state, design.gate_side.state if design.gate_side else {}, design.response_state]
    learned = next((name for state in states for name in state), None)
    if learned is not None:
        raise DataError(
            f"'{learned}' learns from all rows at once, and they are read from {source.name} block by block: "
            "write powers and logarithms, which learn nothing"
        )
    encode, labels = _encoder(raw, design.response, classes, ordered, levels)
    numbers = partial(_by_formula, design, encode, weights)
    return _scan(source, wanted, numbers, design, block, seen, (design.response,), labels)


def scan_columns(
    data: Any,
    response: str,
    weights: str | None = None,
    *,
    sides: tuple[Any, Any, Any] = (None, None, None),
    classes: bool = False,
    ordered: bool = False,
    levels: Sequence[Any] | None = None,
    missing: str = "error",
    memory: float | None = None,
    cache: Any = None,
    sample: int | None = None,
) -> Scan:
    """What a fit without a formula reads from a source: the column `response`, and all others as features;
    `sides` are the experts' and the gate's columns, and the gate's transform."""
    source = _source(data, missing, cache)
    if response not in source.names:
        there = ", ".join(source.names[:20])
        raise DataError(f"the response '{response}' is no column of {source.name}; it has {there}")
    features = [name for name in source.names if name not in (response, weights)]
    wanted = _with((*features, response), weights)
    block, rows = _sizes(memory, len(wanted), sample)
    seen = Survey.of(source, wanted, (response,) if classes else (), rows, block)
    _refuse_text(seen, [*features, *((weights,) if weights else ())])
    own = {n: tuple(sorted(map(plain_level, v))) for n, v in seen.levels.items() if n in features}
    plain = ArrayDesign(tuple(features), levels=own)
    design = ArrayDesign.learn(plain.encoded(seen.learned), features, *sides, own)
    encode, labels = _encoder(seen.learned[response], response, classes, ordered, levels)
    numbers = partial(_by_columns, design, response, encode, weights)
    return _scan(source, wanted, numbers, design, block, seen, (response,), labels)


def memory_of(text: str | int | float | None) -> float | None:
    """Bytes of "2GB", "500 MB" or a number."""
    if text is None or isinstance(text, int | float):
        return text
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?B?)\s*", str(text).upper())
    if found is None:
        raise DataError(f"memory_limit={text!r} is no size: write '2GB' or '500MB'")
    unit = found[2] if found[2].endswith("B") or not found[2] else found[2] + "B"
    return float(found[1]) * UNITS[unit]


def _sizes(memory: float | None, columns: int, sample: int | None) -> tuple[int, int]:
    """Rows of a block and of the sample."""
    if sample is not None:
        return BLOCK, sample
    if memory is None:
        return BLOCK, SAMPLE
    each = 8.0 * COPIES * (columns + 2)
    rows = int((memory - RESERVED) / (2 * each))
    if rows < LEAST:
        raise DataError(
            f"memory_limit is too small for {columns} columns: at least "
            f"{(RESERVED + 2 * each * LEAST) / 1e6:.0f}MB"
        )
    return min(BLOCK, rows), min(SAMPLE, rows)


def _source(data: Any, missing: str, cache: Any) -> Any:
    """The source, without its rows that miss a value where `missing` is "drop", and read once where there is
    a `cache`."""
    check_policy(missing)
    source = source_of(data)
    return read_once(Complete(source) if missing == "drop" else source, cache)


def _with(wanted: tuple[str, ...], weights: str | None) -> tuple[str, ...]:
    if weights is not None and not isinstance(weights, str):
        raise DataError("for rows outside memory sample_weight is the name of a column")
    return wanted if weights is None or weights in wanted else (*wanted, weights)


def _refuse_text(seen: Survey, wanted: Sequence[str]) -> None:
    for name in wanted:
        values = np.array(seen.levels.get(name, ()), dtype=object)
        if len(values) and any(isinstance(v, str) for v in values):
            refuse_numbers_as_text(name, np.concatenate([values, values]))


def _encoder(
    raw: np.ndarray, name: str, classes: bool, ordered: bool, levels: Sequence[Any] | None
) -> tuple[Encode, tuple]:
    """What makes numbers of a response, and the labels of its classes, from rows that have every one."""
    if not classes:
        return partial(numeric_response, name=name, open_ends=name.startswith(("interval(", "cens("))), ()
    known = ordered_classes(raw, levels, name) if ordered or levels is not None else ()
    labels: tuple = encode_classes(raw, known, name)[1]
    if len(labels) < 2:
        raise DataError(
            f"the response '{name}' has only one class ({next(iter(labels))}): at least 2 are needed"
        )
    return lambda values: encode_classes(values, labels, name)[0], labels


def _by_formula(
    design: FormulaDesign, encode: Encode, weights: str | None, columns: dict[str, np.ndarray]
) -> tuple[Any, ...]:
    return (*design.matrices(columns), encode(design.read_response(columns)), _weights(weights, columns))


def _by_columns(
    design: ArrayDesign, response: str, encode: Encode, weights: str | None, columns: dict[str, np.ndarray]
) -> tuple[Any, ...]:
    x = np.ascontiguousarray(design.encoded(columns), dtype=float)
    return (*design.matrices(x), encode(columns[response]), _weights(weights, columns))


def _weights(name: str | None, columns: dict[str, np.ndarray]) -> np.ndarray | None:
    """Of a block, all of whose rows may have none."""
    if name is None:
        return None
    w = columns[name]
    if w.dtype.kind in "biuf" and not w.any():
        return w.astype(float)
    return check_weights(w, len(w), f"column '{name}'")


def _scan(
    source: Any, wanted: tuple[str, ...], numbers: Any, design: Design, block: int, seen: Survey,
    responses: tuple[str, ...], labels: tuple,
) -> Scan:  # fmt: skip
    reader = Reader(source, wanted, numbers, design, None, block=block)
    dropped = getattr(source, "dropped", None)
    return Scan(
        reader,
        Batch(seen.sample, f"{source.name}, rows of the sample"),
        seen.n,
        responses,
        labels,
        dropped=dropped,
    )

"""What a fit is given where rows are elsewhere: the design, learned in one pass, and how to read the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..design import ArrayDesign, Design, FormulaDesign, Observations, Units
from ..design.by_formula import Given, read_formula, reads
from ..design.frames import refuse_numbers_as_text
from ..design.grammar import with_offset
from ..design.holes import Dropped
from ..design.levels import plain_level
from ..design.response import check_weights, encode_classes, numeric_response, ordered_classes
from ..errors import DataError
from .elsewhere import RowsElsewhere, read_elsewhere
from .held import Held
from .kept import keep
from .read import read_rows
from .reader import Reader
from .rows import Rows
from .sources import Batch, is_elsewhere
from .survey import Survey

PLAIN = Held()
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
    cache: Any = None

    @property
    def design(self) -> Design:
        return self.reader.design

    @property
    def response(self) -> str:
        return self.responses[0]

    def read(self, family: Any, gate_scaling: str) -> tuple[RowsElsewhere | Rows, Units]:
        """The rows with their scaling, and the units that turn results back."""
        reader = replace(self.reader, family=family, gate_scaling=gate_scaling)
        return read_elsewhere(keep(reader, self.cache), self.sample, self.response, self.classes)


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
    refuse_partial(given.partial)
    held = Held(given.sample_weight, given.groups, given.gate_at, given.missing, memory_limit, cache)
    return scan_formula(
        formula, data, held, classes=classes, ordered=ordered, levels=given.levels, offset=given.offset
    )


def refuse_cache(cache: Any) -> None:
    """Refuse a cache of rows that are in memory."""
    if cache:
        raise DataError("cache keeps rows that are read from files, and these are in memory: leave it out")


def refuse_partial(partial: Any) -> None:
    """Refuse known experts, which are of rows in memory."""
    if partial is not None:
        raise DataError("partial needs all rows in memory at once: give a frame, or leave it out")


def scan_formula(
    formula: str,
    data: Any,
    held: Held = PLAIN,
    *,
    classes: bool = False,
    ordered: bool = False,
    levels: Sequence[Any] | None = None,
    offset: str | None = None,
) -> Scan:
    """What "y ~ experts | gate" reads from a source, as `held` says; `offset` is the name of a column."""
    formula, source = with_offset(formula, offset), held.source(data)
    names, categories = reads(formula, classes)
    seen = _survey(source, held, names, categories, names)
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
    numbers = partial(_by_formula, design, encode, held.weights)
    return _scan(source, held, names, numbers, design, seen, (design.response,), labels)


def scan_columns(
    data: Any,
    response: str,
    held: Held = PLAIN,
    *,
    sides: tuple[Any, Any, Any] = (None, None, None),
    classes: bool = False,
    ordered: bool = False,
    levels: Sequence[Any] | None = None,
) -> Scan:
    """What a fit without a formula reads from a source, as `held` says: the column `response`, and all others
    as features; `sides` are the experts' and the gate's columns, and the gate's transform."""
    source = held.source(data)
    if response not in source.names:
        there = ", ".join(source.names[:20])
        raise DataError(f"the response '{response}' is no column of {source.name}; it has {there}")
    features = [name for name in source.names if name not in (response, held.weights, held.groups)]
    names = (*features, response)
    seen = _survey(source, held, names, (response,) if classes else (), features)
    own = {n: tuple(sorted(map(plain_level, v))) for n, v in seen.levels.items() if n in features}
    plain = ArrayDesign(tuple(features), levels=own)
    design = ArrayDesign.learn(plain.encoded(seen.learned), features, *sides, own)
    encode, labels = _encoder(seen.learned[response], response, classes, ordered, levels)
    numbers = partial(_by_columns, design, response, encode, held.weights)
    return _scan(source, held, names, numbers, design, seen, (response,), labels)


def _survey(
    source: Any, held: Held, names: Sequence[str], categories: Sequence[str], plain: Sequence[str]
) -> Survey:
    """The first pass; texts that were meant as numbers are refused in weights and in the columns `plain`."""
    wanted = held.wanted(names)
    block, rows = held.sizes(len(wanted))
    seen = Survey.of(source, wanted, categories, rows, block, held.groups, held.beside(names))
    for name in (*plain, *((held.weights,) if held.weights else ())):
        values = np.array(seen.levels.get(name, ()), dtype=object)
        if len(values) and any(isinstance(v, str) for v in values):
            refuse_numbers_as_text(name, np.concatenate([values, values]))
    return seen


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
    source: Any, held: Held, names: Sequence[str], numbers: Any, design: Design, seen: Survey,
    responses: tuple[str, ...], labels: tuple,
) -> Scan:  # fmt: skip
    wanted = held.wanted(names)
    block, _ = held.sizes(len(wanted))
    reader = Reader(
        source, wanted, numbers, design, None, block=block, groups=held.groups, gate_at=held.gate_at
    )
    sample = Batch(seen.sample, f"{source.name}, rows of the sample")
    dropped = getattr(source, "dropped", None)
    return Scan(
        reader, sample, seen.n, responses, labels, dropped=dropped, gate_at=held.gate_at, cache=held.cache
    )

"""Observations that a formula reads from a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .formula import FormulaDesign, read_by
from .frames import gaps, row_count
from .grammar import category_variables, split, variables, with_offset
from .groups import beside_rows, check_gate_at, known_experts
from .holes import MARGINAL, check_policy, drop_gaps, take_rows
from .known import ends_of, split_trials
from .levels import stated_order
from .observations import Observations
from .pairs import check_form, response_variables
from .response import check_repeated, check_weights, encode_classes, numeric_response, ordered_classes


@dataclass(frozen=True)
class Given:
    """What a person says of the rows beside a formula.

    Attributes
    ----------
    sample_weight : str, array-like of shape (n,) or None
        The column, or the weights.
    groups : str, array-like of shape (n,) or None
        The column, or the ids, of rows that share their expert.
    offset : str or None
        A column's name.
    missing : {"error", "drop", "marginal"}
        Rows with missing values are refused, left out, or, of located models, taken with what they have.
    partial : object
        Which experts rows are known to have.
    levels : sequence or None
        In which order the classes of a response stand: from the lowest to the highest, or the reference last.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group.
    """

    sample_weight: Any = None
    groups: Any = None
    offset: str | None = None
    missing: str = "error"
    partial: Any = None
    levels: Sequence[Any] | None = None
    gate_at: str = "constant"


NOTHING = Given()


def read_formula(
    formula: str,
    data: Any,
    given: Given = NOTHING,
    *,
    classes: bool = False,
    ordered: bool = False,
    k: int | None = None,
    located: bool = False,
    family: Any = None,
) -> Observations:
    """What "y ~ experts | gate" says of a frame; the response is numbers, or `classes`, which may be
    `ordered`; of `k` experts rows may be known to have some. `located` models take missing numbers as NaN
    where they are asked to. A response of two columns is of a `family` that takes them."""
    sample_weight, groups, partial = given.sample_weight, given.groups, given.partial
    check_policy(given.missing, located)
    holes = given.missing == MARGINAL
    check_gate_at(given.gate_at, groups)
    formula, dropped = with_offset(formula, given.offset), None
    if given.missing == "drop":
        keep, dropped = drop_gaps(gaps(read_by(formula, data)), row_count(data))
        if keep is not None:
            data = take_rows(data, keep)
            sample_weight, groups, partial = (
                a if isinstance(a, str) else take_rows(a, keep) for a in (sample_weight, groups, partial)
            )
    design, x, z = FormulaDesign.learn_matrices(formula, data, holes)
    design, raw = design.learn_response(data)
    name = design.response
    if raw.ndim == 2 and (family is not None or not name.startswith("prop(")):
        check_form(name, family)
        if family is not None and family.takes_bounds:
            raw = ends_of(numeric_response(raw, name, open_ends=True), family.lowest, name)
    stated = stated_order(data, name) if ordered else None
    told = ordered or (classes and given.levels is not None)
    known = ordered_classes(raw, given.levels, name, stated) if told else ()
    y, labels = encode_classes(raw, known, name) if classes else (numeric_response(raw, name, holes), ())
    check_repeated(len(labels), len(y), name)
    y, trials = split_trials(y)
    w, ids = check_weights(beside_rows(sample_weight, data), len(y)), beside_rows(groups, data)
    experts = known_experts(partial, data, len(y), k)
    return Observations(
        design, x, z, y, w, (design.response,), labels, ids, trials, dropped=dropped, partial=experts,
        gate_at=given.gate_at,
    )  # fmt: skip


def reads(text: str, classes: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that a formula reads, and those of them that are categories whatever they hold: inside
    ``C(...)``, and the response of `classes`."""
    response, experts, gate = split(text)
    parts, own = [experts, gate or "1"], response_variables(response)
    categories = {name for part in parts for name in category_variables(part)} | set(own if classes else ())
    return tuple(sorted({*own, *(n for part in parts for n in variables(part))})), tuple(sorted(categories))

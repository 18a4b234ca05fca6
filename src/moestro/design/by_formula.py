"""Observations that a formula reads from a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .formula import FormulaDesign, read_by
from .frames import gaps, row_count
from .grammar import with_offset
from .groups import check_gate_at, group_ids, known_experts
from .holes import check_policy, drop_gaps, take_rows
from .known import split_trials
from .levels import stated_order
from .observations import Observations
from .response import check_repeated, check_weights, encode_classes, numeric_response, ordered_classes


def read_formula(
    formula: str,
    data: Any,
    sample_weight: Any = None,
    classes: bool = False,
    groups: Any = None,
    *,
    offset: str | None = None,
    missing: str = "error",
    partial: Any = None,
    k: int | None = None,
    ordered: bool = False,
    levels: Sequence[Any] | None = None,
    gate_at: str = "constant",
) -> Observations:
    """What "y ~ experts | gate" says of a frame; the response is numbers, or `classes`, `groups` a column's
    name or ids (n,), and `offset` a column's name. Rows with missing values are refused, or left out where
    `missing` is "drop". `partial` says which of `k` experts rows are known to have, `levels` in which order
    `ordered` classes stand, and `gate_at` where the gate reads a group."""
    check_policy(missing)
    check_gate_at(gate_at, groups)
    formula, dropped = with_offset(formula, offset), None
    if missing == "drop":
        keep, dropped = drop_gaps(gaps(read_by(formula, data)), row_count(data))
        if keep is not None:
            data, sample_weight = take_rows(data, keep), take_rows(sample_weight, keep)
            groups, partial = (a if isinstance(a, str) else take_rows(a, keep) for a in (groups, partial))
    design = FormulaDesign.learn(formula, data)
    x, z = design.matrices(data)
    design, raw = design.learn_response(data)
    name = design.response
    known = ordered_classes(raw, levels, name, stated_order(data, name)) if ordered else ()
    y, labels = encode_classes(raw, known, name) if classes else (numeric_response(raw, name), ())
    check_repeated(len(labels), len(y), name)
    y, trials = split_trials(y)
    w, ids = check_weights(sample_weight, len(y)), group_ids(groups, data)
    experts = known_experts(partial, data, len(y), k)
    return Observations(
        design, x, z, y, w, (design.response,), labels, ids, trials, dropped=dropped, partial=experts,
        gate_at=gate_at,
    )  # fmt: skip

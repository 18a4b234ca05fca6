"""A part of a formula evaluated by formulaic, and what its transforms learn as plain data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import from_numpy
from .expressions import is_category, numeric_names
from .frames import Examined, columns, complete_rows, each, gaps, refuse_unusable, which_rows
from .grammar import columns_of, numeric_variables, parse, refuse_wide, short, syntax, variables
from .levels import plain_level


def _as_it_is(values: Any) -> Any:
    """An offset is a column whose coefficient is known."""
    return values


# What formulaic does not know by itself; of the functions of numbers it has the exponentials and logarithms.
CONTEXT = {
    "common": _as_it_is, "offset": _as_it_is,
    **{name: getattr(np, name) for name in ("log1p", "expm1", "sqrt", "sin", "cos", "tanh")},
}  # fmt: skip
PAIRS = "pairs"  # JSON keys are text: a dictionary with other keys is written as pairs
STATE = 1000  # values that one transform remembers


def needed(text: str, data: Any, holes: bool = False) -> dict[str, np.ndarray]:
    """Columns that a part reads, examined; with `holes` numbers may be missing."""
    out = columns(data, variables(text))
    if not isinstance(data, Examined):
        refuse_unusable(out, holes)
    for name in numeric_variables(text):
        if out[name].dtype.kind not in "biuf":
            where = f"column '{name}' holds text, and the formula part '{short(text)}' needs numbers"
            for_all = (
                f": for the same effects in all experts write {name} alone, and common=['{name}'] beside it"
            )
            raise DataError(where + for_all * ("common(" in text))

    def known(factor: Any) -> int:
        tree = syntax(factor)
        read = columns_of(factor)
        if tree is None or not is_category(tree):  # numbers are columns themselves, text is categories
            read = {n for n in read if out[n].dtype.kind not in "biuf"}
            read -= set() if tree is None else numeric_names(tree)
        return len(set(zip(*(out[name].tolist() for name in read), strict=True))) if read else 1

    refuse_wide(text, known)
    return out


def make_spec(text: str, levels: dict[str, tuple] | None, state: dict[str, Any] | None) -> Any:
    from formulaic import ModelSpec
    from formulaic.materializers.types import NAAction
    from formulaic.parser.types import Factor
    from formulaic.transforms.contrasts import ContrastsState, TreatmentContrasts

    kind = Factor.Kind
    encoder = {
        factor: (
            kind.CATEGORICAL,
            {"categories": list(known), "contrasts": ContrastsState(TreatmentContrasts(), list(known))},
        )
        for factor, known in (levels or {}).items()
    }
    return ModelSpec(
        formula=parse(text),
        output="pandas",
        na_action=NAAction.IGNORE,
        ensure_full_rank=True,
        transform_state=restored(state or {}),
        encoder_state=encoder,
    )


def materialise(
    spec: Any, needed: dict[str, np.ndarray], categories: Mapping[str, tuple[Any, ...]] | None = None
) -> Any:
    """formulaic's matrix of columns (n,), NaN in rows with a missing number only; `categories` have these
    levels in this order."""
    import pandas
    from formulaic.errors import DataMismatchWarning

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)  # unseen categories would become zeros
            frame = pandas.DataFrame(needed)
            for name, levels in (categories or {}).items():
                values = each(needed[name], plain_level)
                frame[name] = pandas.Categorical(values, categories=list(levels))
            out = spec.get_model_matrix(frame, context=CONTEXT)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"the formula part '{short(str(spec.formula))}' cannot be evaluated: {reason}"
        ) from error
    matrix = np.asarray(out, dtype=float)
    for name, column in zip(out.model_spec.column_names, matrix.T, strict=True):
        bad = ~np.isfinite(column)
        if bad.any() and (keep := complete_rows(gaps(needed))) is not None:
            bad &= keep | np.isinf(column)
        if bad.any():
            raise DataError(f"'{name}' is not a finite number in {which_rows(bad)}")
    return out


def learned(out: Any) -> dict[str, Any]:
    """What the transforms of a matrix learned, as plain data; refused where double precision does not hold
    it, as the deviation of numbers of 1e200, by which a column would become zero."""
    state = {k: plain(v) for k, v in out.model_spec.transform_state.items() if v}
    todo: list[Any] = [state]
    while todo:
        value = todo.pop()
        if isinstance(value, float) and not np.isfinite(value):
            text = short(str(out.model_spec.formula))
            raise DataError(f"a transform in '{text}' is beyond double precision: rescale its column")
        if isinstance(value, dict | list):
            todo += value.values() if isinstance(value, dict) else value
    return state


def refuse_state(text: str, levels: dict[str, tuple], state: Any) -> None:
    """Refuse what a part's transforms cannot have remembered: more than `STATE` values, numbers that are not
    finite, so many categories or knots that the part becomes too wide."""
    if not isinstance(state, dict):
        raise DataError("the state of the formula's transforms in the model file is no dictionary")
    try:
        restored(state)
    except (TypeError, ValueError) as error:
        raise DataError("the state of the formula's transforms in the model file is damaged") from error
    sizes = {key: _size(value) for key, value in state.items()}

    def known(factor: Any) -> int:
        return max(
            1, len(levels.get(factor.expr, ())), *(n for key, n in sizes.items() if key in factor.expr)
        )

    refuse_wide(text, known)


def _size(state: Any) -> int:
    """Values in the state of a transform."""
    count, todo = 0, [state]
    while todo:
        value = todo.pop()
        count += 1
        if isinstance(value, float) and not np.isfinite(value):
            raise DataError("a formula's transform in the model file remembers NaN or infinity")
        if isinstance(value, dict | list):
            todo += value.values() if isinstance(value, dict) else value
        if count + len(todo) > STATE:
            raise DataError(f"a formula's transform in the model file remembers more than {STATE} values")
    return count


def plain(value: Any) -> Any:
    """State as JSON data."""
    if isinstance(value, dict):
        if all(isinstance(k, str) for k in value):
            return {k: plain(v) for k, v in value.items()}
        return {PAIRS: [[plain(k), plain(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray | np.generic):
        value = from_numpy(value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DataError(
        f"a formula transform keeps state of type {type(value).__name__}, which cannot be remembered"
    )


def restored(value: Any) -> Any:
    """Inverse of `plain`, sequences as lists, matrices as arrays."""
    if isinstance(value, dict):
        if set(value) == {PAIRS}:
            return {k: restored(v) for k, v in value[PAIRS]}
        return {k: restored(v) for k, v in value.items()}
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return np.array(value, dtype=float)  # a matrix of constraints
    return [restored(v) for v in value] if isinstance(value, list) else value

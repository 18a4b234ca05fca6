"""Frames of any library, through narwhals, and what their columns must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from numbers import Number
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table
from .grammar import short

DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
DATE = re.compile(r"\s*\d{4}-\d\d-\d\d")
NO_VALUES = (list, tuple, dict, set, bytes, np.ndarray)  # what Parquet and frames may hold in a cell
MANY_LEVELS = 20  # up to so many different texts are categories, whatever they are
MANY_GAPS = 4  # columns with missing values that are told by name


class Examined(dict[str, np.ndarray]):
    """Columns that `refuse_unusable` let through: they are not looked at again."""


def column_names(data: Any) -> list[str]:
    """Names of the columns of a frame or a mapping of arrays."""
    data = _plain(data)
    if isinstance(data, dict):
        return [str(c) for c in data]
    return list(_narwhals(data).columns)


def columns(data: Any, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns `wanted` as NumPy arrays; text and categories as objects."""
    data = _plain(data)
    present = column_names(data)
    missing = [c for c in wanted if c not in present]
    if missing:
        close = short(", ".join(present[:20]) + (", ..." if len(present) > 20 else ""), 300)
        raise DataError(f"column '{short(missing[0])}' is missing from the data; the data have {close}")
    if isinstance(data, dict):
        return {c: np.asarray(data[c]) for c in wanted}
    frame = _narwhals(data)
    return {c: np.asarray(frame[c].to_numpy()) for c in wanted}


def which_rows(bad: np.ndarray) -> str:
    """ "3 rows (the first is row 17)", rows counted from 1, of a boolean (n,)."""
    at = np.flatnonzero(bad)
    if len(at) == 1:
        return f"row {at[0] + 1}"
    return f"{len(at)} rows (the first is row {at[0] + 1})"


def each(values: np.ndarray, of: Callable[[Any], Any]) -> list[Any]:
    """`of` each value of a column, asked once for equal ones of one type: texts repeat themselves."""
    listed = values.tolist()
    try:
        if len(set(map(type, listed))) <= 1:
            return list(map({v: of(v) for v in set(listed)}.__getitem__, listed))
        keys = list(zip(map(type, listed), listed, strict=True))
        return list(map({key: of(key[1]) for key in set(keys)}.__getitem__, keys))
    except TypeError:  # a value without a hash
        return [of(v) for v in listed]


def missing(values: np.ndarray) -> np.ndarray:
    """Boolean (n,): None, NaN or NA; infinity is a value."""
    kind = values.dtype.kind
    if kind in "biuUSV":
        return np.zeros(len(values), dtype=bool)
    return values != values if kind in "fcmM" else np.array(each(values, _is_missing), dtype=bool)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Number) and value != value


def refuse_unusable(found: dict[str, np.ndarray], holes: bool = False) -> None:
    """Refuse dates, missing and infinite values, and texts that were meant as numbers; with `holes` numbers
    may be missing."""
    for name, values in found.items():
        refuse_dates(f"column '{name}'", values)
    for name, values in found.items():
        kinds = set(map(type, values.tolist())) if values.dtype.kind == "O" else set()
        odd = [kind.__name__ for kind in kinds if issubclass(kind, NO_VALUES)]
        if odd:
            raise DataError(f"column '{name}' holds values of type {min(odd)}: give numbers or texts")
    absent = gaps(found)
    if holes:
        refuse_missing_categories(found, absent)
    else:
        refuse_gaps(absent)
    for name, values in found.items():
        if values.dtype.kind in "fc" and np.isinf(values).any():
            raise DataError(f"column '{name}' is infinite in {which_rows(np.isinf(values))}")
    for name, values in found.items():
        if values.dtype.kind not in "biuf":
            refuse_numbers_as_text(name, values)


def refuse_dates(name: str, values: np.ndarray) -> None:
    """Refuse dates, times and spans of time, of which NumPy makes numbers in a unit that nobody chose."""
    first = values.ravel()[:100].tolist() if values.dtype.kind == "O" else ()
    if values.dtype.kind in "mM" or any(isinstance(v, date | timedelta) for v in first):
        raise DataError(f"{name} holds dates: turn it into a number, such as days since a fixed date")


def gaps(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows, boolean (n,), of the columns where None, NaN or NA stand; infinity is a value."""
    out = {}
    for name, values in found.items():
        if values.ndim == 1 and (absent := missing(values)).any():
            out[name] = absent
    return out


def refuse_missing_categories(found: dict[str, np.ndarray], absent: dict[str, np.ndarray]) -> None:
    """Refuse `gaps` of columns that hold no numbers: indicators of a category have no Gaussian law."""
    for name, rows in absent.items():
        try:
            np.asarray(found[name][~rows], dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"column '{name}' is a category with missing values in {which_rows(rows)}: "
                "missing='marginal' is for numbers. Make 'unknown' a level, or leave these rows out with "
                "missing='drop'"
            ) from error


def complete_rows(found: dict[str, np.ndarray]) -> np.ndarray | None:
    """Boolean (n,): rows in none of the `gaps`; None where there are none."""
    if not found:
        return None
    if len({len(absent) for absent in found.values()}) > 1:
        each = (f"'{name}' has {len(absent)}" for name, absent in found.items())
        raise DataError(f"columns have different numbers of rows: {', '.join(each)}")
    return ~np.any(list(found.values()), axis=0)


def refuse_gaps(found: dict[str, np.ndarray]) -> None:
    """Refuse columns with missing values, from the `gaps` of each."""
    keep = complete_rows(found)
    if keep is None:
        return
    shown = list(found.items())[:MANY_GAPS]
    each = [f"column '{name}' has missing values in {which_rows(rows)}" for name, rows in shown]
    if len(found) > MANY_GAPS:
        each.append(f"{len(found) - MANY_GAPS} more columns")
    if len(found) > 1:
        each.append(f"{int((~keep).sum())} rows in all")
    raise DataError(
        f"{', '.join(each)}: fill them, or leave these rows out with missing='drop' (--missing drop; "
        "predictions are NaN there)"
    )


def refuse_numbers_as_text(name: str, values: np.ndarray) -> None:
    """Numbers that could not be read would silently become as many categories."""
    written = each(values, str)
    different = list(dict.fromkeys(written))
    commas = [t for t in different if DECIMAL_COMMA.fullmatch(t)]
    if commas and all(map(_is_number, (t for t in different if not DECIMAL_COMMA.fullmatch(t)))):
        raise DataError(
            f"column '{name}' has decimal commas, such as '{commas[0]}': write points, or read the "
            "file with decimal=',' (--decimal ',')"
        )
    levels = len(different)
    if levels <= MANY_LEVELS:
        return
    texts = np.array(written)
    numbers = np.array(each(texts, _is_number))
    if numbers.all():
        raise DataError(f"column '{name}' holds {levels} different numbers as text: turn it into numbers")
    if numbers.mean() > 0.5:
        raise DataError(
            f"column '{name}' holds numbers, but text in {which_rows(~numbers)}: '{texts[~numbers][0]}'"
        )
    if all(map(DATE.match, texts)):
        raise DataError(
            f"column '{name}' holds dates, such as '{texts[0]}': turn it into a number, such as days since a "
            "fixed date"
        )
    if levels > len(texts) / 2:
        raise DataError(
            f"column '{name}' holds text with {levels} different values in {len(texts)} rows, such as "
            f"'{texts[0]}': too many for categories"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def row_count(data: Any) -> int:
    """Number of rows of a frame or a mapping of arrays."""
    data = _plain(data)
    if isinstance(data, dict):
        return len(next(iter(data.values()), ()))
    return len(_narwhals(data))


def frame_names(data: Any) -> list[str]:
    """Names of the columns of a frame; none for arrays and series."""
    frame = as_frame(data)
    return [] if frame is None else list(frame.columns)


def as_frame(data: Any) -> Any:
    """A frame of any library behind narwhals; None for arrays, series, mappings and the rest."""
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _plain(data: Any) -> Any:
    return dict(data.columns) if isinstance(data, Table) else data


def _narwhals(data: Any) -> Any:
    import narwhals as nw

    try:
        return nw.from_native(data, eager_only=True)
    except TypeError as error:
        raise DataError(
            "expected a data frame (pandas, polars, pyarrow, "
            f"...) or a mapping of columns, got {type(data).__name__}"
        ) from error

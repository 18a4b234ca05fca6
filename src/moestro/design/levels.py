"""Categories of columns: their levels, remembered, and the columns that stand for them.

As in formulaic and R: a level is a column of zeros and ones, but for the first, which is the reference. The
levels of text are sorted; a categorical that states an order keeps it. Levels that no row has are no levels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import from_numpy
from .frames import as_frame, each, missing, refuse_numbers_as_text

MOST = 1000  # levels of a column without a formula
SHOWN = 10  # of them in an error

Levels = Mapping[str, tuple[Any, ...]]


def plain_level(value: Any) -> Any:
    """A level as a file keeps it: a number, a truth value, or text."""
    value = from_numpy(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def refuse_infinite(name: str, levels: tuple[Any, ...]) -> None:
    """Refuse a level that is an infinite number."""
    if any(isinstance(v, float) and np.isinf(v) for v in levels):
        raise DataError(f"'{name}' has an infinite level: remove those rows, or name the level by a text")


def declared_levels(data: Any, wanted: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """The levels of the `wanted` columns of a frame that state an order, in that order, as far as rows have
    them."""
    import narwhals as nw

    frame = as_frame(data)
    out: dict[str, tuple[Any, ...]] = {}
    if frame is None:
        return out
    pandas = frame.implementation.is_pandas_like()
    schema: dict[str, Any] = {name: dtype for name, dtype in frame.schema.items() if name in wanted}
    for name, dtype in schema.items():
        series: Any = frame[name]
        if pandas and isinstance(dtype, nw.Enum | nw.Categorical):
            order = series.to_native().cat.categories.tolist()
        elif isinstance(dtype, nw.Enum):
            order = list(dtype.categories)
        else:
            continue
        values = np.asarray(series.to_numpy())
        present = set(each(values[~missing(values)], plain_level))
        out[name] = tuple(v for v in map(plain_level, order) if v in present)
    return out


def stated_order(data: Any, name: str) -> tuple[Any, ...] | None:
    """The values of a series, or of the column `name` of a frame, in the order that its type states, as far
    as rows have them: an ordered categorical of pandas, an Enum of polars. None where it states none."""
    import narwhals as nw

    series: Any = nw.from_native(data, allow_series=True, eager_only=True, pass_through=True)
    if isinstance(series, nw.DataFrame):
        if name not in series.columns:
            return None
        series = series[name]
    if not isinstance(series, nw.Series):
        return None
    native = series.to_native()
    if series.implementation.is_pandas_like():
        order = native.cat.categories.tolist() if getattr(native.dtype, "ordered", None) else None
    else:
        order = list(series.dtype.categories) if isinstance(series.dtype, nw.Enum) else None
    if order is None:
        return None
    values = np.asarray(series.to_numpy())
    present = set(each(values[~missing(values)], plain_level))
    return tuple(v for v in map(plain_level, order) if v in present)


def learn_levels(data: Any) -> dict[str, tuple[Any, ...]]:
    """Levels of the columns of a frame that hold text or categories; none of arrays."""
    import narwhals as nw

    frame = as_frame(data)
    out: dict[str, tuple[Any, ...]] = {}
    if frame is None:
        return out
    declared = declared_levels(data, frame.columns)
    refuse_dated(frame)
    for name, dtype in frame.schema.items():
        if name in declared:
            out[name] = declared[name]
        elif isinstance(dtype, nw.String | nw.Categorical):
            values = np.asarray(frame[name].to_numpy())
            values = values[~missing(values)]
            refuse_numbers_as_text(name, values)
            out[name] = tuple(sorted(set(each(values, plain_level))))
    for name, levels in out.items():
        refuse_infinite(name, levels)
        if len(levels) > MOST:
            raise DataError(
                f"column '{name}' has {len(levels)} levels, more than {MOST}: is it an id? Leave it out"
            )
    return out


def codes(name: str, values: np.ndarray, levels: tuple[Any, ...]) -> np.ndarray:
    """Index of each value's level, (n,) floats, NaN where it is missing; a level that was not seen is
    refused."""
    absent = missing(values)
    plain = [None if gone else v for v, gone in zip(each(values, plain_level), absent, strict=True)]
    refuse_unseen(name, [v for v in dict.fromkeys(plain) if v is not None], levels)
    number = {level: float(i) for i, level in enumerate(levels)}
    return np.array([np.nan if v is None else number[v] for v in plain], dtype=float)


def refuse_unseen(name: str, values: list[Any], levels: tuple[Any, ...]) -> None:
    """Refuse values that are none of the levels."""
    seen = frozenset(levels)
    unseen = [v for v in values if v not in seen]
    if unseen:
        known = ", ".join(map(str, levels[:SHOWN])) + (", ..." if len(levels) > SHOWN else "")
        raise DataError(
            f"column '{name}' has the level '{unseen[0]}', which was not seen in fitting: "
            f"the known levels are {known}"
        )


def refuse_other_kinds(found: Mapping[str, np.ndarray], names: Collection[str], levels: Levels) -> None:
    """Refuse text in columns that a formula reads as they are, and levels that were not seen in fitting."""
    for name in names:
        values = found.get(name)
        if values is not None and values.dtype.kind == "O" and any(isinstance(v, str) for v in values):
            raise DataError(f"column '{name}' holds text, but the model was fitted on numbers there")
    for factor, known in levels.items():
        name = factor.removeprefix("C(").removesuffix(")")
        if name in found:
            refuse_unseen(name, list(dict.fromkeys(each(found[name], plain_level))), known)


def coded(X: Any, levels: Levels, names: tuple[str, ...] | None = None) -> Any:
    """X with `codes` in the place of its categories: a frame by the names of its columns, an array of objects
    by their place in `names`."""
    import narwhals as nw

    frame = as_frame(X)
    if frame is None:
        return _coded_array(X, levels, names)
    texts = (nw.String, nw.Categorical, nw.Enum)
    extra = [n for n, t in frame.schema.items() if isinstance(t, texts) and n not in levels]
    if extra and (names is None or extra[0] in names):
        raise DataError(f"column '{extra[0]}' holds text, but the model was fitted on numbers there")
    refuse_dated(frame, names)
    own = frame.implementation.to_native_namespace()
    new = [
        nw.new_series(name, codes(name, np.asarray(frame[name].to_numpy()), known), nw.Float64, backend=own)
        for name, known in levels.items()
        if name in frame.columns
    ]
    return X if not new else frame.with_columns(*(_aligned(s, frame) for s in new)).to_native()


def refuse_dated(frame: Any, names: Collection[str] | None = None) -> None:
    """Refuse a frame of narwhals with dates in its columns `names`, None for all."""
    import narwhals as nw

    for name, kind in frame.schema.items():
        if isinstance(kind, nw.Datetime | nw.Date | nw.Duration | nw.Time) and (not names or name in names):
            raise DataError(
                f"column '{name}' holds dates: turn it into a number, such as days since a fixed date"
            )


def _aligned(series: Any, frame: Any) -> Any:
    """With the frame's own index, where its library has one."""
    if not frame.implementation.is_pandas_like():
        return series
    import narwhals as nw

    native = series.to_native()
    native.index = frame.to_native().index
    return nw.from_native(native, series_only=True)


def _coded_array(X: Any, levels: Levels, names: tuple[str, ...] | None) -> Any:
    if not levels or names is None:
        return X
    values = np.asarray(X)
    if values.dtype != object or values.ndim != 2 or values.shape[1] != len(names):
        raise DataError(
            f"column '{next(iter(levels))}' holds categories: give a frame with the columns of the fit, or "
            "an array of objects in their order"
        )
    out = values.copy()
    for name, known in levels.items():
        j = names.index(name)
        out[:, j] = codes(name, values[:, j], known)
    return out


def indicator_names(name: str, levels: tuple[Any, ...]) -> list[str]:
    """What the columns of a category are called."""
    return [f"{name}[T.{level}]" for level in levels[1:]]


def indicators(code: np.ndarray, levels: tuple[Any, ...]) -> np.ndarray:
    """Columns (n, levels - 1) of zeros and ones from codes (n,)."""
    return (code[:, None] == np.arange(1, len(levels))).astype(float)

"""Frames of any library, through narwhals, and the files they come from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from ..tables import Table


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
        close = f"; the data have {', '.join(present[:20])}" + (", ..." if len(present) > 20 else "")
        raise DataError(f"column '{missing[0]}' is missing from the data{close}")
    if isinstance(data, dict):
        return {c: np.asarray(data[c]) for c in wanted}
    frame = _narwhals(data)
    return {c: np.asarray(frame[c].to_numpy()) for c in wanted}


def row_count(data: Any) -> int:
    """Number of rows of a frame or a mapping of arrays."""
    data = _plain(data)
    if isinstance(data, dict):
        return len(next(iter(data.values()), ()))
    return len(_narwhals(data))


def text_columns(data: Any) -> list[str]:
    """Columns of a frame that hold text or categories; none for arrays."""
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return []
    texts = (nw.String, nw.Categorical, nw.Enum)
    return [name for name, dtype in frame.schema.items() if isinstance(dtype, texts)]


def frame_names(data: Any) -> list[str]:
    """Names of the columns of a frame; none for arrays and series."""
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, pass_through=True)
    return list(frame.columns) if isinstance(frame, nw.DataFrame) else []


def _plain(data: Any) -> Any:
    return dict(data.columns) if isinstance(data, Table) else data


def _narwhals(data: Any) -> Any:
    import narwhals as nw

    try:
        return nw.from_native(data, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"expected a data frame (pandas, polars, pyarrow, ...) or a mapping of columns, got {type(data).__name__}"
        ) from error


def read_frame(path: str | os.PathLike[str]) -> Any:
    """Read a CSV or Parquet file."""
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileError(f"{path}: no such file")
    if os.path.isdir(path):
        raise FileError(f"{path}: is a folder, not a file")
    parquet = path.lower().endswith((".parquet", ".pq"))
    try:
        if parquet:
            import pyarrow.parquet

            return pyarrow.parquet.read_table(path)
        import pandas

        frame = pandas.read_csv(path, skipinitialspace=True)
    except ImportError as error:
        extra = "parquet" if parquet else "formula"
        raise FileError(f"reading {path} needs an extra: pip install 'moestro[{extra}]'") from error
    except Exception as error:  # any reader's own error, in one line
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: cannot be read ({reason})") from error
    if not len(frame):
        raise FileError(f"{path}: has no rows")
    return frame


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file whole or not at all: a temporary neighbour is renamed over it once it is on the disk."""
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """The data of a JSON file; NaN and infinity, which are no JSON, are refused."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, parse_constant=refuse)
    except OSError as error:
        raise FileError(f"{os.fspath(path)}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{os.fspath(path)}: is not a whole JSON file ({error})") from error

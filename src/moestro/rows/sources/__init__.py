"""Rows that are elsewhere: one file each kind of place."""

from __future__ import annotations

import glob
import os
from typing import Any, cast

from ...errors import DataError, FileError
from .base import Batch, Source, even, told
from .complete import Complete
from .dataset import Files
from .iterated import Iterated, Lazy
from .memory import Mapped
from .partitions import Partitions
from .whole import whole


def is_elsewhere(data: Any) -> bool:
    """Whether data are a place that rows are read from, and no rows themselves: a path, a dataset of pyarrow,
    a LazyFrame of polars, a DataFrame of Dask, a function that makes batches, a mapping of memory-mapped
    columns, a source."""
    if isinstance(data, str | os.PathLike | Mapped | Iterated | Lazy | Files | Partitions):
        return True
    kind = type(data)
    if kind.__module__.startswith("pyarrow") and hasattr(data, "get_fragments"):
        return True
    if _is_dask(data):
        return True
    if kind.__module__.startswith("polars") and kind.__name__ == "LazyFrame":
        return True
    if isinstance(data, dict) and not hasattr(data, "toarray"):  # a sparse array of keys is a dictionary too
        return bool(data) and all(type(values).__name__ == "memmap" for values in data.values())
    return callable(data) and not hasattr(data, "__array__") and not hasattr(data, "columns")


def source_of(data: Any) -> Any:
    """The `Source` that `is_elsewhere` data are."""
    if isinstance(data, Mapped | Iterated | Lazy | Files | Partitions):
        return data
    if isinstance(data, dict):
        return Mapped(data)
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        if os.path.isdir(path) and glob.glob(os.path.join(glob.escape(path), "*.npy")):
            return Mapped.folder(path)
        try:
            return Files.at(path)
        except ImportError as error:
            raise FileError(f"reading {path} needs an extra: pip install 'moestro[parquet]'") from error
    kind = type(data)
    if _is_dask(data):
        return Partitions(data)
    if kind.__module__.startswith("pyarrow"):
        return Files(data, "the dataset")
    if kind.__name__ == "LazyFrame":
        return Lazy(data)
    if callable(data):
        return Iterated(cast(Any, data))
    raise DataError(f"rows are not read from {kind.__name__}")


def _is_dask(data: Any) -> bool:
    return (
        type(data).__module__.startswith("dask") and hasattr(data, "to_delayed") and hasattr(data, "columns")
    )


__all__ = [
    "Batch",
    "Complete",
    "Files",
    "Iterated",
    "Lazy",
    "Mapped",
    "Partitions",
    "Source",
    "even",
    "is_elsewhere",
    "source_of",
    "told",
    "whole",
]

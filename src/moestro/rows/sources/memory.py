"""Columns in memory or in memory-mapped files, read in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError, FileError
from .base import Batch, check_names


@dataclass(frozen=True)
class Mapped:
    """Columns (n,) by name: arrays, or files that the system maps into memory as far as they are read."""

    columns: Mapping[str, np.ndarray]
    name: str = "the data"

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1:
            each = ", ".join(f"'{name}' has {len(values)}" for name, values in self.columns.items())
            raise DataError(
                f"columns of {self.name} have different numbers of rows: {each or 'there are none'}"
            )

    @classmethod
    def folder(cls, path: str) -> Mapped:
        """A folder of files of NumPy, ``column.npy`` each."""
        found = {}
        for file in sorted(os.listdir(path)):
            if not file.endswith(".npy"):
                continue
            full = os.path.join(path, file)
            try:
                values = np.load(full, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise FileError(f"{full}: cannot be read ({' '.join(str(error).split())})") from error
            if values.ndim != 1:
                raise FileError(f"{full}: has shape {values.shape}: a column is (n,)")
            found[file.removesuffix(".npy")] = values
        if not found:
            raise FileError(f"{path}: has no files column.npy")
        return cls(found, path)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        check_names(self, wanted)
        n = len(next(iter(self.columns.values())))
        for start in range(0, n, size):
            at = slice(start, min(start + size, n))
            where = f"{self.name}, rows {start + 1} to {at.stop}"
            yield Batch({name: np.array(self.columns[name][at]) for name in wanted}, where)

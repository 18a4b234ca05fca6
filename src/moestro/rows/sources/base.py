"""What rows that are elsewhere answer: which columns there are, and these in batches, as often as asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...design.frames import columns
from ...errors import DataError, FileError


class Batch(NamedTuple):
    """Some consecutive rows: columns (b,) by name, and where they stand, in words."""

    columns: dict[str, np.ndarray]
    where: str

    @property
    def n(self) -> int:
        return len(next(iter(self.columns.values()), ()))


class Source(Protocol):
    """Rows that are read again for each pass, always in the same order."""

    @property
    def name(self) -> str: ...  # what messages call it

    @property
    def names(self) -> tuple[str, ...]: ...  # its columns

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]: ...

    # columns `wanted` of all rows, `size` at most at a time


def batch_of(frame: Any, wanted: Sequence[str], where: str) -> Batch:
    """Columns of a frame of any library, or of a mapping."""
    with told(where):
        return Batch(columns(frame, wanted), where)


def arrays_of(made: Any, wanted: Sequence[str], where: str) -> Batch:
    """Columns of a record batch of arrow; text and categories as objects, what is missing as NaN or
    None."""
    return Batch({name: _array(made.column(name)) for name in wanted}, where)


def _array(column: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def check_names(source: Source, wanted: Sequence[str]) -> None:
    """Refuse columns that a source does not have."""
    lost = [name for name in wanted if name not in source.names]
    if lost:
        there = ", ".join(source.names[:20]) + (", ..." if len(source.names) > 20 else "")
        raise DataError(f"column '{lost[0]}' is missing from {source.name}; it has {there}")


@contextmanager
def told(where: str) -> Iterator[None]:
    """What is wrong with the data of a batch, with the place where it stands in front."""
    try:
        yield
    except FileError:
        raise
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def even(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The same rows in batches of exactly `size`, the last one smaller: sums over them do not depend on how a
    file was cut."""
    held: list[Batch] = []
    count = 0
    for batch in batches:
        start = 0
        while count + batch.n - start >= size:
            stop = start + size - count
            yield joined([*held, part(batch, start, stop)])
            held, count, start = [], 0, stop
        if start < batch.n:
            held.append(part(batch, start, batch.n))
            count += batch.n - start
    if held:
        yield joined(held)


def part(batch: Batch, start: int, stop: int) -> Batch:
    """Rows `start` to `stop`."""
    if start == 0 and stop == batch.n:
        return batch
    return Batch({name: values[start:stop] for name, values in batch.columns.items()}, batch.where)


def joined(parts: list[Batch]) -> Batch:
    """Consecutive batches as one."""
    if len(parts) == 1:
        return parts[0]
    names = parts[0].columns
    together = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
    first, last = parts[0].where, parts[-1].where
    return Batch(together, first if first == last else f"{first} to {last}")

"""Batches that a function makes anew for each pass, and the streaming engine of polars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...design.frames import column_names
from ...errors import DataError
from .base import Batch, batch_of, check_names


@dataclass(frozen=True)
class Iterated:
    """Frames, record batches or mappings of columns from ``make()``, an iterator that begins anew each time.

    Rows have to come in the same order in every pass: a fit that finds another sum over them says so.
    """

    make: Callable[[], Iterable[Any]]
    name: str = "the iterator"

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        first = next(iter(self._made()), None)
        if first is None:
            raise DataError(f"{self.name} gives no batch: it has to begin anew at each call")
        return tuple(column_names(_frame(first)))

    def _made(self) -> Iterable[Any]:
        made = self.make()
        if not isinstance(made, Iterable):
            raise DataError(f"{self.name} must return an iterator of batches, got {type(made).__name__}")
        return made

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        check_names(self, wanted)
        for i, made in enumerate(self._made()):
            yield batch_of(_frame(made), wanted, f"{self.name}, batch {i + 1}")


@dataclass(frozen=True)
class Lazy:
    """A LazyFrame of polars, collected in batches by its streaming engine, only the columns that are read."""

    frame: Any
    name: str = "the LazyFrame"

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.frame.collect_schema().names())

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        check_names(self, wanted)
        parts = self.frame.select(list(wanted)).collect_batches(chunk_size=size, maintain_order=True)
        for i, made in enumerate(parts):
            yield batch_of(made, wanted, f"{self.name}, batch {i + 1}")


def _frame(made: Any) -> Any:
    """A record batch of arrow as a table, which frames are read from."""
    if type(made).__module__.startswith("pyarrow") and type(made).__name__ == "RecordBatch":
        import pyarrow

        return pyarrow.Table.from_batches([made])
    return made

"""Partitions of a Dask DataFrame: read once, pinned on the workers as rows, and summed where they are.

A pass sends parameters to each partition and gets its sums back, one future a partition; these are added in
the order of the partitions, so that the number of workers changes no bit. What a worker held when it died is
made again from the frame, by Dask, and its sums with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any

from ...errors import DataError
from .base import Batch, batch_of, check_names


@dataclass(frozen=True)
class Partitions:
    """A DataFrame of Dask on the workers of `client`; None: the current one."""

    frame: Any
    client: Any = None
    name: str = "the Dask frame"
    _pins: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.frame.columns)

    @cached_property
    def workers(self) -> Any:
        """The client."""
        if self.client is not None:
            return self.client
        from distributed import default_client  # pyright: ignore[reportMissingImports]

        try:
            return default_client()
        except ValueError as error:
            raise DataError("a Dask frame is fitted on a cluster: make a distributed.Client first") from error

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        """One partition after the other, brought here: for what is learned before the first pass, and read
        off the frozen fit."""
        check_names(self, wanted)
        for i, part in enumerate(self.frame[list(wanted)].to_delayed()):
            frame = self.workers.compute(part).result()
            if len(frame):
                yield batch_of(frame, wanted, f"{self.name}, partition {i + 1}")

    def mapped(
        self, rows: Any, function: Callable[[Any], Any], add: Callable[[Any, Any], Any]
    ) -> Iterator[Any]:
        """`function` of the rows of each partition, cut into blocks whose results are added there, in the
        partitions' order."""
        pins = self._pinned(rows)
        found = self.workers.map(_summed, pins, function=function, add=add, pure=False)
        yield from (one for one in self.workers.gather(found) if one is not None)

    def _pinned(self, rows: Any) -> list[Any]:
        """Futures of the rows of each partition, scaled as `rows` are; made at the first pass."""
        scaling = (rows.x_scaling, rows.z_scaling, rows.y_center, rows.y_scale)
        key = id(rows.at_hand)
        if key not in self._pins:
            reader = replace(rows.reader, source=_Nowhere())
            parts = self.workers.compute(self.frame[list(reader.wanted)].to_delayed())
            made = self.workers.map(
                _rows_of, parts, range(len(parts)), reader=reader, scaling=scaling, pure=False
            )
            self._pins[key] = (made, rows.at_hand)  # which keeps its id from being used again
        return self._pins[key][0]


@dataclass(frozen=True)
class _Nowhere:
    """In place of the frame, which workers do not need."""

    name: str = "the Dask frame"


def _rows_of(frame: Any, number: int, reader: Any, scaling: tuple[Any, ...]) -> list[Any]:
    """A partition as scaled rows, a block each."""
    out = []
    for start in range(0, len(frame), reader.block):
        part = frame.iloc[start : start + reader.block]
        batch = batch_of(part, reader.wanted, f"{reader.source.name}, partition {number + 1}")
        out.append(reader.rows(batch).on(*scaling))
    return out


def _summed(parts: list[Any], function: Callable[[Any], Any], add: Callable[[Any, Any], Any]) -> Any:
    return reduce(add, map(function, parts)) if parts else None

"""A source without its rows that miss a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...design.frames import complete_rows, gaps
from ...design.holes import Dropped
from .base import Batch, Source


class Complete:
    """The rows of `source` that have a value in every column that is read; after a pass `dropped` says which
    had not."""

    def __init__(self, source: Source) -> None:
        self.source, self.dropped = source, Dropped(0, 0)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        lost, of, counts = 0, 0, dict.fromkeys(wanted, 0)
        for batch in self.source.batches(wanted, size):
            found = gaps(batch.columns)
            keep = complete_rows(found)
            of += batch.n
            if keep is not None:
                lost += int((~keep).sum())
                for name, absent in found.items():
                    counts[name] += int(np.count_nonzero(absent))
                batch = Batch({name: values[keep] for name, values in batch.columns.items()}, batch.where)
            if batch.n:
                yield batch
        self.dropped = Dropped(lost, of, tuple((name, count) for name, count in counts.items() if count))

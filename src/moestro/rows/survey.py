"""The first pass over rows that are elsewhere: how many there are, the levels of their categories, and a
random sample of them.

Row i has the key h(i), a hash of its number, and the sample is the m rows with the smallest keys: every set
of m rows is as likely as every other, whichever way the rows are sorted or cut into files, and the same rows
are drawn wherever they are read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design.frames import refuse_unusable
from ..design.levels import MOST
from ..errors import DataError
from .order import mixed
from .sources import Batch, Source, told, whole

SALT = np.uint64(0x5851F42D4C957F2D)


@dataclass(frozen=True)
class Survey:
    """What one pass tells.

    Attributes
    ----------
    n : int
    sample : dict of str to ndarray
        Columns of the rows that were drawn, in their order.
    witnesses : dict of str to ndarray
        Columns of the first row of each level of a category.
    levels : dict of str to tuple
        Different values of the columns that are categories, in the order of first appearance.
    """

    n: int
    sample: dict[str, np.ndarray]
    witnesses: dict[str, np.ndarray]
    levels: dict[str, tuple]

    @property
    def learned(self) -> dict[str, np.ndarray]:
        """Columns of rows that have every level: what a design is learned from."""
        return {n: np.concatenate([v, self.witnesses[n]]) for n, v in self.sample.items()}

    @classmethod
    def of(
        cls,
        source: Source,
        wanted: Sequence[str],
        categories: Sequence[str],
        rows: int,
        size: int,
        groups: str | None = None,
        beside: Sequence[str] = (),
    ) -> Survey:
        """Of the columns `wanted`, of which `categories` are, as text is, but for those that stand `beside`
        the design, ids; `rows` are drawn, of whole `groups`, and at most `size` read together."""
        n, drawn = 0, _Drawn(rows, groups)
        first: dict[str, dict] = {}
        seen: list[dict[str, np.ndarray]] = []
        given = source.batches(wanted, size)
        for batch in given if groups is None else whole(given, size, groups):
            read = {name: values for name, values in batch.columns.items() if name not in beside}
            with told(batch.where):
                refuse_unusable(read)
            for name, values in read.items():
                if name in categories or values.dtype.kind not in "biuf":
                    new = _new(values, first.setdefault(name, {}))
                    seen += [{c: v[i : i + 1] for c, v in batch.columns.items()} for i in new]
                    if len(first[name]) > MOST:
                        raise DataError(
                            f"column '{name}' has more than {MOST} levels: is it an id? Leave it out"
                        )
            drawn.add(batch, n)
            n += batch.n
        if n < 2:
            raise DataError(f"{source.name} has {n} row{'' if n == 1 else 's'}: at least 2 are needed")
        sample = drawn.columns()
        if not len(next(iter(sample.values()))):
            raise DataError(f"a group of {source.name} has more than the {rows:,} rows that a sample takes")
        empty = {name: values[:0] for name, values in sample.items()}
        witnesses = {name: np.concatenate([empty[name], *(s[name] for s in seen)]) for name in sample}
        return cls(n, sample, witnesses, {name: tuple(known) for name, known in first.items()})


def _new(values: np.ndarray, known: dict) -> list[int]:
    """Places of the first rows of values that are not known yet, which then are."""
    if values.dtype.kind in "biuf":
        found, at = np.unique(values, return_index=True)
        places = dict(zip(found.tolist(), at.tolist(), strict=True))
    else:
        listed = values.tolist()
        places = {}
        for value in dict.fromkeys(listed):
            places[value] = listed.index(value)
    new = {value: i for value, i in places.items() if value not in known}
    known.update(new)
    return list(new.values())


class _Drawn:
    """The `rows` rows with the smallest keys so far, or the `groups` with the smallest that have no more rows
    together: a key is a hash of the row's number, or of the group's."""

    def __init__(self, rows: int, groups: str | None) -> None:
        self.rows, self.groups, self.held, self.units = rows, groups, 0, np.uint64(0)
        self.limit: Any = None  # the smallest key that is left out, once there is one
        self.parts: list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []

    def add(self, batch: Batch, start: int) -> None:
        number = unit = np.arange(start, start + batch.n, dtype=np.uint64)
        if self.groups is not None:
            ids = batch.columns[self.groups]
            unit = self.units + np.cumsum(np.r_[False, ids[1:] != ids[:-1]]).astype(np.uint64)
            self.units = unit[-1] + np.uint64(1)
        with np.errstate(over="ignore"):
            key = mixed(unit + np.uint64(1), SALT)
        at = np.arange(batch.n) if self.limit is None else np.flatnonzero(key < self.limit)
        if len(at):
            self.parts.append((key[at], number[at], {n: v[at] for n, v in batch.columns.items()}))
            self.held += len(at)
        if self.held > 2 * self.rows:
            self._cut()

    def _cut(self) -> None:
        key = np.concatenate([k for k, _, _ in self.parts])
        number = np.concatenate([i for _, i, _ in self.parts])
        columns = {
            n: np.concatenate([c[n] for _, _, c in self.parts])
            for n in (self.parts[0][2] if self.parts else ())
        }
        if len(key) > self.rows:
            self.limit = np.partition(key, self.rows)[self.rows]
            at = np.flatnonzero(key < self.limit)
            at = at[np.argsort(number[at])]
            key, number, columns = key[at], number[at], {n: v[at] for n, v in columns.items()}
        self.parts, self.held = [(key, number, columns)], len(key)

    def columns(self) -> dict[str, np.ndarray]:
        self._cut()
        return self.parts[0][2]

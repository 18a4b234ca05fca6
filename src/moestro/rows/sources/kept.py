"""A source that is read once: its first pass leaves what it read in a temporary file, for those after it."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import DataError, FileError
from .base import Batch, Source


class _Held(NamedTuple):
    """One batch of n rows in the file: where these stood, and of each column the type and the place."""

    where: str
    n: int
    columns: dict[str, tuple[np.dtype, int]]


class _Part(NamedTuple):
    """Rows `start` to `stop` of one batch."""

    of: _Held
    start: int
    stop: int


class Kept:
    """The rows of `source`, read from it once and then from a file in `folder` (None: where the system has
    temporary files), in batches of even size.

    Numbers are kept as they came, bit by bit, and texts as the numbers of different ones. The file has no
    name: the system removes it with the process, however that ends.
    """

    def __init__(self, source: Source, folder: str | None = None) -> None:
        self.source, self.folder = source, folder
        self._file: IO[bytes] | None = None
        self._close: Any = None
        self._held: list[_Held] | None = None  # none before a pass came to its end
        self._values: dict[str, dict[Any, int]] = {}  # of columns of objects, with their numbers
        self._place = threading.Lock()

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    @property
    def dropped(self) -> Any:
        """Of a source that leaves rows out."""
        return getattr(self.source, "dropped", None)

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        held = self._held
        if held is None or (held and not set(wanted) <= set(held[0].columns)):
            return self._first(wanted, size)
        return self._again(held, wanted, size)

    def _first(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        self._held, self._values, held, at = None, {}, [], 0
        if self._close is not None:
            self._close()
        self._file = _opened(self.folder)
        self._close = weakref.finalize(self, self._file.close)
        for batch in self.source.batches(wanted, size):
            yield batch  # what it is refused for is said before it is written
            columns = {}
            for name, values in batch.columns.items():
                raw = self._numbered(name, values) if values.dtype.kind == "O" else values
                columns[name] = (raw.dtype, at)
                at += self._write(np.ascontiguousarray(raw), at)
            held.append(_Held(batch.where, batch.n, columns))
        self._held = held

    def _again(self, held: list[_Held], wanted: Sequence[str], size: int) -> Iterator[Batch]:
        """As `even` would cut them, without its copies: numbers are read to where they belong."""
        values = {name: _objects(known) for name, known in self._values.items()}
        for parts in _cuts(held, size):
            found = {name: self._joined(name, parts) for name in wanted}
            for name in values.keys() & found.keys():
                found[name] = values[name][found[name]]
            first, last = parts[0].of.where, parts[-1].of.where
            yield Batch(found, first if first == last else f"{first} to {last}")

    def _joined(self, name: str, parts: list[_Part]) -> np.ndarray:
        """A column's values of some batches, of the type that they have together."""
        types = {part.of.columns[name][0] for part in parts}
        if len(types) > 1:
            return np.concatenate([self._joined(name, [part]) for part in parts])
        out, at = np.empty(sum(part.stop - part.start for part in parts), dtype=types.pop()), 0
        for of, start, stop in parts:
            self._read(out[at : at + stop - start], of.columns[name][1] + start * out.itemsize)
            at += stop - start
        return out

    def _numbered(self, name: str, values: np.ndarray) -> np.ndarray:
        """A column of objects as numbers of its different values; 1, 1.0 and True differ."""
        known = self._values.setdefault(name, {})
        return np.array([known.setdefault((type(v), v), len(known)) for v in values.tolist()], dtype=np.int32)

    def _write(self, values: np.ndarray, at: int) -> int:
        assert self._file is not None
        try:
            left = values.data.cast("B") if values.size else memoryview(b"")
            while left:  # a disk that is nearly full takes a part
                left = left[self._file.write(left) :]
        except OSError as error:
            self._close()
            raise FileError(
                f"{self.folder or tempfile.gettempdir()}: the cache of rows cannot be written there "
                f"({error.strerror or error}, after {at / 1e9:.2f} GB): name a larger folder"
            ) from error
        return values.nbytes

    def _read(self, out: np.ndarray, at: int) -> None:
        assert self._file is not None
        with self._place:
            self._file.seek(at)
            read = self._file.readinto(out.data.cast("B"))  # pyright: ignore[reportAttributeAccessIssue]
        if read != out.nbytes:
            raise FileError(f"the cache of {self.name} ends before its rows do")


def _cuts(held: list[_Held], size: int) -> Iterator[list[_Part]]:
    """Parts of the batches with `size` rows together, the last ones with less."""
    parts: list[_Part] = []
    count = 0
    for of in held:
        start = 0
        while start < of.n:
            stop = min(of.n, start + size - count)
            parts.append(_Part(of, start, stop))
            count, start = count + stop - start, stop
            if count == size:
                yield parts
                parts, count = [], 0
    if parts:
        yield parts


def read_once(source: Any, cache: Any) -> Any:
    """`source` itself, or read once, as the word `cache` of an estimator has it: None or False, True, or a
    folder."""
    if cache is None or cache is False:
        return source
    if cache is not True and not isinstance(cache, str | os.PathLike):
        raise DataError(f"cache={cache!r} is no folder: give its path, or True for that of temporary files")
    if hasattr(source, "mapped"):
        raise DataError(f"{source.name} is held by its workers after the first pass: leave cache out")
    folder = None if cache is True else os.fspath(cache)
    if folder is not None and not os.path.isdir(folder):
        raise FileError(f"{folder}: is no folder for the cache of rows")
    return Kept(source, folder)


def _opened(folder: str | None) -> IO[bytes]:
    """A file without a name."""
    try:
        return tempfile.TemporaryFile(prefix="moestro-", dir=folder, buffering=0)
    except OSError as error:
        where = folder or "the folder of temporary files"
        raise FileError(
            f"{where}: the cache of rows cannot be made there ({error.strerror or error})"
        ) from error


def _objects(known: dict[Any, int]) -> np.ndarray:
    """The values by their number."""
    out = np.empty(len(known), dtype=object)
    out[:] = [value for _, value in known]
    return out

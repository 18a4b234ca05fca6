"""Rows that are read from their source once more, and then from a temporary file of their numbers."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from ..errors import DataError, FileError
from .groups import Groups
from .reader import Reader
from .rows import Rows
from .sources import Batch


class _Place(NamedTuple):
    """An array in the file: its first byte, and whether its columns stand in one piece each."""

    at: int
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool


class Kept:
    """As a `Reader`, whose first pass leaves the rows in a file in `folder` (None: where the system has
    temporary files), from which those after it read them, bit by bit the same.

    The file has no name: the system removes it with the process, however that ends.
    """

    def __init__(self, reader: Reader, folder: str | None = None) -> None:
        self.reader, self.source, self.design = reader, reader.source, reader.design
        self.gate_scaling, self.family, self.block = reader.gate_scaling, reader.family, reader.block
        self.folder = folder
        self._file: IO[bytes] | None = None
        self._close: Any = None
        self._held: list[tuple[str, dict[str, _Place]]] | None = None  # none before a pass came to its end
        self._turn = threading.Lock()

    def rows(self, batch: Batch) -> Rows:
        """As `Reader.rows`."""
        return self.reader.rows(batch)

    def __iter__(self) -> Iterator[tuple[Rows, str]]:
        return self._first() if self._held is None else self._again(self._held)

    def _first(self) -> Iterator[tuple[Rows, str]]:
        if self._close is not None:
            self._close()
        self._file, at = _opened(self.folder), 0
        self._close = weakref.finalize(self, self._file.close)
        held: list[tuple[str, dict[str, _Place]]] = []
        for rows, where in self.reader:
            yield rows, where  # what it is refused for is said before it is written
            places = {}
            for name, values in _arrays(rows).items():
                turned = values.ndim == 2 and values.flags.f_contiguous
                raw = np.ascontiguousarray(values.T if turned else values)
                places[name] = _Place(at, values.shape, values.dtype, turned)
                self._write(raw, at)
                at += raw.nbytes
            held.append((where, places))
        self._held = held

    def _again(self, held: list[tuple[str, dict[str, _Place]]]) -> Iterator[tuple[Rows, str]]:
        for where, places in held:
            a = {name: self._read(place) for name, place in places.items()}
            groups = Groups(a["groups"]) if "groups" in a else None
            yield Rows.plain(a["x"], a.get("z"), a["y"], a.get("w"), groups, a.get("known")), where

    def _write(self, values: np.ndarray, at: int) -> None:
        assert self._file is not None
        left = memoryview(values.tobytes() if values.size == 0 else values.data.cast("B"))
        try:
            while left:  # a disk that is nearly full takes a part
                left = left[self._file.write(left) :]
        except OSError as error:
            self._close()
            raise FileError(
                f"{self.folder or tempfile.gettempdir()}: the cache of rows cannot be written there "
                f"({error.strerror or error}, after {at / 1e9:.2f} GB): name a larger folder"
            ) from error

    def _read(self, place: _Place) -> np.ndarray:
        shape = place.shape[::-1] if place.by_columns else place.shape
        out, read = np.empty(shape, dtype=place.dtype), 0
        assert self._file is not None
        if out.size:
            with self._turn:
                self._file.seek(place.at)
                read = self._file.readinto(out.data.cast("B"))  # pyright: ignore[reportAttributeAccessIssue]
        if read != out.nbytes:
            raise FileError(f"the cache of {self.source.name} ends before its rows do")
        return out.T if place.by_columns else out


def _arrays(rows: Rows) -> dict[str, np.ndarray]:
    """What there is of rows in the user's units."""
    offsets = None if rows.groups is None else rows.groups.offsets
    found = {"x": rows.x, "z": rows.z, "y": rows.y, "w": rows.w, "known": rows.known, "groups": offsets}
    return {name: values for name, values in found.items() if values is not None}


def check_cache(cache: Any) -> None:
    """Refuse what is neither None or False, True, nor a folder that is there."""
    if cache is None or isinstance(cache, bool):
        return
    if not isinstance(cache, str | os.PathLike):
        raise DataError(f"cache={cache!r} is no folder: give its path, or True for that of temporary files")
    if not os.path.isdir(cache):
        raise FileError(f"{os.fspath(cache)}: is no folder for the cache of rows")


def keep(reader: Reader, cache: Any) -> Reader | Kept:
    """`reader` itself, or read once more alone, as the word `cache` of an estimator has it."""
    if cache is None or cache is False:
        return reader
    return Kept(reader, None if cache is True else os.fspath(cache))


def _opened(folder: str | None) -> IO[bytes]:
    """A file without a name."""
    try:
        return tempfile.TemporaryFile(prefix="moestro-", dir=folder, buffering=0)
    except OSError as error:
        where, why = folder or "the folder of temporary files", error.strerror or error
        raise FileError(f"{where}: the cache of rows cannot be made there ({why})") from error

"""The one place where files are written: whole or not at all, and never over what is no file."""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .errors import DataError, FileError

Path = str | os.PathLike[str]
DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")  # what a shell's >(command) is called
TEMPORARY = ".moestro-{}.tmp"
STREAMS = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
KINDS = {stat.S_IFDIR: "folder", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}


class Disk:
    """The calls of the operating system that change a disk. Tests put one that fails in the place of
    `disk`."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    replace = staticmethod(os.replace)


disk = Disk()


def write(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all; text as UTF-8.

    A temporary neighbour is filled, brought to the disk and renamed over the file, whose
    mode and owner it takes; a link stays a link, and the file that it points to is written. If anything
    fails, the neighbour is removed and the old file is as it was; a kill may leave ".moestro-...tmp" beside
    it. Standard output ("-", /dev/stdout), open descriptors (/dev/fd/3) and named pipes are written through.

    Raises
    ------
    FileError
        One line: a folder, a device or a socket; a file that may not be written, or of another owner; a disk
        that is full or fails.
    """
    name = os.fspath(path)
    try:
        content = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        raise FileError(f"{name}: cannot be written (it would hold {error.object[error.start]!r})") from error
    stream = descriptor(name)
    with _one_line(name):
        if stream is not None:
            _through(stream, content)
            return
        target = resolve(name)
        if os.path.exists(target) and stat.S_ISFIFO(os.stat(target).st_mode):
            handle = disk.open(target, os.O_WRONLY)
            try:
                _all(handle, content)
            finally:
                os.close(handle)
            return
        with _replaced(target) as handle:
            _all(handle, content)


@contextmanager
def in_pieces(path: Path) -> Iterator[io.RawIOBase]:
    """A file to `write` piece by piece, which takes its name where the block ends without an error."""
    name = os.fspath(path)
    with _one_line(name):
        target = resolve(name)
    with _one_line(name, (OSError,)), _replaced(target) as handle:
        yield _Pieces(handle)


def write_figure(path: Path, figure: Any, **options: Any) -> None:
    """Draw a matplotlib figure and `write` it; the name says the kind of picture, PNG where it has none."""
    kind = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
    picture = io.BytesIO()
    figure.savefig(picture, format=kind or "png", **options)
    write(path, picture.getvalue())


def append_line(path: Path, line: str) -> None:
    """Add a line of text to a file, whole or not at all; several processes may do so at once.

    What a kill left of a line before it, text without an end, is cut.
    """
    name = os.fspath(path)
    with _one_line(name):
        handle = disk.open(resolve(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            lock(handle)
            end = _cut_half_line(handle)
            try:
                _all(handle, line.encode() + b"\n")
            except BaseException:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)  # ends the lock


def check_target(path: Path) -> None:
    """Raise what `write` would raise before it writes."""
    name = os.fspath(path)
    if descriptor(name) is None:
        with _one_line(name):
            resolve(name)


def descriptor(name: str) -> int | None:
    """The open file that a name stands for, None for a place on the disk."""
    numbered = DESCRIPTOR.fullmatch(name)
    return int(numbered[1]) if numbered else STREAMS.get(name)


def is_stream(path: Path) -> bool:
    """Whether `write` sends what it is given through, so that the name says nothing of its kind."""
    name = os.fspath(path)
    if descriptor(name) is not None:
        return True
    with suppress(OSError, ValueError):
        return stat.S_ISFIFO(os.stat(name).st_mode)
    return False


def is_temporary(name: str) -> bool:
    """Whether a file's name is that of a neighbour that a kill left."""
    start, end = TEMPORARY.split("{}")
    return name.startswith(start) and name.endswith(end)


def resolve(name: str) -> str:
    """The file behind links that a name stands for; refused where it cannot or must not be written."""
    if not name:
        raise FileError("a file cannot be written without a name")
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileError(f"{name}: the folder does not exist")
    try:
        found = os.stat(target)
    except FileNotFoundError:
        found = None
    if found is None:
        if name.endswith(os.sep):
            raise FileError(f"{name}: is the name of a folder, not of a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FileError(f"{name}: cannot be written (permission denied)")
        return target
    kind = KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is not None:
        raise FileError(f"{name}: is a {kind}, not a file")
    if not os.access(target, os.W_OK):
        raise FileError(f"{name}: cannot be written (permission denied)")
    if stat.S_ISREG(found.st_mode) and not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{name}: cannot be replaced, since its folder may not be written")
    return target


def lock(handle: int, wait: bool = True) -> None:
    """Hold an open file alone until it is closed, where the system has such locks.

    Raises `BlockingIOError` where another process holds it and `wait` is False.
    """
    with suppress(ImportError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextmanager
def _replaced(target: str) -> Iterator[int]:
    """The open neighbour that takes the name of `target` at the end."""
    folder = os.path.dirname(target)
    old = os.stat(target) if os.path.exists(target) else None
    half = os.path.join(folder, TEMPORARY.format(secrets.token_hex(8)))
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    handle = disk.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        try:
            if old is not None:
                _like(half, old)
            yield handle
            disk.fsync(handle)
        finally:
            os.close(handle)
        disk.replace(half, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(half)
        raise
    with suppress(OSError):  # the new name is on the disk too; some file systems have no such call
        names = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(names)
        finally:
            os.close(names)


def _like(half: str, old: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one it replaces."""
    new = os.stat(half)
    if hasattr(os, "chown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(half, old.st_uid, old.st_gid)
        except PermissionError as error:
            raise OSError(errno.EPERM, "it belongs to another user or group: remove it first") from error
    os.chmod(half, stat.S_IMODE(old.st_mode))


def _all(handle: int, content: bytes | memoryview) -> None:
    """Every byte: a system call may write fewer than it is given."""
    rest = memoryview(content)
    while rest:
        try:
            count = disk.write(handle, rest)
        except InterruptedError:
            continue
        if count < 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[count:]


class _Pieces(io.RawIOBase):
    def __init__(self, handle: int) -> None:
        self.handle, self.at = handle, 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = memoryview(data).cast("B")
        _all(self.handle, content)
        self.at += len(content)
        return len(content)

    def tell(self) -> int:
        return self.at


def _through(stream: int, content: bytes) -> None:
    own = {1: sys.stdout, 2: sys.stderr}.get(stream)
    if own is not None:
        own.flush()  # what was printed before stays before
        buffer = getattr(own, "buffer", None)
        if buffer is not None:  # also where a program has put another stream in its place
            buffer.write(content)
            buffer.flush()
            return
    _all(stream, content)


def _cut_half_line(handle: int) -> int:
    """Where the last whole line of an open file ends, and the file with it."""
    size = end = os.fstat(handle).st_size
    while end:
        start = max(end - 4096, 0)
        os.lseek(handle, start, os.SEEK_SET)
        at = os.read(handle, end - start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
    return end


@contextmanager
def _one_line(name: str, kinds: tuple[type[Exception], ...] = (OSError, ValueError)) -> Iterator[None]:
    """What the system says, as a `FileError`; a pipe whose reader has gone is its own error."""
    try:
        yield
    except DataError:
        raise
    except kinds as error:
        if isinstance(error, BrokenPipeError) and descriptor(name) is not None:
            raise
        reason = getattr(error, "strerror", None) or str(error)
        shown = name if name.isprintable() else repr(name)
        raise FileError(f"{shown}: cannot be written ({reason})") from error

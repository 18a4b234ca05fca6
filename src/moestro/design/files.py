"""Files of data: read whole, checked for what readers guess silently."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections import Counter
from typing import Any

from ..errors import FileError
from .grammar import short

SPREADSHEETS = (".xlsx", ".xls", ".ods")
PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather")
COLUMNS = 20_000  # of a CSV file
BLOCK = 2**20
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


def read_frame(path: str | os.PathLike[str], separator: str | None = None, decimal: str = ".") -> Any:
    """Read a CSV, Parquet or Arrow file, as its name ends; "-" is CSV on standard input.

    Parameters
    ----------
    separator : str, optional
        What stands between the fields of a CSV file. By default the one of comma, semicolon and tab that the
        first line has, where it has one of them only; the comma elsewhere.
    decimal : str
        The decimal point of a CSV file.
    """
    path = os.fspath(path)
    if path != "-" and not os.path.exists(path):
        raise FileError(f"{path}: no such file")
    if os.path.isdir(path):
        raise FileError(f"{path}: is a folder, not a file")
    if path.lower().endswith(SPREADSHEETS):
        raise FileError(f"{path}: spreadsheets are not read: save it as CSV or Parquet")
    parquet = path.lower().endswith(PARQUET + ARROW)
    try:
        frame = _read_arrow(path) if parquet else _read_csv(path, separator, decimal)
    except FileError:
        raise
    except ImportError as error:
        extra = "parquet" if parquet else "formula"
        raise FileError(f"reading {path} needs an extra: pip install 'moestro[{extra}]'") from error
    except UnicodeError as error:
        raise FileError(f"{path}: cannot be read as UTF-8 text: save it as CSV in UTF-8") from error
    except Exception as error:  # any reader's own error, in one line
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: cannot be read ({reason})") from error
    if not len(frame):
        raise FileError(f"{path}: has no rows")
    return frame


def _read_arrow(path: str) -> Any:
    import pyarrow.feather
    import pyarrow.parquet

    read = pyarrow.feather.read_table if path.lower().endswith(ARROW) else pyarrow.parquet.read_table
    return read(path, memory_map=False)


def _read_csv(path: str, separator: str | None, decimal: str) -> Any:
    import pandas

    def source() -> Any:
        return path if whole is None else io.BytesIO(whole)

    whole = sys.stdin.buffer.read() if path == "-" else None
    if (os.path.getsize(path) if whole is None else len(whole)) == 0:
        raise FileError(f"{path}: is empty")
    # A separator that no text has: the first line as it is.
    how: dict[str, Any] = {"header": None, "nrows": 2, "sep": "\x1f", "dtype": str}
    head = pandas.read_csv(source(), quoting=csv.QUOTE_NONE, **how)
    line, *second = map(str, head.iloc[:, 0])
    separator = separator_of(line) if separator is None else separator
    names = names_in(line, separator, path)
    other = [s for s in OTHER_SEPARATORS if s in line and s != separator]
    if len(names) == 1 and other:
        what = OTHER_SEPARATORS[other[0]]
        raise FileError(f"{path}: seems to be separated by {what}: give separator={other[0]!r} (--separator)")
    fields = len(line.split())
    if len(names) == 1 < fields and second and len(second[0].split()) in (fields, fields + 1):
        raise FileError(f"{path}: seems to be separated by spaces: give separator=' ' (--separator)")
    _refuse_nul(path, source())
    how = {"sep": separator, "decimal": decimal, "skipinitialspace": True}
    frame = pandas.read_csv(source(), **how)
    first = pandas.read_csv(source(), header=None, skiprows=1, nrows=1, **how) if len(frame) else frame
    if first.shape[1] > frame.shape[1]:  # pandas took the first fields for the names of the rows
        raise FileError(
            f"{path}: rows have {first.shape[1]} fields, but the first line names {frame.shape[1]} columns: "
            "name every column, and quote fields with commas"
        )
    return frame


def separator_of(line: str) -> str:
    """What stands between the fields of the first line of a CSV file: the one of comma, semicolon and tab
    that it has, where it has one of them only; the comma elsewhere."""
    present = [s for s in ",;\t" if s in line]
    return present[0] if len(present) == 1 else ","


def names_in(line: str, separator: str, path: str) -> list[str]:
    """The names of the columns in the first line of a CSV file."""
    if "\0" in line:
        raise FileError(f"{path}: cannot be read (a NUL character in line 1: it is no text file)")
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    twice = [name for name, times in Counter(names).items() if name and times > 1]
    if twice:
        raise FileError(f"{path}: has two columns named '{short(twice[0])}': rename one")
    if len(names) > COLUMNS:
        raise FileError(
            f"{path}: names {len(names)} columns, at most {COLUMNS} are read: give a matrix in Python"
        )
    return names


def _refuse_nul(path: str, source: Any) -> None:
    """A NUL in a number makes its column text, and a NUL in text is not seen: neither is data."""
    from pandas.io.common import get_handle

    line = 1
    with get_handle(source, "rb", compression="infer", is_text=False) as opened:
        while block := opened.handle.read(BLOCK):
            at = block.find(b"\0")
            if at >= 0:
                line += block[:at].count(b"\n")
                raise FileError(
                    f"{path}: cannot be read (a NUL character in line {line}: it is no text file)"
                )
            line += block.count(b"\n")

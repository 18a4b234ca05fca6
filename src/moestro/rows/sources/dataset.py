"""Files that pyarrow reads: Parquet, Arrow and CSV, one, a folder, a glob, or a dataset with partitions."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...design.files import names_in, separator_of
from ...errors import DataError, FileError
from .base import Batch, arrays_of, check_names

KINDS = {".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".csv": "csv"}
FIRST_LINE = 2**22  # characters that may name columns
NO_SCHEMA = re.compile(r"Error creating dataset\. Could not read schema from .*\. Is this a '\w+' file\?: ")


@dataclass(frozen=True)
class Files:
    """A dataset of pyarrow, its files in the order of their names.

    Each row group is read by itself and its pages as they are needed, so that memory is bounded by the batch
    and not by how large a row group was made.
    """

    dataset: Any
    name: str

    @classmethod
    def at(cls, path: str) -> Files:
        """The files of a path: one file, a folder (partitions as `column=value`), or a glob."""
        found: Any = path
        if not os.path.exists(path):
            found = sorted(glob.glob(path, recursive=True))
            if not found:
                what = "no file matches" if glob.has_magic(path) else "no such file"
                raise FileError(f"{path}: {what}")
        kind = _kind(path, found)
        files = found if isinstance(found, list) else [found]
        for file in files:
            if os.path.isfile(file) and os.path.getsize(file) == 0:
                raise FileError(f"{file}: is empty")
        import pyarrow.dataset as ds

        try:
            return cls(ds.dataset(found, format=_format(kind, found), partitioning="hive"), path)
        except DataError:
            raise
        except UnicodeError as error:
            raise FileError(f"{path}: cannot be read as UTF-8 text: save it as CSV in UTF-8") from error
        except (OSError, ValueError, ArithmeticError) as error:
            raise FileError(f"{path}: cannot be read ({_reason(error)})") from error

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.dataset.schema.names)

    def batches(self, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        check_names(self, wanted)
        fragments = sorted(self.dataset.get_fragments(), key=lambda f: f.path)
        if not fragments:
            raise FileError(f"{self.name}: has no files")
        for fragment in fragments:
            yield from self._of(fragment, wanted, size)

    def _of(self, fragment: Any, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        path, rows = fragment.path, 0
        try:
            self._refuse_other(fragment, wanted)
            groups = list(getattr(fragment, "split_by_row_group", lambda: [fragment])())
            for i, group in enumerate(groups):
                where = path if len(groups) == 1 else f"{path}, row group {i + 1}"
                scan = group.to_batches(
                    columns=list(wanted), schema=self.dataset.schema, batch_size=size, batch_readahead=0,
                    fragment_readahead=0, use_threads=False, **_scanning(group),
                )  # fmt: skip
                for made in scan:
                    if made.num_rows:
                        rows += made.num_rows
                        yield arrays_of(made, wanted, where)
        except DataError:
            raise
        except FileNotFoundError as error:
            raise FileError(f"{path}: was there when the fit began, and is gone") from error
        except Exception as error:  # any reader's own error, in one line
            raise FileError(f"{path}: cannot be read ({_reason(error)})") from error
        if rows == 0:
            raise FileError(f"{path}: has no rows")

    def _refuse_other(self, fragment: Any, wanted: Sequence[str]) -> None:
        """Refuse a file whose columns are not those of the first one."""
        own = fragment.physical_schema
        held = {name for name in wanted if name in own.names}
        first = self.dataset.schema
        parts = set(_partitions(fragment))
        for name in wanted:
            if name in parts:
                continue
            if name not in held:
                raise FileError(f"{fragment.path}: has no column '{name}', which the first file has")
            if not _alike(own.field(name).type, first.field(name).type):
                raise FileError(
                    f"{fragment.path}: column '{name}' is {own.field(name).type}, and "
                    f"{first.field(name).type} in the first file"
                )


def _partitions(fragment: Any) -> dict[str, Any]:
    import pyarrow.dataset as ds

    return ds.get_partition_keys(fragment.partition_expression)


def _alike(a: Any, b: Any) -> bool:
    """Whether two types of columns are the same, both numbers, or the first one has no values at all."""
    import pyarrow as pa

    def number(t: Any) -> bool:
        return pa.types.is_integer(t) or pa.types.is_floating(t)

    def text(t: Any) -> bool:
        t = t.value_type if pa.types.is_dictionary(t) else t
        return pa.types.is_string(t) or pa.types.is_large_string(t)

    return a == b or pa.types.is_null(a) or (number(a) and number(b)) or (text(a) and text(b))


def _scanning(fragment: Any) -> dict[str, Any]:
    """Options of a scan: pages of Parquet are read as they are asked for."""
    import pyarrow.dataset as ds

    if isinstance(fragment, ds.ParquetFileFragment):
        return {
            "fragment_scan_options": ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
        }
    return {}


def _files(found: Any) -> list[str]:
    if isinstance(found, list) or not os.path.isdir(found):
        return found if isinstance(found, list) else [found]
    return sorted(
        os.path.join(at, f) for at, _, fs in os.walk(found) for f in fs if not f.startswith((".", "_"))
    )


def _format(kind: str, found: Any) -> Any:
    """As pyarrow takes it: of CSV with the separator that the first line of the first file has."""
    if kind != "csv":
        return kind
    import pyarrow.csv
    import pyarrow.dataset as ds

    path = _files(found)[0]
    with open(path, encoding="utf-8-sig") as file:
        line = file.readline(FIRST_LINE)
    if len(line) == FIRST_LINE:
        raise FileError(f"{path}: has a first line of more than {FIRST_LINE} characters")
    separator = separator_of(line)
    names_in(line.rstrip("\r\n"), separator, path)
    return ds.CsvFileFormat(parse_options=pyarrow.csv.ParseOptions(delimiter=separator))


def _kind(path: str, found: Any) -> str:
    """The format of files by the ending of their names, which has to be one."""
    endings = {os.path.splitext(file)[1].lower() for file in _files(found)}
    if not endings:
        raise FileError(f"{path}: is a folder without files")
    kinds = {KINDS.get(ending) for ending in endings}
    if len(kinds) != 1 or None in kinds:
        raise FileError(
            f"{path}: holds {', '.join(sorted(endings))}: files of one kind are read, {', '.join(KINDS)}"
        )
    return str(kinds.pop())


def _reason(error: BaseException) -> str:
    return NO_SCHEMA.sub("", " ".join(str(error).split())) or type(error).__name__

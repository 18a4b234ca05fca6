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

BUFFER = 2**16  # bytes of a column that are read together
KINDS = {".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".csv": "csv"}
FIRST_LINE = 2**22  # characters that may name columns
NO_SCHEMA = re.compile(r"Error creating dataset\. Could not read schema from .*\. Is this a '\w+' file\?: ")


@dataclass(frozen=True)
class Files:
    """A dataset of pyarrow, its files in the order of their names.

    Of Parquet the pages are read as they are needed, so that memory is bounded by the batch and not by how
    large a row group was made: a scan of pyarrow's decodes each one whole.
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
        try:
            fragments = sorted(self.dataset.get_fragments(), key=lambda f: f.path)
        except ValueError as error:  # pyarrow gives none of a dataset with a filter
            raise DataError(
                f"{self.name} is filtered or projected, and is read file by file: give it without, or the "
                "LazyFrame of polars that says the same"
            ) from error
        if not fragments:
            raise FileError(f"{self.name}: has no files")
        for fragment in fragments:
            yield from self._of(fragment, wanted, size)

    def _of(self, fragment: Any, wanted: Sequence[str], size: int) -> Iterator[Batch]:
        path, rows = fragment.path, 0
        try:
            self._refuse_other(fragment, wanted)
            pages = hasattr(fragment, "row_groups")
            for made, where in (_pages if pages else _scanned)(fragment, wanted, size, self.dataset.schema):
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
        t = _plain(t)
        return pa.types.is_string(t) or pa.types.is_large_string(t)

    return a == b or pa.types.is_null(a) or (number(a) and number(b)) or (text(a) and text(b))


def _scanned(fragment: Any, wanted: Sequence[str], size: int, schema: Any) -> Iterator[tuple[Any, str]]:
    """Record batches of a file of Arrow or CSV, and where they stand."""
    scan = fragment.to_batches(
        columns=list(wanted), schema=schema, batch_size=size, batch_readahead=0, fragment_readahead=0,
        use_threads=False,
    )  # fmt: skip
    for made in scan:
        yield made, fragment.path


def _pages(fragment: Any, wanted: Sequence[str], size: int, schema: Any) -> Iterator[tuple[Any, str]]:
    """Record batches of a file of Parquet, of the types that the `schema` has, and where they stand."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = _partitions(fragment)
    types = {name: _plain(schema.field(name).type) for name in wanted}
    held = [name for name in wanted if name not in parts]
    groups = [group.id for group in fragment.row_groups]
    with fragment.open() as opened, pq.ParquetFile(opened, buffer_size=BUFFER, pre_buffer=False) as file:
        for group in groups:
            where = fragment.path if len(groups) == 1 else f"{fragment.path}, row group {group + 1}"
            if not held:  # every column is in the names of the folders
                n = file.metadata.row_group(group).num_rows
                found: Any = (pa.RecordBatch.from_arrays([pa.nulls(n)], [""]),)
            else:
                found = file.iter_batches(size, row_groups=[group], columns=held, use_threads=False)
            for made in found:
                columns = {
                    name: pa.repeat(pa.scalar(parts[name], types[name]), made.num_rows)
                    if name in parts
                    else _cast(made.column(name), types[name])
                    for name in wanted
                }
                yield pa.RecordBatch.from_pydict(columns), where


def _cast(column: Any, to: Any) -> Any:
    return column if column.type == to else column.cast(to)


def _plain(kind: Any) -> Any:
    """The type of a column's values, however they are coded."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


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

"""Predictions of files that are read block by block: for each file one of Parquet, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import groupby
from typing import Any

from ..errors import FileError
from ..writing import in_pieces


def predict_stored(model: Any, path: str, out: str | None, table: Callable[[dict], dict[str, Any]]) -> None:
    """Write what `table` says of each block of the files at `path` into the folder `out`."""
    from ..rows.elsewhere import BLOCK
    from ..rows.sources import Files, source_of, told

    if not out:
        raise FileError("predictions of several files need a folder: give --out")
    if os.path.exists(out) and not os.path.isdir(out):
        raise FileError(f"{out}: is no folder, and predictions of several files go into one")
    source = source_of(path)
    if not isinstance(source, Files):
        raise FileError(f"{path}: only files of Parquet, Arrow or CSV can be predicted")
    read = set(getattr(model.design, "variables", None) or model.design.names) | _response(model)
    wanted = [name for name in source.names if name in read]
    try:
        os.makedirs(out, exist_ok=True)
    except OSError as error:
        raise FileError(f"{out}: cannot be made ({error.strerror})") from error
    batches = source.batches(wanted, BLOCK)
    for i, (file, own) in enumerate(groupby(batches, key=lambda b: b.where.rsplit(", row group", 1)[0])):
        stem = os.path.splitext(os.path.basename(file))[0]

        def blocks(own: Any = own) -> Any:
            for batch in own:
                with told(batch.where):
                    yield table(batch.columns)

        _write(os.path.join(out, f"{i:05d}-{stem}.parquet"), blocks())


def _response(model: Any) -> set[str]:
    from ..design.by_formula import reads

    text = getattr(model.design, "text", None)
    return set(reads(text, False)[0]) if text else set(model.responses)


def _write(path: str, blocks: Iterable[dict[str, Any]]) -> None:
    """Blocks of columns into one file of Parquet."""
    import pyarrow
    import pyarrow.parquet

    with in_pieces(path) as file, ExitStack() as stack:
        writer = None
        for made in map(pyarrow.table, blocks):
            if writer is None:
                writer = stack.enter_context(pyarrow.parquet.ParquetWriter(file, made.schema))
            writer.write_table(made.cast(writer.schema))

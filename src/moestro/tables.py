"""A small immutable table: what the base install shows where a frame library may be absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

import numpy as np


def _text(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        size = abs(value)
        if size and (size >= 1e7 or size < 10.0**-digits):
            return f"{value:.{digits - 1}e}"
        return f"{value:.{digits}f}"
    return str(value)


@dataclass(frozen=True)
class Table(Sequence[dict[str, Any]]):
    """Named columns of equal length: ``table["k"]`` is a column, ``table[0]`` a row, ``table[:5]`` a table.

    As a sequence it holds its rows, one dictionary each, so ``pandas.DataFrame(table)`` and
    ``polars.DataFrame(table)`` are its frame. A cell without a value is ``None``, never NaN.

    Parameters
    ----------
    columns : mapping of str to sequence
        Column name to cells, in order.
    """

    columns: Mapping[str, Sequence[Any] | np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Table: ...
    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    def __getitem__(self, index: str | int | slice) -> Any:
        if isinstance(index, str):
            return list(self.columns[index])
        if isinstance(index, slice):
            return Table({name: cells[index] for name, cells in self.columns.items()})
        return {name: cells[index] for name, cells in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a row."""
        return list(self)

    def to_native(self, backend: str = "pandas") -> Any:
        """Return the table as a frame of `backend`: "pandas", "polars" or "pyarrow"."""
        import narwhals as nw

        columns = {c: list(v) for c, v in self.columns.items()}
        return nw.from_dict(columns, backend=cast(Any, backend)).to_native()

    def to_text(self, digits: int = 4) -> str:
        """Return aligned plain text."""
        cells = {name: [_text(v, digits) for v in values] for name, values in self.columns.items()}
        lines = []
        width = {name: max([len(name), *map(len, values)]) for name, values in cells.items()}
        numeric = {
            name: all(v is None or isinstance(v, int | float | np.number) for v in values)
            for name, values in self.columns.items()
        }

        def line(row: Mapping[str, str]) -> str:
            parts = [
                row[name].rjust(width[name]) if numeric[name] else row[name].ljust(width[name])
                for name in cells
            ]
            return "  ".join(parts).rstrip()

        lines.append(line({name: name for name in cells}))
        for i in range(len(self)):
            lines.append(line({name: values[i] for name, values in cells.items()}))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_text(v, 4))}</td>" for v in row.values()) + "</tr>"
            for row in self.rows()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

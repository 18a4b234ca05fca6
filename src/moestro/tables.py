"""A small immutable table: what the base install shows where a frame library may be absent."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

import numpy as np

WIDTH = 100  # columns of text that are printed side by side
LONGEST = 48  # columns of a cell


def clean(text: str) -> str:
    """On one line, whatever is in it: control characters are written as Python writes them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def width_of(text: str) -> int:
    """Columns that it takes on a screen: two for a wide character, none for a combining one."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def shortened(text: str, most: int = LONGEST) -> str:
    """`text` without its middle where it is wider than this."""
    if width_of(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{within(text, half)}…{within(text[::-1], half)[::-1]}"


def within(text: str, most: int) -> str:
    """As much of its beginning as this many columns hold; at least one character."""
    out = ""
    for c in text:
        if out and width_of(out + c) > most:
            break
        out += c
    return out


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
    return shortened(clean(str(value)))


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
        """Return aligned plain text of at most `WIDTH` columns: what is wider continues below, beside the
        leading columns that are no measurements; columns without any text are left out."""
        shown = [
            name for name, values in self.columns.items() if not len(values) or any(v != "" for v in values)
        ]
        heads = [shortened(clean(name)) for name in shown]
        cells = [[_text(v, digits) for v in self.columns[name]] for name in shown]
        left = [
            not all(v is None or isinstance(v, int | float | np.number) for v in self.columns[name])
            for name in shown
        ]
        widths = [max(map(width_of, [head, *column])) for head, column in zip(heads, cells, strict=True)]
        panels: list[list[int]] = [[]]
        for j, width in enumerate(widths):
            if panels[-1] and sum(widths[i] + 2 for i in panels[-1]) + width > WIDTH:
                panels.append(self._keys(shown, widths, WIDTH - width))
            panels[-1].append(j)

        def line(row: Sequence[str], panel: list[int]) -> str:
            spaces = {j: " " * (widths[j] - width_of(row[j])) for j in panel}
            return "  ".join(row[j] + s if left[j] else s + row[j] for j, s in spaces.items()).rstrip()

        rows = [heads, *([column[i] for column in cells] for i in range(len(self)))]
        return "\n\n".join("\n".join(line(row, panel) for row in rows) for panel in panels)

    def _keys(self, shown: Sequence[str], widths: Sequence[int], room: int) -> list[int]:
        """Leading columns without a fraction in them, as many as there is room for; at least the first."""
        out = [0]
        for j, name in enumerate(shown[1:], 1):
            fractions = any(isinstance(v, float | np.floating) for v in self.columns[name])
            if fractions or sum(widths[i] + 2 for i in range(j + 1)) > room:
                break
            out.append(j)
        return out if len(out) < len(shown) else [0]

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

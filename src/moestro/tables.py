"""A small immutable table: what the base install shows where a frame library may be absent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, cast, overload

import numpy as np

WIDTH = 100  # columns of text that are printed side by side
LONGEST = 48  # columns of a cell
NUMBER = re.compile(r"(-?)(\d+(?:\.\d+)?)(?:e([+-]\d+))?")
LATEX = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": r"{[}", "]": r"{]}",
    "²": r"\textsuperscript{2}",
}  # fmt: skip


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


def _text(value: Any, digits: int, most: int | None = LONGEST) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        size = abs(value)
        if size and (size >= 1e7 or size < 10.0**-digits):
            return f"{value:.{digits - 1}e}"
        return f"{value:.{digits}f}"
    text = clean(str(value))
    return text if most is None else shortened(text, most)


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

    def to_frame(self, backend: str = "pandas") -> Any:
        """Return the table as a frame of `backend`: "pandas", "polars" or "pyarrow"."""
        import narwhals as nw

        columns = {c: list(v) for c, v in self.columns.items()}
        return nw.from_dict(columns, backend=cast(Any, backend)).to_native()

    to_native = to_frame  # the name that narwhals has for it

    def to_text(self, digits: int = 4) -> str:
        """Return aligned plain text of at most `WIDTH` columns: what is wider continues below, beside the
        leading columns that are no measurements; columns without any text are left out."""
        shown = self._shown()
        heads = [shortened(clean(name)) for name in shown]
        cells = [[_text(v, digits) for v in self.columns[name]] for name in shown]
        left = self._left(shown)
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

    def _shown(self) -> list[str]:
        """Columns that have more than empty text."""
        return [
            name for name, values in self.columns.items() if not len(values) or any(v != "" for v in values)
        ]

    def _left(self, shown: Sequence[str]) -> list[bool]:
        """Which of the columns are not numbers."""
        return [
            not all(v is None or isinstance(v, int | float | np.number) for v in self.columns[name])
            for name in shown
        ]

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

    # For papers, pages and notebooks: cells as in the text, whole, and every mark of the language escaped.

    def to_markdown(self, digits: int = 4) -> str:
        """Return a table of GitHub's Markdown."""
        heads, cells, left = self._written(digits, markdown)
        ruler = [":--" if side else "--:" for side in left]
        return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ruler, *cells))

    def to_latex(self, digits: int = 4) -> str:
        """Return a tabular of LaTeX, with the rules of the package booktabs."""
        heads, cells, left = self._written(digits, latex)
        lines = ["\\toprule", _row(heads), "\\midrule", *map(_row, cells), "\\bottomrule"]
        sides = "".join("l" if side else "r" for side in left)
        return "\n".join([f"\\begin{{tabular}}{{{sides}}}", *lines, "\\end{tabular}"])

    def to_html(self, digits: int = 4, caption: str = "") -> str:
        """Return a table of HTML whose cells a screen reader can name: heads have a scope, the first column
        heads the rows."""
        heads, cells, left = self._written(digits, escape)
        style = ["" if side else ' style="text-align:right"' for side in left]
        head = "".join(f'<th scope="col"{a}>{text}</th>' for text, a in zip(heads, style, strict=True))
        body = ""
        for row in cells:
            marks = ['th scope="row"', *["td"] * (len(row) - 1)]
            parts = zip(marks, style, row, strict=True)
            body += "<tr>" + "".join(f"<{m}{a}>{text}</{m[:2]}>" for m, a, text in parts) + "</tr>\n"
        title = f"<caption>{escape(clean(caption))}</caption>" if caption else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _written(
        self, digits: int, write: Callable[[str], str]
    ) -> tuple[list[str], list[list[str]], list[bool]]:
        """Heads, rows of cells, and which columns are text: as `to_text`, with p values as in papers."""
        shown = self._shown()
        heads = [write(clean(name)) for name in shown]

        def cell(name: str, value: Any) -> str:
            if name == "p" and isinstance(value, float) and value == value:
                return write(p_cell(value))
            return write(_text(value, digits, most=None))

        columns = [[cell(name, v) for v in self.columns[name]] for name in shown]
        return heads, [[column[i] for column in columns] for i in range(len(self))], self._left(shown)


def p_cell(p: float | None) -> str:
    """A p value: "0.123" or "<0.001"."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$&])", r"\\\1", text)


def latex(text: str) -> str:
    """Text that LaTeX shows as it is; numbers with a proper minus and power of ten."""
    found = NUMBER.fullmatch(text)
    if found:
        power = f" \\times 10^{{{int(found[3])}}}" if found[3] else ""
        return f"${found[1]}{found[2]}{power}$" if found[1] or power else text
    return "".join(LATEX.get(c, c) for c in text)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"

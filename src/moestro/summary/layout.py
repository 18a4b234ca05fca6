"""Text of at most a hundred columns: cells, aligned columns, labelled paragraphs; names of any length."""

from __future__ import annotations

from collections.abc import Sequence

from ..tables import WIDTH, clean, shortened, width_of, within

HEAD = 16  # columns of a paragraph's label
LARGE, SMALL = 1e7, 1e-3  # outside of which a number is written in powers of ten


def number(value: float | None, digits: int = 4) -> str:
    """With this many decimals, or in powers of ten; a dash where there is none."""
    if value is None:
        return "-"
    if value and not SMALL <= abs(value) < LARGE:
        return f"{value:.{max(digits - 1, 1)}e}"
    return f"{value:.{digits}f}"


def short(name: object) -> str:
    """A name as it stands in a sentence: on one line, and no longer than a cell."""
    return shortened(clean(str(name)))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most this many columns, cut at spaces where there are any."""
    lines = [""]
    for word in clean(text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(joined) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        while width_of(word) > width:
            lines[-1] = within(word, width)
            word = word[len(lines[-1]) :]
            lines.append("")
        lines[-1] = word
    return [line.rstrip() for line in lines]


def paragraph(label: str, text: str) -> list[str]:
    """A label and its text, wrapped beside it."""
    first, *others = wrap(text, WIDTH - HEAD)
    return [f"{label:<{HEAD}}{first}".rstrip(), *(" " * HEAD + line for line in others)]


def wrapped(text: str, indent: str = "") -> list[str]:
    """A paragraph; all lines but the first are indented."""
    first, *others = wrap(text, WIDTH - len(indent))
    return [first, *(indent + line for line in others)]


def heading(text: str, line: str = "-") -> list[str]:
    """A title and the line below it."""
    lines = wrapped(text)
    return [*lines, line * max(map(width_of, lines))]


def columns(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Labels to the left, cells to the right of their columns; a row without cells is a heading.

    A label that leaves too little room stands on a line of its own.
    """
    with_cells = [cells for _, cells in rows if cells]
    widths = [max(width_of(cell) for cell in column) for column in zip(head, *with_cells, strict=True)]
    room = WIDTH - sum(widths) - 2 * len(widths)
    labels = [(shortened(clean(label), WIDTH), cells) for label, cells in rows]
    first = max([0, *(w for label, cells in labels if cells and (w := width_of(label)) <= room)])

    def line(label: str, cells: Sequence[str]) -> str:
        padded = (" " * (w - width_of(cell)) + cell for cell, w in zip(cells, widths, strict=True))
        return "  ".join([label + " " * (first - width_of(label)), *padded]).rstrip()

    out = [line("", head)]
    for label, cells in labels:
        if cells and width_of(label) <= room:
            out.append(line(label, cells))
            continue
        out.append(label)
        if cells:
            out.append(line("", cells))
    return out

"""The parts of a summary, for those who lay them out: a notebook and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ..inference.estimates import critical, interval_of_share
from ..tables import Table, clean
from .blocks import LEVEL
from .coefficients import coefficients
from .doubts import doubts
from .text import ERRORS, FILES, facts, shares

COLUMNS = ("component", "outcome", "term", "estimate", "std_error", "z", "p", "low", "high", "note")
HEADS = {"component": "expert", "std_error": "std. error"}  # where a column is called otherwise


@dataclass(frozen=True)
class Parts:
    """A fit in pieces.

    Attributes
    ----------
    title : str
    doubts : list of str
        What to know before anything is read, the gravest first.
    facts : list of (str, str)
        Labels and texts.
    shares : Table or None
        One row an expert; None of one expert.
    coefficients : list of (str, Table, str)
        Gate and experts: a title, one row a coefficient, and what was left out.
    words : list of str
        One sentence an expert.
    """

    title: str
    doubts: list[str]
    facts: list[tuple[str, str]]
    shares: Table | None
    coefficients: list[tuple[str, Table, str]]
    words: list[str]

    def to_html(self) -> str:
        """As a notebook shows it: no styles but its own tables', no scripts."""
        out = [f"<h4>{_safe(self.title)}</h4>"]
        out += [f'<p role="note"><strong>Warning:</strong> {_safe(text)}</p>' for text in self.doubts]
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{_safe(label)}</th>'
            f'<td style="text-align:left">{_safe(text)}</td></tr>'
            for label, text in self.facts
        )
        out.append(f"<table>{rows}</table>")
        if self.shares is not None:
            out.append(self.shares.to_html(caption="Shares"))
        for title, table, left_out in self.coefficients:
            out.append(table.to_html(caption=title))
            out += [f"<p>{_safe(left_out)}</p>"] if left_out else []
        items = "".join(f"<li>{_safe(sentence)}</li>" for sentence in self.words)
        return "\n".join([*out, f"<ul>{items}</ul>"])


def parts_of(
    model: Any, covariance: Any = None, *, without: str = "", more: Sequence[tuple[str, str]] = ()
) -> Parts:
    """Of a fitted model, as `summary_text` prints it; words as there."""
    words, estimates = FILES[type(model)], model.estimates(covariance)
    told = [*facts(model), *more]
    if covariance is not None:
        told.append(("Std. errors", str(ERRORS.get(covariance.kind, covariance.kind))))
    elif without:
        told.append(("Std. errors", f"none: {without}"))
    found = []
    for part, title in (("gate", words.gate_title(model)), ("expert", words.expert_title(model))):
        chosen, left_out = words.shown(estimates, part, covariance is not None)
        if chosen:
            found.append((title, _chosen(coefficients(estimates, LEVEL), chosen), left_out))
    return Parts(
        words.title(model), doubts(model, estimates, covariance), told,
        _shares(shares(model, covariance, estimates)), found, words.words(model),
    )  # fmt: skip


def _chosen(table: Table, rows: Sequence[int]) -> Table:
    """These rows; what they are called first, then their numbers."""
    there = {n: HEADS.get(n, n) for n in COLUMNS if n in table.columns}
    cells = {head: [table.columns[n][i] for i in rows] for n, head in there.items()}
    return Table({head: c for head, c in cells.items() if any(v not in (None, "") for v in c)})


def _shares(found: tuple[np.ndarray, np.ndarray | None] | None) -> Table | None:
    if found is None:
        return None
    values, errors = found
    rows: dict[str, list[Any]] = {"expert": [], "share": [], "std. error": [], "low": [], "high": []}
    for e, s in enumerate(values.tolist()):
        se = np.nan if errors is None else float(errors[e])
        usable = bool(np.isfinite(se)) and 0 < s < 1
        ends = interval_of_share(s, se, critical(LEVEL)) if usable else (None, None)
        for cell, column in zip((e + 1, s, se if usable else None, *ends), rows.values(), strict=True):
            column.append(cell)
    return Table({n: c for n, c in rows.items() if any(v is not None for v in c)})


def _safe(text: object) -> str:
    return escape(clean(str(text)))

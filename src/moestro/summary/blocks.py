"""The coefficient tables of a summary: shares, the gate, each expert."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ..inference import Estimates
from ..inference.estimates import SHARE, Term, critical, interval_of_share
from ..tables import p_cell
from .layout import columns, number, short

LEVEL = 0.95
HEAD = ("estimate", "std. error", "z", "p", "[95%", "interval]")
CATEGORY = re.compile(r"(?P<factor>[^\[\]]+)\[(?:T\.)?(?P<level>[^\[\]]*)\]")
Row = tuple[str, Sequence[str]]


def share_block(values: np.ndarray, errors: np.ndarray | None) -> list[str]:
    """Shares (k,) of the experts, with their standard errors, NaN where there is none."""
    if errors is None or not np.isfinite(errors).any():
        return columns(("share",), [(f"expert {e + 1}", (number(s),)) for e, s in enumerate(values)])
    rows: list[Row] = []
    for e, (s, se) in enumerate(zip(values.tolist(), errors.tolist(), strict=True)):
        usable = np.isfinite(se) and 0 < s < 1
        low, high = interval_of_share(s, se, critical(LEVEL)) if usable else (None, None)
        cells = (number(s), number(se if usable else None), number(low), number(high))
        rows.append((f"expert {e + 1}", cells))
    return columns(("share", "std. error", "[95%", "interval]"), rows)


def shares_of(estimates: Estimates) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Shares that are parameters, and their standard errors."""
    at = [i for i, t in enumerate(estimates.terms) if t.kind == SHARE]
    if not at:
        return None
    if estimates.matrix is None:
        return estimates.values[at], None
    known = np.array([not estimates.notes[i] for i in at])
    return estimates.values[at], np.where(known, np.sqrt(np.diag(estimates.matrix)[at]), np.nan)


def coefficient_block(estimates: Estimates, chosen: Sequence[int], shared: Sequence[str] = ()) -> list[str]:
    """One table of the parameters `chosen`, those of an expert and an outcome together; `shared` terms belong
    to all experts."""
    numbers, notes = ({}, list(estimates.notes)) if estimates.matrix is None else estimates.numbers(LEVEL)
    cells = {
        i: _cells(float(estimates.values[i]), {n: c[i] for n, c in numbers.items()}, notes[i]) for i in chosen
    }
    if not numbers:
        shown = [0, 1] if any(notes[i] for i in chosen) else [0]
    else:
        shown = [0, 1, 2, 3, 4, 5] if any(numbers["z"][i] is not None for i in chosen) else [0, 1, 4, 5]
    head = HEAD if numbers else ("estimate", "")
    outcomes = list(dict.fromkeys(estimates.terms[i].outcome for i in chosen))

    def key(i: int) -> tuple[bool, int, int]:
        t = estimates.terms[i]
        common = t.part == "gate" and t.term in shared
        return common, 0 if common else t.component, outcomes.index(t.outcome)

    rows: list[Row] = []
    for (common, e, outcome), members in groupby(sorted(chosen, key=key), key):
        title = f"expert {e + 1}" + (f": {short(outcomes[outcome])}" if outcomes[outcome] else "")
        rows.append(("all experts" if common else title, ()))
        rows += _grouped([(estimates.terms[i], [cells[i][j] for j in shown]) for i in members])
    return columns([head[j] for j in shown], rows)


def _cells(value: float, numbers: dict[str, float | None], note: str) -> tuple[str, ...]:
    if note:
        return (number(value), note, "", "", "", "")
    z = numbers.get("z")
    test = ("", "") if z is None else (f"{z:.2f}".replace("-0.00", "0.00"), p_cell(numbers["p"]))
    se, low, high = (number(numbers.get(n)) for n in ("std_error", "low", "high"))
    return number(value), se, *test, low, high


def _grouped(members: Sequence[tuple[Term, Sequence[str]]]) -> list[Row]:
    """Labels of an expert's parameters; the levels of a category stand below its name."""
    rows: list[Row] = []

    def factor(member: tuple[Term, Sequence[str]]) -> str:
        found = CATEGORY.fullmatch(member[0].term)
        return found["factor"] if found else ""

    for name, run in groupby(members, factor):
        levels = list(run)
        together = bool(name) and len(levels) > 1
        if together:
            rows.append((f"  {name}", ()))
        for term, cells in levels:
            found = CATEGORY.fullmatch(term.term)
            rows.append((f"    {found['level']}" if together and found else f"  {term.term}", cells))
    return rows

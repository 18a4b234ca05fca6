"""What a report says of the fit, in the order in which a reader asks."""

from __future__ import annotations

import platform
import re
from typing import Any

import numpy as np

from ..errors import DataError
from ..fitted import named_columns
from ..inference.classification import profile_means
from ..plots import (
    CriteriaDisplay,
    DendrogramDisplay,
    ForestDisplay,
    JumpDisplay,
    PathDisplay,
    ProfileDisplay,
    SearchDisplay,
    SlopeDisplay,
)
from ..selection import CRITERIA, DDSE, Djump
from ..solvers import Status, StatusKind
from ..summary.sweep import HEADS
from ..tables import Table
from .looks import diagnostics, gate, predictions
from .material import Material
from .page import Block, Section

ROWS = 20  # of a table of candidates
SAID = {**HEADS, "ebic": "EBIC"}  # heads of its columns


def sections(r: Material) -> list[Section]:
    """Everything, with an empty section for the explorer before the last."""
    written = [
        doubts(r), fitted(r), how_many(r), search(r), experts(r), coefficients(r), gate(r), predictions(r),
        diagnostics(r), Section("Try it", "explorer"), again(r),
    ]  # fmt: skip
    return [s for s in written if s.rows or s.name == "explorer"]


def doubts(r: Material) -> Section:
    """What cannot be trusted."""
    out = Section("What cannot be trusted", "doubts")
    for text in r.parts.doubts:
        out.add(Block("warning", f"{text}."))
    small = [
        f"expert {e + 1} has {f'{m:.1f}' if m >= 0.05 else 'none'}"
        for e, m in enumerate(r.rows.w @ r.rows.r)
        if m < 10
    ]
    if small and r.model.fit.k > 1:
        out.add(Block("warning", f"Few rows: of the rows of this page {' and '.join(small)}."))
    if not out.rows:
        told = "Nothing that the fit itself shows: it converged"
        if r.covariance is not None:
            told += ", and its parameters are identified"
        out.add(Block("text", f"{told}. Whether the model is right for the question is not in the data."))
    return out


def fitted(r: Material) -> Section:
    """What was fitted, on what."""
    out = Section("What was fitted, on what", "fitted")
    design = r.model.design
    facts = [("Model", r.parts.title)]
    if getattr(design, "text", ""):
        facts.append(("Formula", design.text))
    else:
        facts.append(("Experts' columns", ", ".join(design.expert_names) or "none"))
        facts.append(("Gate's columns", ", ".join(design.gate_names) or "none"))
    told = [(name, re.sub(r" {2,}", ", ", text)) for name, text in r.parts.facts]  # a page closes gaps up
    out.add(Block("facts", [*facts, *told]))
    return out


def how_many(r: Material) -> Section:
    """How many experts, and why."""
    out = Section("How many experts, and why", "how-many")
    table, k = r.selection, r.model.fit.k
    if len(table) < 2:
        told = f"The number of experts, {k}, was given: no other was tried."
        out.add(Block("text", told))
    else:
        out.add(Block("text", _chosen(table, k)))
        figure = None
        if "k" in table.columns and len(set(table["k"])) > 1 and set(CRITERIA) & set(table.columns):
            figure = r.figure(
                lambda: CriteriaDisplay(table), "Criteria by the number of experts; smaller is better."
            )
        out.add(_candidates(table))
        out.add(figure)
    for choice in r.choices:
        kind = {Djump: JumpDisplay, DDSE: SlopeDisplay}.get(type(choice), DendrogramDisplay)
        if hasattr(choice, "sizes"):
            if len(choice.alphas) < 2:
                continue  # one strength was given: there is no path
            out.add(r.figure(lambda c=choice: PathDisplay.of(c), "Slopes along the path of penalties."))
        else:
            out.add(r.figure(lambda c=choice, d=kind: d(c), "What chose the number of experts."))
    return out


def _chosen(table: Table, k: int) -> str:
    """What was chosen, and by what: the criteria that are smallest there."""
    at = table["chosen"].index(True) if "chosen" in table.columns and True in table["chosen"] else None
    if "alpha" in table.columns:
        what = "" if at is None else f", {table['alpha'][at]:.4g},"
        told = f"{len(table)} strengths of the penalty were tried, and one{what} was chosen"
    else:
        told = f"{len(table)} candidates were tried, and one with {k} expert{'s' if k > 1 else ''} was chosen"
    best = [
        SAID[name]
        for name in (*CRITERIA, "ebic")
        if at is not None and name in table.columns and _smallest(table[name]) == at
    ]
    if len(best) < 2:
        return f"{told}: {best[0]} is smallest there." if best else f"{told}."
    return f"{told}: {', '.join(best[:-1])} and {best[-1]} are smallest there."


def _smallest(cells: list[Any]) -> int | None:
    """The place of the smallest number."""
    known = [(v, i) for i, v in enumerate(cells) if v is not None]
    return min(known)[1] if known else None


def _candidates(table: Table) -> Block:
    """All candidates, or so many of them as are read, evenly spread; the chosen one is among them."""
    n = len(table)
    chosen = [bool(c) for c in table["chosen"]] if "chosen" in table.columns else [False] * n
    kept = [i for i in range(n) if n <= ROWS or not i % -(-n // ROWS) or chosen[i]]
    marks = {"choice": ["chosen" if chosen[i] else "" for i in kept]} if any(chosen) else {}
    cells = {
        SAID.get(name, name): [c[i] for i in kept] for name, c in table.columns.items() if name != "chosen"
    }
    caption = "All candidates" if len(kept) == n else f"{len(kept)} of the {n} candidates"
    return Block("table", Table({**marks, **cells}), caption, 4 if "alpha" in table.columns else 2)


def search(r: Material) -> Section:
    """How sure the search is, and how the fit ended."""
    out = Section("How sure the search is, and how the fit ended", "search")
    fit = r.model.fit
    out.add(Block("text", f"The fit {_ended(fit.status)}"))
    if fit.evidence is not None and fit.k > 1:
        out.add(Block("text", f"Search: {fit.evidence}."))
        caption = "Where every run of the search ended, against the iterations spent by then."
        out.add(r.figure(lambda: SearchDisplay.of(r.model, ""), caption))
    return out


def experts(r: Material) -> Section:
    """Who the experts are."""
    out = Section("Who the experts are", "experts")
    out.add(Block("list", r.parts.words))
    posterior, rows = r.rows.r, r.rows
    columns = named_columns(r.model, rows.x, rows.z, rows.y)
    profiles = profile_means(posterior, rows.w, columns)
    k = r.model.fit.k
    variables = list(columns)
    means = np.reshape(profiles["mean"], (k, -1))
    share = (rows.w @ posterior / rows.w.sum()).tolist()
    table = {"": ["share", *variables]} | {
        f"expert {e + 1}": [share[e], *means[e].tolist()] for e in range(k)
    }
    caption = "Share, and means of the columns and of the response, weighted by the posterior"
    figure = None
    if k > 1:
        height = min(1.6 + 0.35 * len(variables), 9.0)
        figure = r.figure(
            lambda: ProfileDisplay.of(profiles, rows),
            "Means by expert, with 95% intervals, in standard deviations from the mean of all rows.",
            (5.6, height),
        )
    out.add(Block("table", Table(table), caption), figure)
    if r.parts.shares is not None:
        errors = " with standard errors and 95% intervals" if "low" in r.parts.shares.columns else ""
        out.add(Block("table", r.parts.shares, f"Shares{errors}"))
    return out


def coefficients(r: Material) -> Section:
    """Coefficients, with intervals as a forest beside the table."""
    out = Section("Coefficients", "coefficients")
    estimates = r.model.estimates(r.covariance)
    names = {"expert": "experts", "gate": "gate"}
    for title, table, left_out in reversed(r.parts.coefficients):
        part = "gate" if title.startswith("Gate") else "expert"
        figure = None
        if any(t.part == part for t in estimates.terms):
            try:
                display = ForestDisplay.of(r.model, estimates, part)
            except DataError:
                display = None
            if display is not None:
                height = min(1.6 + 0.3 * len(display.terms) * (0.6 + 0.2 * r.model.fit.k), 11.0)
                caption = (
                    f"Slopes of the {names[part]} per {display.unit.removeprefix('a ')}, with 95% intervals."
                )
                figure = r.figure(lambda d=display: d, caption, (5.6, height))
        out.add(Block("table", table, title), figure)
        out.add(Block("text", left_out) if left_out else None)
    return out


def again(r: Material) -> Section:
    """How to reproduce it."""
    import scipy
    import sklearn

    from .. import __version__

    out = Section("How to reproduce this", "again")
    sample = r.model.sample
    facts = [
        ("moestro", __version__),
        ("Python", platform.python_version()),
        ("NumPy", np.__version__),
        ("SciPy", scipy.__version__),
        ("scikit-learn", sklearn.__version__),
    ]
    if sample is not None:
        facts.append(("Digest of rows", sample.digest))
    out.add(Block("code", r.call, "The fit"))
    out.add(Block("facts", facts))
    return out


def _ended(status: Status) -> str:
    """How a fit ended, as the end of a sentence."""
    if status.kind == StatusKind.CONVERGED:
        return f"converged: {status.sentence}."
    return f"ended with the status \u201c{status.kind}\u201d: {status.sentence}."

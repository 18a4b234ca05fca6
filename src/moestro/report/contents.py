"""What a report says of the fit, in the order in which a reader asks."""

from __future__ import annotations

import platform

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

ROWS = 40  # of a table of candidates


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
        f"expert {e + 1} has {m:.1f}" for e, m in enumerate(r.rows.w @ r.rows.r) if m < 10
    ]  # fmt: skip
    if small and r.model.fit.k > 1:
        out.add(Block("warning", f"Few rows: of the rows of this page {' and '.join(small)}."))
    if not out.rows:
        out.add(
            Block(
                "text",
                "Nothing that the fit itself shows: it converged, its parameters are identified, and its "
                "optimum was found again. That the model is right for the question is not in the data.",
            )
        )
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
    out.add(Block("facts", [*facts, *r.parts.facts]))
    return out


def how_many(r: Material) -> Section:
    """How many experts, and why."""
    out = Section("How many experts, and why", "how-many")
    table, k = r.selection, r.model.fit.k
    if len(table) < 2:
        told = f"The number of experts, {k}, was given: no other was tried."
        out.add(Block("text", told))
    else:
        told = f"Of {len(table)} candidates the one with {k} expert{'s' if k > 1 else ''} was chosen."
        out.add(Block("text", told))
        marks = (
            {"choice": ["chosen" if c else "" for c in table["chosen"]]} if "chosen" in table.columns else {}
        )
        cells = {HEADS.get(n, n): c for n, c in table.columns.items() if n != "chosen"}
        figure = None
        if "k" in table.columns and len(set(table["k"])) > 1 and set(CRITERIA) & set(table.columns):
            figure = r.figure(
                lambda: CriteriaDisplay(table), "Criteria by the number of experts; smaller is better."
            )
        out.add(Block("table", Table({**marks, **cells})[:ROWS], "All candidates", 2))
        out.add(figure)
    for choice in r.choices:
        kind = {Djump: JumpDisplay, DDSE: SlopeDisplay}.get(type(choice), DendrogramDisplay)
        if hasattr(choice, "sizes"):
            out.add(r.figure(lambda c=choice: PathDisplay.of(c), "Slopes along the path of penalties."))
        else:
            out.add(r.figure(lambda c=choice, d=kind: d(c), "What chose the number of experts."))
    return out


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
        out.add(Block("table", r.parts.shares, "Shares with standard errors and 95% intervals"))
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
        ("Python", f"{platform.python_version()} with NumPy {np.__version__}, SciPy {scipy.__version__}, scikit-learn {sklearn.__version__}"),
    ]  # fmt: skip
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

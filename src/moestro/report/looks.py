"""What a report shows of the rows: the gate, the predictions, the diagnostics."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..inference.classification import classify
from ..plots import (
    CalibrationDisplay,
    FanDisplay,
    FitDisplay,
    GateDisplay,
    GateMapDisplay,
    PosteriorDisplay,
    ResidualDisplay,
)
from ..plots.data import Rows
from ..plots.lines import ranked
from ..tables import Table
from .material import Material
from .page import Block, Section

SHOWN = 4  # outcomes with a picture of their own


def gate(r: Material) -> Section:
    """Where each expert rules."""
    out = Section("Where each expert rules", "gate")
    found = ranked(r.model, "gate") if r.model.fit.k > 1 else []
    if len(found) > 1:
        over = f"The gate over {found[0]} and {found[1]}, all others at their average"
        caption = f"{over}; rows in the colour of their expert."
        out.add(r.figure(lambda: GateMapDisplay.of(r.model, r.rows), caption, (5.6, 4.6)))
    elif found:
        caption = f"Weights of the experts along {found[0]}."
        out.add(r.figure(lambda: GateDisplay.of(r.model, found[0], r.rows.ends(r.model, found[0])), caption))
    elif r.model.fit.k > 1:
        out.add(Block("text", "The gate has no columns: the weights are the same everywhere."))
    return out


def predictions(r: Material) -> Section:
    """What each expert predicts."""
    out = Section("What each expert predicts", "predictions")
    if not ranked(r.model, "experts"):
        out.add(Block("text", "The experts have no columns: each predicts one law everywhere."))
        return out
    outcomes = list(r.model.classes or r.model.responses)
    told = "over the data, each row in the colours of the experts that it probably has"
    pictures = [
        r.figure(
            lambda o=o: FitDisplay.of(r.model, r.rows, outcome=o),
            f"{o}: what each expert predicts, {told}.",
        )
        for o in outcomes[:SHOWN]
    ]
    fans = [None] if r.model.classes else outcomes[:SHOWN]
    pictures += [
        r.figure(
            lambda o=o: FanDisplay.of(r.model, r.rows, outcome=o),
            f"{o or r.model.responses[0]}: the whole prediction, other columns at their average.",
        )
        for o in fans
    ]
    for i in range(0, len(pictures), 2):
        out.add(*pictures[i : i + 2])
    return out


def diagnostics(r: Material) -> Section:
    """Residuals, calibration, posteriors, classes."""
    out = Section("Diagnostics", "diagnostics")
    responses = list(r.model.responses)
    for j, name in enumerate(responses[:SHOWN]):
        of = f"{name}: " if len(responses) > 1 else ""
        pair = [
            r.figure(lambda j=j, kind=kind: ResidualDisplay.of(r.model, r.rows, kind, 0, j), of + told)
            for kind, told in (
                (
                    "qq",
                    "Quantile residuals against the normal law that they have where the model is right.",
                ),
                ("worm", "The same, less that law: a worm inside the band is a good fit."),
            )
        ]
        out.add(*pair)
        caption = (
            "Observed shares against predicted probabilities."
            if r.model.classes
            else "Share of the rows inside central intervals."
        )
        calibration = r.figure(lambda j=j: CalibrationDisplay.of(r.model, r.rows, 0, j), of + caption)
        posterior = None
        if j == 0 and r.model.fit.k > 1:
            posterior = r.figure(
                lambda: PosteriorDisplay.of(r.rows),
                "Posteriors of the experts: mass at zero and one is a clear classification.",
            )
        out.add(calibration, posterior)
    if r.model.fit.k > 1:
        shares = r.rows.w @ r.rows.r / r.rows.w.sum()
        found = classify(r.rows.r, r.rows.w, shares, [None] * r.model.fit.k, 0.95)
        out.add(
            Block(
                "text",
                f"Entropy R² {found.entropy_r2:.3f}: one where every row is certain of its expert, "
                "zero where none is.",
            )
        )
        table = {n: c for n, c in found.shares.columns.items() if any(v is not None for v in c)}
        table = {n.replace("_", " "): c for n, c in table.items()}
        posteriors = {
            re.sub(r"posterior\((\d+)\)", r"expert \1", n): c for n, c in found.posteriors.columns.items()
        }
        out.add(
            Block("table", Table(posteriors), "Average posterior by assigned expert", 3),
            Block("table", Table(table), "Classification by expert", 3),
        )
    if r.model.classes:
        out.add(
            Block(
                "table",
                _confusion(r.model, r.rows),
                "Classes: observed in rows, predicted in columns",
                0,
            )
        )
    return out


def _confusion(model: Any, rows: Rows) -> Table:
    """Weights of the rows by observed class and most probable one."""
    proba = model.mean(rows.x, rows.z)
    top, y = np.argmax(proba, axis=1), rows.y.astype(int)
    counts = np.zeros((len(model.classes),) * 2)
    np.add.at(counts, (y, top), rows.w)
    cells = {str(c): [float(v) for v in counts[:, j]] for j, c in enumerate(model.classes)}
    names = [str(c) for c in model.classes]
    hit = [float(counts[j, j] / max(counts[j].sum(), 1e-300)) for j in range(len(names))]
    return Table(
        {
            "observed": names,
            **{f"predicted {n}": c for n, c in cells.items()},
            "right": [f"{h:.0%}" for h in hit],
        }
    )

"""From rows on disk to a page: slopes with intervals, our number next to the published one, a figure, a small
CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..reading import described_by
from ..tables import Table
from ..writing import check_target, write
from .claims import claims_table, means_table
from .design import Row, Study
from .figures import draw
from .lines import Line, lines_of
from .registry import find_study
from .runner import LINES, read_design, read_rows

CLAIMS = (
    "Differences within a replicate: mean, 95 % interval and two-sided p of Student's t for a difference "
    "equal to the margin. Primary claims were named before the runs and are answered by p itself; the others "
    "by p adjusted among them (Holm). A claim holds, or does not, where that is at most 0.05."
)
PAGE, FIGURE, SUMMARY = "report.md", "figure.png", "summary.csv"
ENDED = {
    "converged",
    "closed form",
    "flat",
    "separated",
    "variance collapsed",
    "imprecise",
    "thin expert",
    "trained",
}  # statuses that a further iteration does not change


def slopes_table(study: Study, lines: list[Line], protocol: str) -> Table:
    """Our slopes next to the published ones and to what theory says; a gap only where the protocol is the
    published one."""
    published = [study.published.get((line.arm, line.column)) for line in lines]

    def within(line: Line, known: Any) -> str | None:
        if protocol != "as_published" or known is None or known.tolerance is None:
            return None
        gap = abs(line.mean.exponent - known.exponent)
        return f"{gap:.3f} {'<=' if gap <= known.tolerance else '>'} {known.tolerance}"

    return Table(
        {
            "arm": [line.arm for line in lines],
            "column": [line.column for line in lines],
            "slope of mean": [line.mean.exponent for line in lines],
            "low": [line.mean.low for line in lines],
            "high": [line.mean.high for line in lines],
            "slope of median": [line.median.exponent for line in lines],
            "median low": [line.median.low for line in lines],
            "median high": [line.median.high for line in lines],
            "constant": [line.mean.constant for line in lines],
            "published": [None if p is None else p.exponent for p in published],
            "gap": [within(line, p) for line, p in zip(lines, published, strict=True)],
            "theory": [study.lines[line.column] for line in lines],
        }
    )


def endings_table(rows: list[Row], arms: Sequence[str]) -> Table:
    """How the fits ended, and what they cost."""
    parts: dict[str, list[Any]] = {
        "arm": [], "fits": [], "ended": [], "median iterations": [], "most iterations": [],
        "largest gradient": [], "statuses": [], "seconds of all fits": [],
    }  # fmt: skip
    for arm in arms:
        own = [r for r in rows if r["arm"] == arm]
        if not own:
            continue
        statuses = Counter(str(r["status"]) for r in own)
        iterations = [float(r["iterations"] or 0) for r in own]
        gradients = [float(r["gradient"]) for r in own if r.get("gradient") is not None]
        parts["arm"].append(arm)
        parts["fits"].append(len(own))
        parts["ended"].append(sum(count for name, count in statuses.items() if name in ENDED))
        parts["median iterations"].append(int(np.median(iterations)))
        parts["most iterations"].append(int(max(iterations)))
        parts["largest gradient"].append(max(gradients) if gradients else None)
        parts["statuses"].append(", ".join(f"{name} {count}" for name, count in statuses.most_common()))
        parts["seconds of all fits"].append(round(sum(float(r.get("seconds") or 0) for r in own), 1))
    return Table(parts)


def write_report(name: str, folder: Path) -> str:
    """Write the page, the figure and the summary into `folder`; returns the page."""
    study, design = find_study(name), read_design(folder)
    if design.get("study") != name:
        raise FileError(f"{folder}: holds results of {design.get('study')!r}, not of {name!r}")
    rows = read_rows(folder)
    if not rows:
        raise FileError(f"{folder}: has no finished fit yet")
    arms = [a["name"] for a in design["arms"]]
    stray = next((row["arm"] for row in rows if row["arm"] not in arms), None)
    if stray is not None:
        raise FileError(f"{folder / LINES}: has a fit of arm {stray!r}, which the design has not")
    for file in (SUMMARY, PAGE, FIGURE):  # all three or none
        check_target(folder / file)
    with described_by(str(folder / LINES)):
        lines = lines_of(study, rows, arms)
        page, summary = _page(study, design, rows, lines, arms), _summary(rows, study, arms)
    write(folder / SUMMARY, summary)
    write(folder / PAGE, page)
    draw(study, lines, rows, arms, folder / FIGURE)
    return page


def _page(study: Study, design: dict[str, Any], rows: list[Row], lines: list[Line], arms: list[str]) -> str:
    total = sum(len(a["sizes"]) * a["replicates"] for a in design["arms"])
    picture = f"![{study.title}]({FIGURE})"
    parts = [
        f"# {study.title}: {design['protocol'].replace('_', ' ')}",
        *([study.lead(rows), picture] if study.lead is not None else []),
        f"{study.paper}. {len(rows)} of {total} fits. Version {design['version']}, design "
        f"`{design['digest']}`.",
        f"```sh\n{command_of(study, design)}\n```",
        study.differences,
    ]
    if study.note is not None and design["scale"] == "paper":
        parts.append(study.note(rows, design["protocol"]))
    if study.choices:
        parts += [
            "## Chosen numbers of experts",
            "How often each number was chosen, the most frequent first.",
            markdown(choices_table(study, rows, arms)),
        ]
    if study.horizontal == "n" and lines:
        parts += [
            "## Slopes",
            "Least squares of log error on log n; 95 % bootstrap intervals over replicates.",
            markdown(slopes_table(study, lines, design["protocol"])),
        ]
    elif lines:
        parts += ["## Errors", markdown(_by_size(study, rows, arms))]
    if study.claims:
        parts += [
            "## Claims",
            CLAIMS,
            markdown(claims_table(study.claims, rows)),
        ]
    if study.columns:
        parts += [
            "## Arms",
            "Means over replicates, with half the width of a 95 % interval.",
            markdown(means_table(study.columns, rows, arms, study.horizontal)),
        ]
    if study.table is not None:
        parts += ["## Results", markdown(study.table(rows, arms))]
    parts += ["## How the fits ended", markdown(endings_table(rows, arms))]
    if study.lead is None and (lines or study.curve):
        parts.append(picture)
    return "\n\n".join(p for p in parts if p) + "\n"


def choices_table(study: Study, rows: list[Row], arms: Sequence[str]) -> Table:
    """One row an arm and a size: how often each rule chose each number."""
    keys = sorted({(arms.index(str(r["arm"])), int(r["n"] or 0)) for r in rows})
    columns: dict[str, list[Any]] = {"arm": [arms[i] for i, _ in keys], "n": [n for _, n in keys], "fits": []}
    columns |= {name: [] for name in study.choices}
    for i, n in keys:
        own = [r for r in rows if r["arm"] == arms[i] and r["n"] == n]
        columns["fits"].append(len(own))
        for name in study.choices:
            counts = Counter(int(r[name]) for r in own if r.get(name) is not None)
            columns[name].append(", ".join(f"{k}: {c}" for k, c in counts.most_common(4)))
    return Table(columns)


def command_of(study: Study, design: dict[str, Any]) -> str:
    """The command that ran a design, where flags can say it."""
    out = f"moestro study run {study.name} --protocol {design['protocol']} --scale {design['scale']}"
    usual = study.plan(design["protocol"], design["scale"]).to_dict()["arms"]
    own = design["arms"]
    path = own[0]["truth"].get("path")
    if path is not None:  # the same arms on a file
        out += f' --corpus "{path}"'
        usual = [{**a, "name": f"file: {a['name'].split(': ')[1]}"} for a in usual if "text:" in a["name"]]
    by_name = {a["name"]: a for a in usual}
    if any(a["name"] not in by_name for a in own):
        return f"{out} --design FILE"
    if len(own) < len(usual):
        piece = _common([a["name"] for a in own], list(by_name))
        if piece is None:
            return f"{out} --design FILE"
        out += f' --arm "{piece}"'
    if any(a["sizes"] != by_name[a["name"]]["sizes"] for a in own):
        out += " --sizes " + ",".join(str(n) for n in own[0]["sizes"])
    if any(a["replicates"] != by_name[a["name"]]["replicates"] for a in own):
        out += f" --replicates {own[0]['replicates']}"
    return out + (f" --seed {design['seed']}" if design["seed"] else "")


def _common(chosen: list[str], everyone: list[str]) -> str | None:
    """A piece of text that the chosen names have and the others have not; None where there is none."""
    first = chosen[0]
    if [n for n in everyone if first in n] == chosen:
        return first
    pieces = sorted(
        {first[i:j] for i in range(len(first)) for j in range(i + 1, len(first) + 1)},
        key=lambda t: (len(t), t),
    )
    return next((t for t in pieces if [n for n in everyone if t in n] == chosen), None)


def _by_size(study: Study, rows: list[Row], arms: list[str]) -> Table:
    keys = sorted({(arms.index(str(r["arm"])), int(r["n"] or 0)) for r in rows})
    columns: dict[str, list[Any]] = {
        "arm": [arms[i] for i, _ in keys],
        study.horizontal: [n for _, n in keys],
    }
    for column in study.lines:
        columns[column] = [
            min(
                (
                    float(r[column])
                    for r in rows
                    if (r["arm"], r["n"]) == (arms[i], n) and r.get(column) is not None
                ),
                default=None,
            )
            for i, n in keys
        ]
    return Table(columns)


def markdown(table: Table) -> str:
    """A table as Markdown."""

    def cell(v: Any) -> str:
        if v is None:
            return ""
        return f"{v:.3g}" if isinstance(v, float) else str(v)

    head = "| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns)
    return "\n".join(
        [head, *("| " + " | ".join(cell(v) for v in row.values()) + " |" for row in table.rows())]
    )


def _summary(rows: list[Row], study: Study, arms: list[str]) -> str:
    """Mean and median of each column at each size, as CSV."""
    columns = tuple(dict.fromkeys((*study.lines, *study.columns)))
    file = io.StringIO(newline="")
    out = csv.writer(file)
    out.writerow(
        ["arm", study.horizontal, "fits", *(f"{c}_{s}" for c in columns for s in ("mean", "median"))]
    )
    for arm in arms:
        for n in sorted({r["n"] for r in rows if r["arm"] == arm}, key=lambda v: float(v or 0)):
            own = [r for r in rows if r["arm"] == arm and r["n"] == n]
            cells: list[Any] = [arm, n, len(own)]
            for column in columns:
                values = [float(r[column]) for r in own if r.get(column) is not None]
                cells += [f"{np.mean(values):.6g}", f"{np.median(values):.6g}"] if values else ["", ""]
            out.writerow(cells)
    return file.getvalue()

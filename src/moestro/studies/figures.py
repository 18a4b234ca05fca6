"""The figure of a study: slopes on log-log axes, or one curve an arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..writing import write_figure
from .claims import mean_interval
from .design import Row, Study
from .lines import Line


def draw(study: Study, lines: list[Line], rows: list[Row], arms: Sequence[str], path: Path) -> None:
    """The study's figure, where it has one."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FileError("figures need an extra: pip install 'moestro[studies]'") from error
    if lines:
        figure = _slopes(study, lines, arms, Figure)
    elif study.curve:
        figure = _curves(study, rows, arms, Figure)
    else:
        return
    write_figure(path, figure, dpi=110, metadata={"Software": None})


def _curves(study: Study, rows: list[Row], arms: Sequence[str], Figure: Any) -> Any:
    """A panel a group of arms (their names up to a colon): means over replicates along the curve, with
    intervals."""
    groups = list(dict.fromkeys(arm.split(":")[0] for arm in arms))
    figure = Figure(figsize=(5.2 * len(groups), 4.2), layout="constrained")
    at = np.array([x for x, _ in study.curve])
    for ax, group in zip(np.atleast_1d(figure.subplots(1, len(groups))), groups, strict=True):
        for i, arm in enumerate(a for a in arms if a.split(":")[0] == group and _shown(study, a)):
            own = [r for r in rows if r["arm"] == arm]
            values = np.array(
                [[r[c] for _, c in study.curve] for r in own if all(c in r for _, c in study.curve)]
            )
            if not len(values):
                continue
            found = np.array([mean_interval(column) for column in values.T])
            if len(values) > 1:
                ax.fill_between(at, found[:, 1], found[:, 2], color=f"C{i % 10}", alpha=0.12, lw=0)
            ax.plot(at, found[:, 0], "o-", color=f"C{i % 10}", ms=3, lw=1.2, label=arm.split(": ")[-1])
        floors = [r["floor"] for r in rows if r["arm"].split(":")[0] == group and r.get("floor") is not None]
        if floors:
            ax.axhline(floors[0], color="0.5", ls="--", lw=0.9, label="floor")
        ax.set_xscale("log", base=2)
        ax.set(title=group, xlabel=study.curve_labels[0], ylabel=study.curve_labels[1], xticks=at)
        ax.set_xticklabels([f"{x:g}" for x in at])
        ax.legend(fontsize=7, frameon=False)
    figure.suptitle(f"{study.title}: means and 95 % intervals", fontsize=9)
    return figure


def _shown(study: Study, arm: str) -> bool:
    return not study.curve_arms or arm.split(": ")[-1] in study.curve_arms


def _slopes(study: Study, lines: list[Line], arms: Sequence[str], Figure: Any) -> Any:
    """A panel a column: medians and means by arm, the fitted line, the published line dashed."""
    columns = [c for c in study.lines if any(line.column == c for line in lines)]
    wide = min(3, len(columns))
    tall = -(-len(columns) // wide)
    figure = Figure(figsize=(4.6 * wide, 3.6 * tall), layout="constrained")
    axes = np.atleast_1d(figure.subplots(tall, wide)).ravel()
    colours = {arm: f"C{i % 10}" for i, arm in enumerate(arms)}
    for ax, column in zip(axes, columns, strict=False):
        for line in (a for a in lines if a.column == column):
            colour = colours[line.arm]
            ax.loglog(line.mean.sizes, line.mean.values, ".", ms=3, color=colour, alpha=0.6)
            fitted = line.mean.constant * line.mean.sizes**line.mean.exponent
            label = f"{line.arm}: {line.mean.exponent:.2f} [{line.mean.low:.2f}, {line.mean.high:.2f}]"
            ax.loglog(line.mean.sizes, fitted, "-", color=colour, lw=1, label=label)
            ax.loglog(line.median.sizes, line.median.values, "x", ms=2.5, color=colour, alpha=0.4)
            known = study.published.get((line.arm, column))
            if known is not None:
                constant = known.constant
                if constant is None:  # no height is known: through the middle of our line
                    middle = np.exp(np.log(line.mean.sizes).mean())
                    constant = line.mean.constant * middle ** (line.mean.exponent - known.exponent)
                ax.loglog(
                    line.mean.sizes, constant * line.mean.sizes**known.exponent, "--", color=colour, lw=0.9
                )
        ax.set(title=f"{column} (theory {study.lines[column].split(' (')[0]})", xlabel=study.horizontal)
        ax.title.set_fontsize(8)
        ax.legend(fontsize=5.5, frameon=False)
    for ax in axes[len(columns) :]:
        ax.set_visible(False)
    figure.suptitle(f"{study.title}: dots mean, crosses median, dashed published", fontsize=9)
    return figure

"""Lines of a study: the slope of the mean and of the median of each column, arm by arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .design import Row, Study
from .slopes import Slope, slope


@dataclass(frozen=True)
class Line:
    """One column of one arm: slopes of its mean and of its median."""

    arm: str
    column: str
    mean: Slope
    median: Slope


def lines_of(study: Study, rows: list[Row], arms: Sequence[str]) -> list[Line]:
    """Every line of the report that has at least two sizes."""
    out = []
    for arm in arms:
        own = [r for r in rows if r["arm"] == arm]
        n = np.array([r["n"] for r in own], dtype=float)
        for column in study.lines:
            values = np.array([np.nan if r.get(column) is None else r[column] for r in own], dtype=float)
            found = [slope(n, values, statistic) for statistic in ("mean", "median")]
            if found[0] is not None and found[1] is not None:
                out.append(Line(arm, column, found[0], found[1]))
    return out

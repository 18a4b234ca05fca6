"""Claims that one arm is below another: paired differences over replicates, with an interval, and the
answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from ..tables import Table

LEVEL = 0.95
COLUMNS = (
    "claim", "arm", "against", "pairs", "difference", "low", "high", "margin", "p", "adjusted p",
    "by", "answer",
)  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """`column` of `arm` is at most `other_column` of `other`, plus `margin`, in the same replicate.

    A `primary` claim was named before the runs, and is answered by itself; the others share their level.
    """

    text: str
    arm: str
    column: str
    other: str
    other_column: str
    margin: float = 0.0
    primary: bool = False


def paired_differences(claim: Claim, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """arm - other in every replicate and size that both have."""

    def values(arm: str, column: str) -> dict[Any, float]:
        return {
            (r["n"], r["replicate"]): float(r[column])
            for r in rows
            if r["arm"] == arm and r.get(column) is not None
        }

    first, second = values(claim.arm, claim.column), values(claim.other, claim.other_column)
    return np.array([first[key] - second[key] for key in sorted(first.keys() & second.keys())])


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval by Student's t; the interval of fewer than two values is not finite."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -np.inf, np.inf
    half = float(student.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def p_value(values: np.ndarray, margin: float) -> float:
    """Two-sided p of the t test that the mean is the margin; 1 with fewer than two values. Without spread it
    is 0, or 1 at the margin itself."""
    if len(values) < 2:
        return 1.0
    spread, gap = values.std(ddof=1), abs(values.mean() - margin)
    rounding = 4 * np.finfo(float).eps * max(np.abs(values).max(), abs(margin))
    if spread <= rounding:
        return float(gap <= rounding)
    return float(2 * student.sf(gap * np.sqrt(len(values)) / spread, len(values) - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm, 1979): the i-th smallest of m times m - i + 1, made monotone, at most 1."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, dtype=float)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted.tolist()


def claims_table(claims: Sequence[Claim], rows: Sequence[dict[str, Any]]) -> Table:
    """One row a claim that the rows can answer, primary ones first.

    A primary claim is answered by its p, the others by theirs adjusted among them: at most 0.05 it "holds"
    where the mean difference is below the margin and "does not" where it is above; else it is "open".
    """
    found = [(claim, paired_differences(claim, rows)) for claim in claims]
    found = sorted(((c, d) for c, d in found if len(d)), key=lambda pair: not pair[0].primary)
    p = [p_value(difference, claim.margin) for claim, difference in found]
    first = sum(claim.primary for claim, _ in found)
    adjusted = [*p[:first], *holm(p[first:])]
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for (claim, difference), raw, level in zip(found, p, adjusted, strict=True):
        mean, low, high = mean_interval(difference)
        answer = "open" if level > 1 - LEVEL else "holds" if mean <= claim.margin else "does not"
        against = (
            claim.other if claim.column == claim.other_column else f"{claim.other}, {claim.other_column}"
        )
        entries = (
            claim.text, claim.arm, against, len(difference), mean, low, high, claim.margin, raw, level,
            "primary" if claim.primary else "Holm", answer,
        )  # fmt: skip
        for name, value in zip(columns, entries, strict=True):
            columns[name].append(value)
    return Table(columns)


def means_table(
    names: Sequence[str], rows: Sequence[dict[str, Any]], arms: Sequence[str], horizontal: str
) -> Table:
    """Mean of each column over replicates, with half the width of its interval where there are two or
    more."""
    keys = sorted({(arms.index(str(r["arm"])), int(r["n"])) for r in rows})
    columns: dict[str, list[Any]] = {"arm": [arms[i] for i, _ in keys], horizontal: [n for _, n in keys]}
    for name in names:
        cells: list[str | None] = []
        for i, n in keys:
            own = [
                float(r[name])
                for r in rows
                if r["arm"] == arms[i] and r["n"] == n and r.get(name) is not None
            ]
            if not own:
                cells.append(None)
                continue
            mean, low, _ = mean_interval(np.array(own))
            cells.append(
                f"{mean:.4g}" if mean == low or not np.isfinite(low) else f"{mean:.4g} ± {mean - low:.2g}"
            )
        if any(c is not None for c in cells):
            columns[name] = cells
    return Table(columns)


def _number(v: float) -> str:
    return f"{v:,.0f}" if v == round(v) else f"{v:.4g}"

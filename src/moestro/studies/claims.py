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


@dataclass(frozen=True)
class Claim:
    """`column` of `arm` is at most `other_column` of `other`, plus `margin`, in the same replicate."""

    text: str
    arm: str
    column: str
    other: str
    other_column: str
    margin: float = 0.0


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


def claims_table(claims: Sequence[Claim], rows: Sequence[dict[str, Any]]) -> Table:
    """One row a claim that the rows can answer.

    "holds" where the whole interval of the difference lies at or below the margin, "does not" where it lies
    above it, "open" otherwise.
    """
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("claim", "arm", "against", "pairs", "difference", "low", "high", "margin", "answer")
    }
    for claim in claims:
        difference = paired_differences(claim, rows)
        if not len(difference):
            continue
        mean, low, high = mean_interval(difference)
        answer = "holds" if high <= claim.margin else "does not" if low > claim.margin else "open"
        against = (
            claim.other if claim.column == claim.other_column else f"{claim.other}, {claim.other_column}"
        )
        entries = (claim.text, claim.arm, against, len(difference), mean, low, high, claim.margin, answer)
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

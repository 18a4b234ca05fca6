"""Slopes of a study without its smallest sizes: most rates show late."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tables import Table
from .design import Row
from .slopes import slope

ENDS = ("hellinger", "loss", "worst", "gate_slopes_over", "intercepts_over", "slopes_over")


def later_sizes(rows: list[Row], arms: list[str]) -> Table:
    """Slopes of means without the smallest size of each arm, with 95 % intervals."""
    out: dict[str, list[Any]] = {name: [] for name in ("arm", "from n", "to n", *ENDS)}
    for arm in arms:
        own = [r for r in rows if r["arm"] == arm]
        last = sorted({r["n"] for r in own})[1:]
        if len(last) < 2:
            continue
        out["arm"].append(arm)
        out["from n"].append(f"{last[0]:.0e}")
        out["to n"].append(f"{last[-1]:.0e}")
        for name in ENDS:
            seen = [r for r in own if r["n"] in last and r.get(name) is not None]
            found = slope(np.array([r["n"] for r in seen], dtype=float), np.array([r[name] for r in seen]))
            out[name].append(
                None if found is None else f"{found.exponent:.2f} [{found.low:.2f}, {found.high:.2f}]"
            )
    return Table(out)

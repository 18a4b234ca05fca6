"""A picture of the search: where every run ended, against what had been spent by then."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from .base import COLORS, WIDE, Display, key_above
from .lines import model_of

SHOWN = 0.9  # share of the runs, the best ones, that the vertical axis is made for


@dataclass
class SearchDisplay(Display):
    """Log-likelihood of each run of the search against the cost so far, starts and moves apart.

    Attributes
    ----------
    cost : ndarray of shape (runs,)
        Iterations of all runs so far.
    values : ndarray of shape (runs,)
        Log-likelihood at the end of each run, on the rows that were searched.
    strategies : list of str
    taken : int or None
        The place of the run whose end is the fit; what lies above it was refused.
    """

    cost: np.ndarray
    values: np.ndarray
    strategies: list[str]
    title: str
    taken: int | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the search of a fitted estimator or model."""
        return cls.of(model_of(estimator)).plot(ax=ax)

    @classmethod
    def of(cls, model: FittedModel | LocatedModel, title: str | None = None) -> Self:
        """Not drawn yet; the title's second part is the evidence unless another is given."""
        fit = model.fit
        rows = [r for r in fit.starts.rows() if r["log_likelihood"] is not None]
        rows = [r for r in rows if r["iterations"] or _is_taken(r)]
        if not rows:
            raise DataError("there is nothing to draw: the fit was not searched for")
        least = min(r["rows"] for r in rows)
        rows = [r for r in rows if r["rows"] == least or len({q["rows"] for q in rows}) == 1]
        cost = np.cumsum([r["iterations"] for r in rows])
        values = np.array([r["log_likelihood"] for r in rows])
        told = str(fit.evidence or "") if title is None else title
        taken = next((i for i, r in enumerate(rows) if _is_taken(r)), None)
        return cls(cost, values, [r["strategy"] for r in rows], told, taken)

    def _draw(self, ax: Any) -> None:
        moves = np.array([s.startswith("move") for s in self.strategies])
        refused = self._refused()
        low = np.quantile(self.values, 1 - SHOWN)
        gap = max(self.values.max() - low, 1.0)  # what lies closer together is one optimum
        floor = low - 0.05 * gap
        below = self.values < floor
        plain = ~(refused | below)
        for chosen, mark, color, label in (
            (plain & ~moves, "o", COLORS[0], "starts"), (plain & moves, "o", COLORS[1], "moves"),
            (refused, "x", "0.5", "refused"), (below, "v", "0.5", "farther below"),
        ):  # fmt: skip
            if chosen.any():
                at = np.maximum(self.values[chosen], floor + 0.02 * gap)
                ax.plot(self.cost[chosen], at, mark, ms=4, color=color, label=label)
        if not refused.all():
            best = np.maximum.accumulate(self.values[~refused])
            ax.step(self.cost[~refused], best, where="post", color="0.5", lw=1, label="best so far")
        ax.set_ylim(floor, self.values.max() + 0.08 * gap)
        ax.set(xlabel="iterations spent", ylabel="log-likelihood")
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.set_title(
            "\n".join(["Where every run of the search ended", *wrap(self.title, WIDE)]), fontsize="medium"
        )
        key_above(ax)

    def _refused(self) -> np.ndarray:
        """Runs that ended above the fit."""
        if self.taken is None:
            return np.zeros(len(self.values), dtype=bool)
        best = self.values[self.taken]
        return self.values > best + 1e-6 * (1 + abs(best))


def _is_taken(run: dict[str, Any]) -> bool:
    return str(run["status"]).startswith("best")

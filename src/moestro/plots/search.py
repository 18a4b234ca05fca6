"""A picture of the search: where every run ended, against what had been spent by then."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from .base import COLORS, Display
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
    """

    cost: np.ndarray
    values: np.ndarray
    strategies: list[str]
    title: str

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the search of a fitted estimator or model."""
        return cls.of(model_of(estimator)).plot(ax=ax)

    @classmethod
    def of(cls, model: FittedModel | LocatedModel, title: str | None = None) -> Self:
        """Not drawn yet; the title's second part is the evidence unless another is given."""
        fit = model.fit
        rows = [r for r in fit.starts.rows() if r["log_likelihood"] is not None and r["iterations"]]
        if not rows:
            raise DataError("there is nothing to draw: the fit was not searched for")
        least = min(r["rows"] for r in rows)
        rows = [r for r in rows if r["rows"] == least or len({q["rows"] for q in rows}) == 1]
        cost = np.cumsum([r["iterations"] for r in rows])
        values = np.array([r["log_likelihood"] for r in rows])
        told = str(fit.evidence or "") if title is None else title
        return cls(cost, values, [r["strategy"] for r in rows], told)

    def _draw(self, ax: Any) -> None:
        moves = np.array([s.startswith("move") for s in self.strategies])
        for chosen, color, label in ((~moves, COLORS[0], "starts"), (moves, COLORS[1], "moves")):
            if chosen.any():
                ax.plot(self.cost[chosen], self.values[chosen], "o", ms=4, color=color, label=label)
        best = np.maximum.accumulate(self.values)
        ax.step(self.cost, best, where="post", color="0.4", lw=1, label="best so far")
        low = np.quantile(self.values, 1 - SHOWN)
        gap = max(self.values.max() - low, 1.0)  # what lies closer together is one optimum
        ax.set_ylim(low - 0.05 * gap, self.values.max() + 0.08 * gap)
        ax.set(xlabel="iterations spent", ylabel="log-likelihood")
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.set_title(
            "\n".join(["Where every run of the search ended", *wrap(self.title, 64)]), fontsize="medium"
        )
        ax.legend(frameon=False)

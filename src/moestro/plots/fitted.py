"""Displays of what is predicted, with the data beneath: a line an expert, and the fan of the whole law."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from .base import PAPER, Display, blended, color, key_above, label
from .data import Rows, rows_of
from .lines import ModelLine, line_of, model_of

LEVELS = (0.5, 0.8, 0.95)  # of the central intervals of a fan


class AlongColumn(Display):
    """A display against one column of the experts, all others at their average, over the rows."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        term: str | None = None,
        outcome: Any = None,
        offset: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute and draw, on the training rows or on (X, y).

        `term` is by default the column with the largest slopes; `outcome` the class (by default the first),
        or the name of the response where there are several.
        """
        return cls.of(model_of(estimator), rows_of(estimator, X, y, offset=offset), term, outcome).plot(ax=ax)

    @classmethod
    @abstractmethod
    def of(
        cls, model: FittedModel | LocatedModel, rows: Rows, term: str | None = None, outcome: Any = None
    ) -> Self:
        """From rows with their posteriors, not drawn yet."""


@dataclass
class FitDisplay(AlongColumn):
    """What each expert predicts against one column, all others at their average, over the rows, coloured by
    the expert that they probably have.

    Attributes
    ----------
    term : str
    values : ndarray of shape (j,)
    means : ndarray of shape (j, k)
        Mean response, or the probability of a class.
    points : ndarray of shape (m, 2)
        Column and response of the rows that are shown; of a class 0 and 1, a little apart.
    colors : ndarray of shape (m, 3)
    response : str
    """

    term: str
    values: np.ndarray
    means: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    response: str

    @classmethod
    def of(
        cls, model: FittedModel | LocatedModel, rows: Rows, term: str | None = None, outcome: Any = None
    ) -> Self:
        """From rows with their posteriors, not drawn yet."""
        j = outcome_of(model, outcome)
        line, at, x = _along(model, rows, term, 0 if model.classes else j)
        means = line.law.family.mean(line.law.eta)
        if model.classes:
            means, hit = means[:, :, j], rows.y[at] == j
            apart = 0.03 * np.sin(12.9898 * np.arange(len(at)))  # so that points do not hide each other
            y, response = np.where(hit, 1.0, 0.0) + apart, f"P({model.responses[0]} = {model.classes[j]})"
        else:
            means = line.law.center + line.law.scale * means
            y, response = rows.responses(model)[at, j], model.responses[j]
        return cls(line.term, line.values, means, np.column_stack([x, y]), blended(rows.r[at]), response)

    def _draw(self, ax: Any) -> None:
        ax.scatter(*self.points.T, s=14, c=self.colors, alpha=0.6, linewidths=0)
        for e, mean in enumerate(self.means.T):
            ax.plot(self.values, mean, color=PAPER, lw=4, alpha=0.7, zorder=0.5)  # under the rows
            ax.plot(self.values, mean, color=color(e), lw=2, label=f"expert {e + 1}")
        low, high = np.min(self.points, axis=0), np.max(self.points, axis=0)
        room = 0.05 * np.maximum(high - low, 1e-12)
        ax.set_xlim(low[0] - room[0], high[0] + room[0])
        inside = (self.values >= low[0] - room[0]) & (self.values <= high[0] + room[0])
        ends = [low[1] - room[1], high[1] + room[1]]
        if inside.any():  # a line may leave the data, but not run away with the axis
            far = 0.5 * (high[1] - low[1])
            seen = np.clip(self.means[inside], low[1] - far, high[1] + far)
            ends = [min(ends[0], float(seen.min())), max(ends[1], float(seen.max()))]
        ax.set(
            ylim=ends, xlabel=label(self.term), ylabel=label(self.response),
            title="What each expert predicts, and the rows it has",
        )  # fmt: skip
        key_above(ax)


@dataclass
class FanDisplay(AlongColumn):
    """The predictive law along one column, all others at their average: central intervals and the median, or
    the probabilities of the classes, over the rows.

    Attributes
    ----------
    term : str
    values : ndarray of shape (j,)
    quantiles : ndarray of shape (j, 2 * 3 + 1) or None
        Lower ends from the widest interval inwards, the median, upper ends outwards.
    proba : ndarray of shape (j, K) or None
    points : ndarray of shape (m, 2)
    labels : tuple
    response : str
    """

    term: str
    values: np.ndarray
    quantiles: np.ndarray | None
    proba: np.ndarray | None
    points: np.ndarray
    labels: tuple
    response: str

    @classmethod
    def of(
        cls, model: FittedModel | LocatedModel, rows: Rows, term: str | None = None, outcome: Any = None
    ) -> Self:
        """From rows, not drawn yet."""
        j = 0 if model.classes else outcome_of(model, outcome)
        line, at, x = _along(model, rows, term, j)
        if model.classes:
            mixed = np.einsum("nk,nkc->nc", line.law.weights, line.law.family.mean(line.law.eta))
            points = np.column_stack([x, rows.y[at]])
            return cls(line.term, line.values, None, mixed, points, model.classes, model.responses[0])
        tails = [(1 - level) / 2 for level in reversed(LEVELS)]
        found = line.law.quantile(np.array([*tails, 0.5, *(1 - t for t in reversed(tails))]))
        points = np.column_stack([x, rows.responses(model)[at, j]])
        return cls(line.term, line.values, found, None, points, (), model.responses[j])

    def _draw(self, ax: Any) -> None:
        if self.proba is not None:
            edges = np.column_stack([np.zeros(len(self.values)), np.cumsum(self.proba, axis=1)])
            for c, name in enumerate(self.labels):
                ax.fill_between(
                    self.values, edges[:, c], edges[:, c + 1], color=color(c), alpha=0.75, lw=0,
                    label=label(name),
                )  # fmt: skip
            ax.set(ylim=(0, 1), xlim=(self.values[0], self.values[-1]), ylabel=f"P({label(self.response)})")
            ax.set_title("Probabilities of the classes")
            key_above(ax)
        elif self.quantiles is not None:
            ax.scatter(*self.points.T, s=8, color="0.45", alpha=0.5, linewidths=0, zorder=1)
            m = len(LEVELS)
            for i, level in enumerate(reversed(LEVELS)):
                low, high = self.quantiles[:, i], self.quantiles[:, -1 - i]
                ax.fill_between(self.values, low, high, color=color(0), alpha=0.2, lw=0, zorder=2)
                as_seen = 1 - 0.8 ** (i + 1)  # the intervals lie upon each other
                ax.fill([], [], color=color(0), alpha=as_seen, lw=0, label=f"{level:.0%}")
            ax.plot(self.values, self.quantiles[:, m], color=color(0), lw=2, label="median", zorder=3)
            ax.set(ylabel=label(self.response), title="Where the response will lie")
            ax.set_xlim(self.values[0], self.values[-1])
            key_above(ax)
        ax.set_xlabel(label(self.term))


def _along(
    model: FittedModel | LocatedModel, rows: Rows, term: str | None, response: int
) -> tuple[ModelLine, np.ndarray, np.ndarray]:
    """The law along a column, the rows that are shown, and the column there."""
    term = term or rows.term(model, "experts")
    ends = rows.ends(model, term) if term else None
    line = line_of(model, "experts", term, model.responses[response], rows.known(model), ends)
    at = rows.shown()
    return line, at, rows.column(model, line.term)[at]


def outcome_of(model: FittedModel | LocatedModel, outcome: Any) -> int:
    """The place of a class, or of a response."""
    known = list(model.classes or model.responses)
    if outcome is None:
        return 0
    if outcome not in known:
        raise DataError(f"no outcome {outcome!r}: these are {', '.join(map(str, known))}")
    return known.index(outcome)

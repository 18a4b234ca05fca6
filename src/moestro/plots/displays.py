"""Displays: what the gate does, what the experts predict, why this many. matplotlib, drawn on given axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..fitted import FittedModel, LocatedModel
from ..selection import CRITERIA
from ..tables import Table
from ..writing import write_figure
from .base import COLORS, Display, key_above, label
from .data import ends_of
from .lines import line_of, model_of, strongest


@dataclass
class GateDisplay(Display):
    """Gate weights against one column, all others at their average.

    Attributes
    ----------
    term : str
    values : ndarray of shape (j,)
    weights : ndarray of shape (j, k)
    ax_, figure_ : matplotlib objects, after `plot`
    """

    term: str
    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def from_estimator(cls, estimator: Any, term: str | None = None, *, ax: Any = None) -> Self:
        """Compute and draw; `term` is by default the column on which the gate turns most."""
        model = model_of(estimator)
        return cls.of(model, term, ends_of(estimator, model, "gate", term)).plot(ax=ax)

    @classmethod
    def of(
        cls,
        model: FittedModel | LocatedModel,
        term: str | None = None,
        ends: tuple[float, float] | None = None,
    ) -> Self:
        """From a model, not drawn yet; between these `ends`, or as far from the average as most rows lie."""
        line = line_of(model, "gate", term, ends=ends)
        return cls(line.term, line.values, line.law.weights)

    def _draw(self, ax: Any) -> None:
        for e, weight in enumerate(self.weights.T):
            ax.plot(self.values, weight, color=COLORS[e % len(COLORS)], label=f"expert {e + 1}", lw=2)
        ax.set(
            xlabel=label(self.term), ylabel="gate weight", ylim=(-0.02, 1.02), title="Weights of the experts"
        )
        key_above(ax)


@dataclass
class ExpertDisplay(Display):
    """What each expert predicts against one column, all others at their average.

    Attributes
    ----------
    term : str
    values : ndarray of shape (j,)
    means : ndarray of shape (j, k) or (j, k, K)
        Mean response, or class probabilities.
    spread : ndarray of shape (j, k) or None
        Standard deviation of the response.
    """

    term: str
    values: np.ndarray
    means: np.ndarray
    spread: np.ndarray | None
    labels: tuple
    response: str

    @classmethod
    def from_estimator(cls, estimator: Any, term: str | None = None, *, ax: Any = None) -> Self:
        """Compute and draw; `term` is by default the column with the largest slopes."""
        model = model_of(estimator)
        line = line_of(model, "experts", term, ends=ends_of(estimator, model, "experts", term))
        law = line.law
        means = law.center + law.scale * law.family.mean(law.eta)
        spread = None if model.classes else law.scale * np.sqrt(law.family.variance(law.eta))
        return cls(line.term, line.values, means, spread, model.classes, model.responses[0]).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        """Draw on `ax`: a line and a band an expert, or a line a class in a style an expert."""
        styles = ("-", "--", ":", "-.")
        for e in range(self.means.shape[1]):
            if self.spread is not None:
                color, mean = COLORS[e % len(COLORS)], self.means[:, e]
                ax.plot(self.values, mean, color=color, lw=2, label=f"expert {e + 1}")
                low, high = mean - self.spread[:, e], mean + self.spread[:, e]
                ax.fill_between(self.values, low, high, color=color, alpha=0.15, lw=0)
                continue
            for c, name in enumerate(self.labels):
                ax.plot(
                    self.values, self.means[:, e, c], color=COLORS[c % len(COLORS)],
                    ls=styles[e % len(styles)],
                    lw=2, label=f"{label(name)}, expert {e + 1}",
                )  # fmt: skip
        ylabel = f"P({label(self.response)})" if self.labels else label(self.response)
        ax.set(xlabel=label(self.term), ylabel=ylabel, title="What they predict")
        key_above(ax)


@dataclass
class CriteriaDisplay(Display):
    """Criteria against the number of experts; of several models with one number the best by each criterion.

    Attributes
    ----------
    table : Table
        As `select_experts` or `selection_` give it.
    """

    table: Table

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the sweep of an estimator whose `n_experts` is a criterion."""
        return cls(estimator.selection_).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        """Draw on `ax`, the chosen number marked."""
        k = np.array(self.table["k"])
        ks = np.unique(k)
        for i, name in enumerate(n for n in (*CRITERIA, "cv") if n in self.table.columns):
            values = np.array(self.table[name])
            best = [values[k == a].min() for a in ks]
            ax.plot(ks, best, "o-", color=COLORS[i], label=name.upper())
        for a in k[np.array(self.table["chosen"], dtype=bool)]:
            ax.axvline(a, color="0.7", lw=8, alpha=0.4, zorder=0)
        ax.set(
            xlabel="number of experts",
            ylabel="criterion (smaller is better)",
            xticks=ks,
            title="How many experts",
        )
        ax.legend(frameon=False)


def overview(model: FittedModel | LocatedModel, selection: Table, path: str) -> None:
    """Write a picture: the gate, the experts, and the choice among models."""
    from matplotlib.figure import Figure

    draw: list[Any] = []
    if model.fit.k > 1 and strongest(model, "gate"):
        draw.append(lambda ax: GateDisplay.from_estimator(model, ax=ax))
    if strongest(model, "experts"):
        draw.append(lambda ax: ExpertDisplay.from_estimator(model, ax=ax))
    if len(selection) > 1:
        draw.append(CriteriaDisplay(selection)._draw)
    figure = Figure(figsize=(4.6 * max(len(draw), 1), 4.2), layout="constrained")
    panels = np.ravel(figure.subplots(1, max(len(draw), 1)))
    for panel, ax in zip(draw, panels, strict=False):
        panel(ax)
    write_figure(path, figure, dpi=130)

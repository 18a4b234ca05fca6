"""Displays: what the gate does, what the experts say, why this many. matplotlib, drawn on given axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel
from ..selection import CRITERIA
from ..tables import Table
from ..writing import write_figure

COLORS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#7768ae", "#2e4057", "#8d6a4f", "#c06c84")
SPAN = 2.0  # standard deviations on either side of the average that are drawn
POINTS = 201


def model_of(estimator: Any) -> FittedModel:
    """The fitted model of an estimator, or the model itself."""
    if isinstance(estimator, FittedModel):
        return estimator
    if not hasattr(estimator, "_fitted"):
        raise DataError(f"expected a fitted moestro estimator or model, got {type(estimator).__name__}")
    return estimator._fitted()


def axes(ax: Any) -> Any:
    """`ax`, or new axes."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def _line(model: FittedModel, term: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of `term`, and the columns x, z with everything else at its average."""
    units = model.units
    x = np.tile(units.x_scaling.center, (POINTS, 1))
    z = np.tile(units.z_scaling.center, (POINTS, 1))
    values: np.ndarray | None = None
    for columns, names, scaling in (
        (x, units.expert_names, units.x_scaling),
        (z, units.gate_names, units.z_scaling),
    ):
        for j, name in enumerate(names):
            if name == term:
                half = SPAN * scaling.scale[j]
                values = np.linspace(scaling.center[j] - half, scaling.center[j] + half, POINTS)
                columns[:, j] = values
    if values is None:
        known = ", ".join(dict.fromkeys([*units.gate_names, *units.expert_names]))
        raise DataError(f"no column '{term}' to draw against: the columns are {known}")
    return values, x, z


def strongest(model: FittedModel, part: str) -> str | None:
    """Column with the largest spread of scaled slopes among experts, for the gate or the experts."""
    m = model.fit.model
    if part == "gate":
        slopes = m.gate_rows(model.fit.theta)[:, 1:]
        names = model.units.gate_names
    else:
        slopes = np.abs(m.expert_coefficients(model.fit.theta)[:, :, 1:]).sum(axis=1)
        names = model.units.expert_names
    if not names or not slopes.size:
        return None
    return names[int(np.argmax(slopes.std(axis=0) if part == "gate" else slopes.max(axis=0)))]


@dataclass
class GateDisplay:
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
        term = term or strongest(model, "gate")
        if term is None:
            raise DataError("the gate has no columns to draw against")
        values, x, z = _line(model, term)
        return cls(term, values, np.exp(model.log_gate(x, z))).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`."""
        self.ax_ = axes(ax)
        self.figure_ = self.ax_.figure
        for e, weight in enumerate(self.weights.T):
            self.ax_.plot(self.values, weight, color=COLORS[e % len(COLORS)], label=f"expert {e + 1}", lw=2)
        self.ax_.set(
            xlabel=self.term, ylabel="gate weight", ylim=(-0.02, 1.02), title="Weights of the experts"
        )
        self.ax_.legend(frameon=False)
        return self


@dataclass
class ExpertDisplay:
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
        term = term or strongest(model, "experts")
        if term is None:
            raise DataError("the experts have no columns to draw against")
        values, x, _ = _line(model, term)
        family, units = model.fit.model.family, model.units
        eta = model.eta(x)
        means = family.mean(eta)
        spread = None
        if not units.classes:
            means = units.y_center + units.y_scale * means
            spread = units.y_scale * np.sqrt(family.variance(eta))
        return cls(term, values, means, spread, units.classes, units.response).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`: a line and a band an expert, or a line a class in a style an expert."""
        self.ax_ = axes(ax)
        self.figure_ = self.ax_.figure
        styles = ("-", "--", ":", "-.")
        for e in range(self.means.shape[1]):
            if self.spread is not None:
                color, mean = COLORS[e % len(COLORS)], self.means[:, e]
                self.ax_.plot(self.values, mean, color=color, lw=2, label=f"expert {e + 1}")
                low, high = mean - self.spread[:, e], mean + self.spread[:, e]
                self.ax_.fill_between(self.values, low, high, color=color, alpha=0.15, lw=0)
                continue
            for c, label in enumerate(self.labels):
                self.ax_.plot(
                    self.values, self.means[:, e, c], color=COLORS[c % len(COLORS)],
                    ls=styles[e % len(styles)],
                    lw=2, label=f"{label}, expert {e + 1}",
                )  # fmt: skip
        ylabel = f"P({self.response})" if self.labels else self.response
        self.ax_.set(xlabel=self.term, ylabel=ylabel, title="What they say")
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2} if self.labels else {}
        self.ax_.legend(frameon=False, fontsize="small", **below)
        return self


@dataclass
class CriteriaDisplay:
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

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`, the chosen number marked."""
        self.ax_ = axes(ax)
        self.figure_ = self.ax_.figure
        k = np.array(self.table["k"])
        ks = np.unique(k)
        for i, name in enumerate(n for n in (*CRITERIA, "cv") if n in self.table.columns):
            values = np.array(self.table[name])
            best = [values[k == a].min() for a in ks]
            self.ax_.plot(ks, best, "o-", color=COLORS[i], label=name.upper())
        for a in k[np.array(self.table["chosen"], dtype=bool)]:
            self.ax_.axvline(a, color="0.7", lw=8, alpha=0.4, zorder=0)
        self.ax_.set(
            xlabel="number of experts", ylabel="criterion (smaller is better)", xticks=ks, title="How many"
        )
        self.ax_.legend(frameon=False)
        return self


def overview(model: FittedModel, selection: Table, path: str) -> None:
    """Write a picture: the gate, the experts, and the choice of k."""
    from matplotlib.figure import Figure

    gate, experts = strongest(model, "gate"), strongest(model, "experts")
    panels = [p for p in (gate and model.fit.model.k > 1, experts, len(selection) > 1) if p]
    figure = Figure(figsize=(4.6 * max(len(panels), 1), 4.2), layout="constrained")
    axes = iter(np.atleast_1d(np.array(figure.subplots(1, max(len(panels), 1)))).ravel())
    if gate and model.fit.model.k > 1:
        GateDisplay.from_estimator(model, gate, ax=next(axes))
    if experts:
        ExpertDisplay.from_estimator(model, experts, ax=next(axes))
    if len(selection) > 1:
        CriteriaDisplay(selection).plot(ax=next(axes))
    write_figure(path, figure, dpi=130)

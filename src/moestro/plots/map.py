"""Display of the gate over two columns: where each expert rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from .base import PAPER, Display, blended, color, key_above, label
from .data import Rows, rows_of
from .lines import gate_on, model_of, ranked

GRID = 80


@dataclass
class GateMapDisplay(Display):
    """Gate weights over two columns, all others at their average: the experts' colours mixed by them, a
    line where the leading expert changes, and the rows.

    Attributes
    ----------
    terms : (str, str)
    grids : tuple of ndarray
        Of the horizontal column and of the vertical one, (i,) and (j,).
    weights : ndarray of shape (j, i, k)
    points : ndarray of shape (m, 2)
    colors : ndarray of shape (m, 3)
    """

    terms: tuple[str, str]
    grids: tuple[np.ndarray, np.ndarray]
    weights: np.ndarray
    points: np.ndarray
    colors: np.ndarray

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        terms: tuple[str, str] | None = None,
        offset: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute and draw, with the training rows or (X, y); `terms` are by default the two columns on which
        the gate turns most."""
        return cls.of(model_of(estimator), rows_of(estimator, X, y, offset=offset), terms).plot(ax=ax)

    @classmethod
    def of(cls, model: FittedModel | LocatedModel, rows: Rows, terms: tuple[str, str] | None = None) -> Self:
        """From rows with their posteriors, not drawn yet."""
        if terms is None:
            found = ranked(model, "gate")
            if len(found) < 2:
                raise DataError("a map needs two columns of the gate: GateDisplay draws one")
            terms = (found[0], found[1])
        elif len(terms) != 2 or terms[0] == terms[1]:
            raise DataError("a map needs the names of two different columns")
        columns = [rows.column(model, t) for t in terms]
        a, b = (np.linspace(c.min(), c.max() if np.ptp(c) else c.min() + 1.0, GRID) for c in columns)
        at = rows.shown()
        points = np.column_stack([c[at] for c in columns])
        return cls(terms, (a, b), gate_on(model, terms, (a, b)), points, blended(rows.r[at]))

    def _draw(self, ax: Any) -> None:
        a, b = self.grids
        half = 0.5 * (a[1] - a[0]), 0.5 * (b[1] - b[0])
        extent = (a[0] - half[0], a[-1] + half[0], b[0] - half[1], b[-1] + half[1])
        pale = 1 - 0.55 * (1 - blended(self.weights))
        ax.imshow(pale, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
        lead = self.weights.argmax(axis=2)
        for e in np.unique(lead):
            if 0 < (lead == e).mean() < 1:
                others = np.delete(self.weights, e, axis=2).max(axis=2)
                ax.contour(a, b, self.weights[:, :, e] - others, levels=[0.0], colors="0.2", linewidths=1)
        ax.scatter(*self.points.T, s=10, c=self.colors, edgecolors=PAPER, linewidths=0.4)
        for e in range(self.weights.shape[2]):
            ax.plot([], [], "s", color=color(e), label=f"expert {e + 1}")
        ax.set(xlabel=label(self.terms[0]), ylabel=label(self.terms[1]), title="Where each expert rules")
        ax.set(xlim=extent[:2], ylim=extent[2:])
        key_above(ax)

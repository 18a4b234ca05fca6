"""Regularisation paths as people look at them: coefficients in the user's units, strength by strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..fitted import FittedModel
from ..measure import measure_of
from ..penalised import ChosenFit, names_of, whole_model
from ..tables import Table

if TYPE_CHECKING:
    from ..penalised import AlphaPath


@dataclass(frozen=True)
class RegularizationPath:
    """Penalised fits of one model at falling strengths.

    Attributes
    ----------
    alphas : ndarray of shape (A,)
        Decreasing.
    alpha_max : float
        The smallest strength found at which every slope is zero; infinite for ridge.
    table : Table
        One row a strength: objective, log-likelihood, parameters, columns, criteria, optimality violation,
        chosen.
    """

    alphas: np.ndarray
    alpha_max: float
    table: Table
    _path: AlphaPath
    _model: FittedModel

    @classmethod
    def of(cls, model: FittedModel, found: ChosenFit) -> Self:
        """From a fit."""
        return cls(found.path.alphas, found.path.alpha_max, found.table, found.path, model)

    def __len__(self) -> int:
        return len(self.alphas)

    @property
    def chosen(self) -> int:
        """Index of the strength that the criterion chose."""
        return list(self.table["chosen"]).index(True)

    def measure(self, index: int) -> Any:
        """The `MixingMeasure` at the index-th strength, experts in the order of the path."""
        model, theta = whole_model(self._path.likelihood, self._path.points[index].point)
        return measure_of(model, self._model.units, theta)

    def columns(self, index: int) -> list[str]:
        """Names of the columns with a slope at the index-th strength."""
        return names_of(self._path.likelihood, self._path.points[index].slopes)

    @property
    def slopes(self) -> np.ndarray:
        """Penalised slopes at every strength, (A, slopes), in the penalty's units and layout: the gate's
        columns first."""
        return np.array([p.slopes for p in self._path.points])

    def sizes(self) -> tuple[list[str], np.ndarray]:
        """Columns by name, and the largest absolute slope of each at every strength, (A, columns): what a
        picture shows."""
        layout = self._path.likelihood.layout(self._path.penalty)
        column, names = layout.columns()
        out = np.zeros((len(self.alphas), len(names)))
        for i, point in enumerate(self._path.points):
            np.maximum.at(out[i], column, np.abs(point.slopes))
        return list(names), out

    def __str__(self) -> str:
        return self.table.to_text(4)

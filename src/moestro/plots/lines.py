"""A model along one of its columns, all others at their average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..fitted import FittedModel, LocatedModel

SPAN = 2.0  # standard deviations on either side of the average that are drawn
POINTS = 201


@dataclass(frozen=True)
class ModelLine:
    """The law of the (first) response along a column.

    Attributes
    ----------
    term : str
    values : ndarray of shape (j,)
    law : PredictiveDistribution
    """

    term: str
    values: np.ndarray
    law: PredictiveDistribution


def model_of(estimator: Any) -> FittedModel | LocatedModel:
    """The fitted model of an estimator, or the model itself."""
    if isinstance(estimator, FittedModel | LocatedModel):
        return estimator
    if not hasattr(estimator, "_fitted"):
        raise DataError(f"expected a fitted moestro estimator or model, got {type(estimator).__name__}")
    return estimator._fitted()


def line_of(model: FittedModel | LocatedModel, part: str, term: str | None = None) -> ModelLine:
    """Along `term`, by default the column on which the gate turns most or that moves the experts most."""
    term = term or strongest(model, part)
    if term is None:
        raise DataError(f"the {part} has no columns to draw against")
    x, z, spreads = _located_average(model) if isinstance(model, LocatedModel) else _average(model)
    values: np.ndarray | None = None
    for columns, names, spread in (
        (x, model.design.expert_names, spreads[0]),
        (z, model.design.gate_names, spreads[1]),
    ):
        for j, name in enumerate(names):
            if name == term and columns is not None:
                half = SPAN * spread[j]
                values = np.linspace(columns[0, j] - half, columns[0, j] + half, POINTS)
                columns[:, j] = values
    if values is None:
        known = ", ".join(dict.fromkeys([*model.design.gate_names, *model.design.expert_names]))
        raise DataError(f"no column '{term}' to draw against: the columns are {known}")
    laws = model.marginals(x) if isinstance(model, LocatedModel) else model.marginals(x, z)
    return ModelLine(term, values, laws[model.responses[0]])


def strongest(model: FittedModel | LocatedModel, part: str) -> str | None:
    """Of the gate the column on which scaled slopes differ most, of the experts that with the largest scaled
    slope; of located experts the one in which they lie farthest apart. None without columns."""
    if isinstance(model, LocatedModel):
        between, within = _located_spread(model)
        size, names = between / np.maximum(between + within, 1e-300), model.design.expert_names
    elif part == "gate":
        size = model.fit.model.gate_rows(model.fit.theta)[:, 1:].std(axis=0)
        names = model.units.gate_names
    else:
        slopes = model.fit.model.expert_coefficients(model.fit.theta)[:, :, 1:]
        size, names = np.abs(slopes).sum(axis=1).max(axis=0), model.units.expert_names
    return names[int(np.argmax(size))] if len(names) and size.size else None


def _average(model: FittedModel) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Columns of experts and gate at their average, and their standard deviations."""
    scalings = model.units.x_scaling, model.units.z_scaling
    x, z = (np.tile(s.center, (POINTS, 1)) for s in scalings)
    return x, z, (scalings[0].scale, scalings[1].scale)


def _located_average(model: LocatedModel) -> tuple[np.ndarray, None, tuple[np.ndarray, np.ndarray]]:
    m, spread = model.measure, np.sqrt(sum(_located_spread(model)))
    return np.tile(m.weights @ m.means, (POINTS, 1)), None, (spread, spread)


def _located_spread(model: LocatedModel) -> tuple[np.ndarray, np.ndarray]:
    """Variances of the columns between experts and within them."""
    m = model.measure
    between = m.weights @ (m.means - m.weights @ m.means) ** 2
    return between, m.weights @ np.diagonal(m.covariances, axis1=1, axis2=2)

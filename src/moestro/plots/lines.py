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


def line_of(
    model: FittedModel | LocatedModel,
    part: str,
    term: str | None = None,
    response: str | None = None,
    known: np.ndarray | None = None,
    ends: tuple[float, float] | None = None,
) -> ModelLine:
    """Along `term`, by default the column on which the gate turns most or that moves the experts most; of the
    first response unless another is named, at these `known` numbers (offset, trials), between these `ends`,
    or as far from the average as most rows lie."""
    term = term or strongest(model, part)
    if term is None:
        raise DataError(f"the {part} has no columns to draw against")
    x, z, spreads = _average(model, POINTS)
    values: np.ndarray | None = None
    for columns, names, spread in (
        (x, model.design.expert_names, spreads[0]),
        (z, model.design.gate_names, spreads[1]),
    ):
        for j, name in enumerate(names):
            if name == term and columns is not None:
                middle, half = columns[0, j], SPAN * spread[j]
                values = np.linspace(*(ends or (middle - half, middle + half)), POINTS)
                columns[:, j] = values
    if values is None:
        names = ", ".join(dict.fromkeys([*model.design.gate_names, *model.design.expert_names]))
        raise DataError(f"no column '{term}' to draw against: the columns are {names}")
    if known is not None:
        x = np.column_stack([x, np.tile(known, (POINTS, 1))])
    laws = model.marginals(x) if isinstance(model, LocatedModel) else model.marginals(x, z)
    return ModelLine(term, values, laws[response or model.responses[0]])


def strongest(model: FittedModel | LocatedModel, part: str) -> str | None:
    """The first of `ranked`; None without columns."""
    return next(iter(ranked(model, part)), None)


def ranked(model: FittedModel | LocatedModel, part: str) -> list[str]:
    """Columns, the strongest first: of the gate those on which scaled slopes differ most, of the experts
    those with the largest scaled slope; of located experts those in which they lie farthest apart."""
    if isinstance(model, LocatedModel):
        between, within = _located_spread(model)
        size, names = between / np.maximum(between + within, 1e-300), model.design.expert_names
    elif part == "gate":
        size = model.fit.model.gate_rows(model.fit.theta)[:, 1:].std(axis=0)
        names = model.units.gate_names
    else:
        slopes = model.fit.model.expert_coefficients(model.fit.theta)[:, :, 1:]
        size, names = np.abs(slopes).sum(axis=1).max(axis=0), model.units.expert_names
    order = np.argsort(-size, kind="stable") if len(names) and size.size else ()
    return [names[j] for i, j in enumerate(order) if not i or size[j] > 0]


def gate_on(
    model: FittedModel | LocatedModel, terms: tuple[str, str], grids: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Gate weights (j, i, k) at the second column's grid (j,) by the first's (i,), all others at their
    average."""
    first, second = np.meshgrid(*grids)
    x, z, _ = _average(model, first.size)
    for term, values in zip(terms, (first, second), strict=True):
        for columns, names in ((x, model.design.expert_names), (z, model.design.gate_names)):
            if columns is not None and term in names:
                columns[:, list(names).index(term)] = values.ravel()
    weights = model.log_gate(x) if isinstance(model, LocatedModel) else model.log_gate(x, z)
    return np.exp(weights).reshape(*first.shape, -1)


def _average(
    model: FittedModel | LocatedModel, n: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[np.ndarray, np.ndarray]]:
    """Columns (n, d) of the experts and of the gate at their average, and their standard deviations."""
    if isinstance(model, LocatedModel):
        m, spread = model.measure, np.sqrt(sum(_located_spread(model)))
        return np.tile(m.weights @ m.means, (n, 1)), None, (spread, spread)
    own, gate = model.units.x_scaling, model.units.z_scaling
    known = dict(zip(model.design.expert_names, zip(own.center, own.scale, strict=True), strict=True))
    middle = zip(gate.center, gate.scale, strict=True)  # zero and one where a gate takes columns as they are
    at = [known.get(name, pair) for name, pair in zip(model.design.gate_names, middle, strict=True)]
    center, scale = np.array(at).reshape(-1, 2).T
    return np.tile(own.center, (n, 1)), np.tile(center, (n, 1)), (own.scale, scale)


def _located_spread(model: LocatedModel) -> tuple[np.ndarray, np.ndarray]:
    """Variances of the columns between experts and within them."""
    m = model.measure
    between = m.weights @ (m.means - m.weights @ m.means) ** 2
    return between, m.weights @ np.diagonal(m.covariances, axis1=1, axis2=2)

"""From a file to an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import ArrayDesign
from ..errors import DataError
from ..fitted import FittedModel, LocatedModel, model_from_dict, read_file
from ..fitted.values import decode
from ..gates import TopKGate
from ..selection import Sweep, choose
from .classifier import MoEClassifier
from .cross_validated import MoEClassifierCV, MoERegressorCV
from .found import ATTRIBUTES, Found
from .located import LocatedMoERegressor
from .regressor import MoERegressor

ESTIMATORS: dict[str, Any] = {
    kind.__name__: kind for kind in (MoEClassifier, MoERegressor, MoEClassifierCV, MoERegressorCV)
}


def load_model(path: Any) -> Any:
    """The fitted estimator that `save` or ``moestro fit --out`` wrote. Nothing in the file is executed.

    It predicts, and has its measure, status, tables, parameters and the standard errors that the file keeps;
    `clone` and `fit` make it anew. The training data and the `path_` of a penalised fit are not in a file.
    What the command wrote, and files of earlier versions, do not say how the fit was searched: these words
    are at their defaults then, and `selection_` has the chosen fit alone.
    """
    return read_file(path, _estimator)


def _estimator(data: Any) -> Any:
    model = model_from_dict(data)
    if isinstance(model, LocatedModel):
        return LocatedMoERegressor.of(model)
    words = data.get("estimator")
    if words is None:
        return _guessed(model)
    if words["class"] not in ESTIMATORS:
        raise DataError(f"unknown estimator {words['class']!r} in the model file")
    attributes = {n: decode(words["attributes"][n]) for n in ATTRIBUTES if n in words["attributes"]}
    found = Found.from_dict(model, decode(words["found"]))
    return _fitted(ESTIMATORS[words["class"]](**decode(words["parameters"])), attributes, found)


def _guessed(model: FittedModel) -> Any:
    """The estimator that a model belongs to, from the model itself."""
    m, classes, design = model.fit.model, model.units.classes, model.design
    words: dict[str, Any] = {"n_experts": m.k}
    if isinstance(m.gate, TopKGate):
        words |= m.gate.options()
    else:
        words["gate"] = m.gate if m.gate.options() else m.gate.name
    if not classes:
        words |= {"family": m.family.name, "shared_variance": m.family.tied_nuisances}
    if isinstance(design, ArrayDesign):
        sides = {"expert_features": design.experts, "gate_features": design.gate}
        words |= {n: None if c is None else list(c) for n, c in sides.items()}
        words["gate_transform"] = design.transform
        names = design.names
    else:
        words["formula"], names = design.text, design.variables
    attributes: dict[str, Any] = {"n_features_in_": len(names)}
    if names != tuple(f"x{j}" for j in range(len(names))):  # else the columns had no names
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    if classes:
        attributes["classes_"] = np.array(classes)
    only = Sweep((model.fit,), choose([model.fit], "bic"))
    kind = MoEClassifier if classes else MoERegressor
    return _fitted(kind(**words), attributes, Found(model, only.table()))


def _fitted(estimator: Any, attributes: dict[str, Any], found: Found) -> Any:
    for name, value in attributes.items():
        setattr(estimator, name, value)
    estimator._store(found)
    return estimator

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
    kind.__name__: kind
    for kind in (MoEClassifier, MoERegressor, LocatedMoERegressor, MoEClassifierCV, MoERegressorCV)
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
    words = data.get("estimator")
    if words is None:
        return _guessed(model)
    if words["class"] not in ESTIMATORS:
        raise DataError(f"unknown estimator {words['class']!r} in the model file")
    attributes = {n: decode(words["attributes"][n]) for n in ATTRIBUTES if n in words["attributes"]}
    found = Found.from_dict(model, decode(words["found"]))
    return _fitted(ESTIMATORS[words["class"]](**decode(words["parameters"])), attributes, found)


def _guessed(model: FittedModel | LocatedModel) -> Any:
    """The estimator that a model belongs to, from the model itself."""
    kind, words, classes = _located(model) if isinstance(model, LocatedModel) else _softmax(model)
    names = model.design.names if isinstance(model.design, ArrayDesign) else model.design.variables
    if not isinstance(model.design, ArrayDesign):
        words["formula"] = model.design.text
    attributes: dict[str, Any] = {"n_features_in_": len(names)}
    if names != tuple(f"x{j}" for j in range(len(names))):  # else the columns had no names
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    if classes:
        attributes["classes_"] = np.array(classes)
    only = Sweep((model.fit,), choose([model.fit], "bic"))
    return _fitted(kind(**words), attributes, Found(model, only.table()))


def _located(model: LocatedModel) -> tuple[Any, dict[str, Any], tuple]:
    """Class, constructor words, and labels of the classes."""
    return LocatedMoERegressor, {"n_experts": model.fit.k, **vars(model.fit.specification)}, ()


def _softmax(model: FittedModel) -> tuple[Any, dict[str, Any], tuple]:
    m, classes, design = model.fit.model, model.units.classes, model.design
    words: dict[str, Any] = {"n_experts": m.k}
    if isinstance(m.gate, TopKGate):
        words |= m.gate.options()
    else:
        words["gate"] = m.gate if m.gate.options() else m.gate.name
    if not classes:
        words |= {"family": m.family.name, "shared_variance": m.family.tied_nuisances}
    if isinstance(design, ArrayDesign):
        parts = {"expert_features": design.experts, "gate_features": design.gate}
        words |= {n: None if c is None else list(c) for n, c in parts.items()}
        words["gate_transform"] = design.transform
    return MoEClassifier if classes else MoERegressor, words, classes


def _fitted(estimator: Any, attributes: dict[str, Any], found: Found) -> Any:
    for name, value in attributes.items():
        setattr(estimator, name, value)
    estimator._store(found)
    return estimator

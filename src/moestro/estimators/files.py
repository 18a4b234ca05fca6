"""From a file to an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import ArrayDesign
from ..design.holes import MARGINAL
from ..errors import DataError
from ..fitted import FittedModel, LocatedModel, model_from_dict
from ..fitted.values import decode
from ..gates import TopKGate
from ..reading import read_json, whole
from ..selection import Sweep, choose
from .classifier import MoEClassifier
from .cross_validated import MoEClassifierCV, MoERegressorCV
from .found import ATTRIBUTES, Found
from .kinds import Classifier
from .located import LocatedMoERegressor
from .regressor import MoERegressor

THREADS = 10**4
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
    return read_json(path, _estimator)


def _estimator(data: Any) -> Any:
    model = model_from_dict(data)
    words = data.get("estimator")
    if words is None:
        return _guessed(model)
    if words["class"] not in ESTIMATORS:
        raise DataError(f"unknown estimator {words['class']!r} in the model file")
    kind, parameters = ESTIMATORS[words["class"]], decode(words["parameters"])
    _check_words(model, kind, parameters)
    attributes = {n: decode(words["attributes"][n]) for n in ATTRIBUTES if n in words["attributes"]}
    _check_attributes(model, attributes)
    found = Found.from_dict(model, decode(words["found"]))
    return _fitted(kind(**parameters), attributes, found)


def _check_words(model: FittedModel | LocatedModel, kind: Any, parameters: dict[str, Any]) -> None:
    """Refuse an estimator that cannot have fitted the model."""
    located = isinstance(model, LocatedModel)
    if issubclass(kind, LocatedMoERegressor) != located or issubclass(kind, Classifier) != bool(
        model.classes
    ):
        raise DataError(f"the model file has a model that {kind.__name__} does not fit")
    text = None if isinstance(model.design, ArrayDesign) else model.design.text
    if parameters["formula"] != text:
        raise DataError("the model file's formula is not that of its design")
    if parameters.get("gate_at", "constant") != model.gate_at:
        raise DataError("the model file's gate_at is not that of its model")
    if parameters["n_jobs"] is not None:
        whole(parameters["n_jobs"], "n_jobs", -THREADS, THREADS)


def _check_attributes(model: FittedModel | LocatedModel, attributes: dict[str, Any]) -> None:
    """Refuse attributes that are not the model's own."""
    design = model.design
    names = design.names if isinstance(design, ArrayDesign) else design.variables
    count = whole(attributes["n_features_in_"], "number of features", 0, len(names))
    given = attributes.get("feature_names_in_")
    known = None if given is None else np.asarray(given, dtype=object).tolist()
    if count != len(names) or known not in (None, list(names)):
        raise DataError("the model file's features are not the columns of its design")
    classes = np.asarray(attributes.get("classes_", ()))
    if classes.tolist() != list(model.classes):
        raise DataError("the model file's classes are not those of its model")


def estimator_of(model: FittedModel | LocatedModel, found: Found) -> Any:
    """The estimator that a model belongs to, with everything that was found."""
    estimator = _guessed(model)
    estimator._store(found)
    return estimator


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
    if words.get("missing") != MARGINAL:
        words["missing"] = "error" if model.dropped is None else "drop"
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
        family = [law.name for law in m.family.members] or m.family.name
        words |= {"family": family, "shared_variance": m.family.tied_nuisances}
    elif m.family.ordered:
        words |= {"family": m.family.name, "levels": list(classes)}
    elif list(classes) != sorted(classes):
        words["levels"] = list(classes)
    words["gate_at"] = model.gate_at
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

"""Mixture-of-experts models: estimated, chosen, trusted.

    p(y | x) = sum_i g_i(x) f_i(y | x)

Names are imported when they are first used, so that ``import moestro`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .choosing import Selection, select_experts
    from .datasets import load_dataset
    from .distribution import PredictiveDistribution
    from .errors import DataError
    from .estimators import (
        LocatedMoERegressor,
        MoEClassifier,
        MoEClassifierCV,
        MoERegressor,
        MoERegressorCV,
        alpha_path,
        bootstrap_test,
        compare,
        confident_lower_bound,
        load_model,
        stability_selection,
        vuong_test,
    )
    from .fitted import FittedModel
    from .measure import MixingMeasure

__version__ = "0.1.0"

_HOME = {
    "MoEClassifier": "estimators",
    "MoERegressor": "estimators",
    "MoEClassifierCV": "estimators",
    "MoERegressorCV": "estimators",
    "LocatedMoERegressor": "estimators",
    "alpha_path": "estimators",
    "bootstrap_test": "estimators",
    "compare": "estimators",
    "stability_selection": "estimators",
    "confident_lower_bound": "estimators",
    "load_model": "estimators",
    "vuong_test": "estimators",
    "MixingMeasure": "measure",
    "PredictiveDistribution": "distribution",
    "FittedModel": "fitted",
    "Selection": "choosing",
    "select_experts": "choosing",
    "load_dataset": "datasets",
    "DataError": "errors",
}

__all__ = [
    "DataError",
    "FittedModel",
    "LocatedMoERegressor",
    "MixingMeasure",
    "MoEClassifier",
    "MoEClassifierCV",
    "MoERegressor",
    "MoERegressorCV",
    "PredictiveDistribution",
    "Selection",
    "alpha_path",
    "bootstrap_test",
    "compare",
    "confident_lower_bound",
    "load_dataset",
    "load_model",
    "select_experts",
    "stability_selection",
    "vuong_test",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

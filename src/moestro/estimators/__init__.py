"""scikit-learn estimators."""

from .classifier import MoEClassifier
from .cross_validated import MoEClassifierCV, MoERegressorCV
from .located import LocatedMoERegressor
from .lower_bound import confident_lower_bound
from .paths import RegularizationPath, Stability, alpha_path, stability_selection
from .regressor import MoERegressor

__all__ = [
    "LocatedMoERegressor",
    "MoEClassifier",
    "MoEClassifierCV",
    "MoERegressor",
    "MoERegressorCV",
    "RegularizationPath",
    "Stability",
    "alpha_path",
    "confident_lower_bound",
    "stability_selection",
]

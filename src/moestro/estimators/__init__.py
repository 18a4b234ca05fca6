"""scikit-learn estimators."""

from .classifier import MoEClassifier
from .compared import bootstrap_test, compare, vuong_test
from .cross_validated import MoEClassifierCV, MoERegressorCV
from .files import load_model
from .located import LocatedMoERegressor
from .lower_bound import confident_lower_bound
from .paths import RegularizationPath
from .regressor import MoERegressor
from .stability import Stability, alpha_path, stability_selection

__all__ = [
    "LocatedMoERegressor",
    "MoEClassifier",
    "MoEClassifierCV",
    "MoERegressor",
    "MoERegressorCV",
    "RegularizationPath",
    "Stability",
    "alpha_path",
    "bootstrap_test",
    "compare",
    "confident_lower_bound",
    "load_model",
    "stability_selection",
    "vuong_test",
]

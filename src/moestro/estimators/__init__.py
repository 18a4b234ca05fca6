"""scikit-learn estimators."""

from .classifier import MoEClassifier
from .located import LocatedMoERegressor
from .lower_bound import confident_lower_bound
from .regressor import MoERegressor

__all__ = ["LocatedMoERegressor", "MoEClassifier", "MoERegressor", "confident_lower_bound"]

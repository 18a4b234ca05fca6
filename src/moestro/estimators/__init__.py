"""scikit-learn estimators."""

from .classifier import MoEClassifier
from .regressor import MoERegressor

__all__ = ["MoEClassifier", "MoERegressor"]

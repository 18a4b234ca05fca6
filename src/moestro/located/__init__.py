"""Gaussian-gated experts as joint Gaussian mixtures: gate and experts located in the space of (x, y)."""

from .equivalence import to_located, to_softmax
from .fit import LocatedFit, fit_located
from .measure import LocatedMeasure

__all__ = ["LocatedFit", "LocatedMeasure", "fit_located", "to_located", "to_softmax"]

"""Gaussian-gated experts as joint mixtures: gate and experts located in the space of (x, y)."""

from .equivalence import to_located, to_softmax
from .fit import LocatedFit, fit_located
from .law import LocatedLaw
from .measure import LocatedMeasure
from .specification import Specification

__all__ = [
    "LocatedFit",
    "LocatedLaw",
    "LocatedMeasure",
    "Specification",
    "fit_located",
    "to_located",
    "to_softmax",
]

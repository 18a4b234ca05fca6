"""Gaussian-gated experts as joint mixtures: gate and experts located in the space of (x, y)."""

from .equivalence import to_located, to_softmax
from .fit import fit_located, fit_measured
from .law import LocatedLaw
from .measure import LocatedMeasure
from .mixture import LocatedFit
from .specification import Specification

__all__ = [
    "LocatedFit",
    "LocatedLaw",
    "LocatedMeasure",
    "Specification",
    "fit_located",
    "fit_measured",
    "to_located",
    "to_softmax",
]

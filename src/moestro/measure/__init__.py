"""Mixing measures, and their conversion to and from parameter vectors."""

from .measure import MixingMeasure
from .units import from_user, measure_of, relevelled, theta_of, to_user, user_jacobian

__all__ = [
    "MixingMeasure",
    "from_user",
    "measure_of",
    "relevelled",
    "theta_of",
    "to_user",
    "user_jacobian",
]

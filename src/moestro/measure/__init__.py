"""Mixing measures, and their conversion to and from parameter vectors."""

from .measure import FORMAT, MixingMeasure
from .units import from_user, measure_of, relevelled, theta_of, to_user, user_jacobian

__all__ = [
    "FORMAT",
    "MixingMeasure",
    "from_user",
    "measure_of",
    "relevelled",
    "theta_of",
    "to_user",
    "user_jacobian",
]

"""What a fit says: tidy tables, one text, and the experts in words; a file a model class."""

from typing import Any

from ..tables import Table
from .coefficients import coefficients
from .comparison import Comparison, comparison
from .glance import glance
from .parts import Parts, parts_of
from .sweep import spoken, sweep_text
from .text import summary_text


def tidy(model: Any, covariance: Any = None, level: float = 0.95, simultaneous: bool = False) -> Table:
    """One row a coefficient in the user's units; with a covariance of the estimates also std_error, z, p,
    low, high, whose intervals cover one parameter, or all at once."""
    return coefficients(model.estimates(covariance), level, simultaneous)


__all__ = [
    "Comparison", "Parts", "comparison", "glance", "parts_of", "spoken", "summary_text", "sweep_text", "tidy",
]  # fmt: skip

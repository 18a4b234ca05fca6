"""What a fit says: tidy tables, one text, and the experts in words; a file a model class."""

from typing import Any

from ..fitted import FittedModel, LocatedModel
from ..tables import Table
from . import located, mixture
from .coefficients import coefficients
from .glance import glance

FILES = {FittedModel: mixture, LocatedModel: located}


def tidy(model: Any, covariance: Any = None, level: float = 0.95) -> Table:
    """One row a coefficient in the user's units; with a covariance of the estimates also se, z, p, low,
    high."""
    return coefficients(model.estimates(covariance), level)


def summary_text(model: Any, covariance: Any = None) -> str:
    """The whole fit as one text."""
    return FILES[type(model)].summary_text(model, covariance)


__all__ = ["glance", "summary_text", "tidy"]

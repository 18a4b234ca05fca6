"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from ..errors import DataError
from .base import Family
from .gaussian import Gaussian
from .multinomial import Multinomial
from .poisson import Poisson

FAMILIES = {"multinomial": Multinomial, "gaussian": Gaussian, "poisson": Poisson}


def make_family(name: str, classes: int = 0, shared_variance: bool = False) -> Family:
    """The family called `name`, with the options that concern it."""
    if name not in FAMILIES:
        raise DataError(f"family={name!r} is unknown: choose one of {', '.join(FAMILIES)}")
    if shared_variance and name != "gaussian":
        raise DataError(f"shared_variance belongs to family='gaussian', not to family={name!r}")
    return FAMILIES[name].make(classes, shared_variance)


__all__ = ["FAMILIES", "Family", "Gaussian", "Multinomial", "Poisson", "make_family"]

"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from ..errors import DataError
from .base import Family
from .gaussian import Gaussian
from .multinomial import Multinomial
from .poisson import Poisson

FAMILIES = {"multinomial": Multinomial, "gaussian": Gaussian, "poisson": Poisson}


def make_family(name: str | Family, classes: int = 0, shared_variance: bool = False) -> Family:
    """The family called `name`, with the options that concern it; a family of one's own as it is."""
    if not isinstance(name, str):
        if shared_variance:
            raise DataError(
                "shared_variance belongs to family='gaussian': "
                "a family of one's own says itself what is shared"
            )
        return name
    if name not in FAMILIES:
        raise DataError(f"family={name!r} is unknown: choose one of {', '.join(FAMILIES)}")
    if shared_variance and name != "gaussian":
        raise DataError(f"shared_variance belongs to family='gaussian', not to family={name!r}")
    return FAMILIES[name].make(classes, shared_variance)


def known_as(family: Family) -> str | Family:
    """The name by which `make_family` makes a family, or the family itself where it is one's own."""
    return family.name if type(family) is FAMILIES.get(family.name) else family


__all__ = ["FAMILIES", "Family", "Gaussian", "Multinomial", "Poisson", "known_as", "make_family"]

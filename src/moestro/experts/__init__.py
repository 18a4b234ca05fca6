"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from ..errors import DataError
from .base import Facts, Family
from .beta import Beta
from .binomial import Binomial
from .gamma import Gamma
from .gaussian import Gaussian
from .inverse_gaussian import InverseGaussian
from .lognormal import Lognormal
from .multinomial import Multinomial
from .negative_binomial import NegativeBinomial
from .poisson import Poisson
from .student import Student
from .weibull import Weibull

FAMILIES = {
    "multinomial": Multinomial,
    "gaussian": Gaussian,
    "poisson": Poisson,
    "negative-binomial": NegativeBinomial,
    "binomial": Binomial,
    "binomial-probit": Binomial,
    "binomial-cloglog": Binomial,
    "gamma": Gamma,
    "inverse-gaussian": InverseGaussian,
    "lognormal": Lognormal,
    "beta": Beta,
    "student": Student,
    "weibull": Weibull,
}


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
    return FAMILIES[name].make(name, classes, shared_variance)


def known_as(family: Family) -> str | Family:
    """The name by which `make_family` makes a family, or the family itself where it is one's own."""
    return family.name if type(family) is FAMILIES.get(family.name) else family


__all__ = [
    "FAMILIES",
    "Beta",
    "Binomial",
    "Facts",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Lognormal",
    "Multinomial",
    "NegativeBinomial",
    "Poisson",
    "Student",
    "Weibull",
    "known_as",
    "make_family",
]

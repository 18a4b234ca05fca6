"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from .base import Facts, Family
from .beta import Beta
from .binomial import Binomial
from .gamma import Gamma
from .gaussian import Gaussian
from .inverse_gaussian import InverseGaussian
from .lognormal import Lognormal
from .mixed import Mixed
from .multinomial import Multinomial
from .negative_binomial import NegativeBinomial
from .ordinal import Ordinal
from .point import POINTS, Point
from .poisson import Poisson
from .student import Student
from .truncated_poisson import TruncatedPoisson
from .weibull import Weibull

FAMILIES = {
    "multinomial": Multinomial,
    "ordinal": Ordinal,
    "gaussian": Gaussian,
    "poisson": Poisson,
    "truncated-poisson": TruncatedPoisson,
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
CLASSES = ("multinomial", "ordinal")  # families of classes

POINTS_OF = {name: Point(name) for name in POINTS}


def make_family(
    name: str | Family | Sequence[str | Family], classes: int = 0, shared_variance: bool = False
) -> Family:
    """The family called `name`, with the options that concern it; a family of one's own as it is; of several,
    in a list or as "zero,poisson", experts of which each has its own."""
    several = name.split(",") if isinstance(name, str) and "," in name else name
    if isinstance(several, list | tuple):
        if shared_variance:
            raise DataError("shared_variance belongs to experts of one family: leave it out")
        members = tuple(POINTS_OF.get(m) or make_family(m, classes) for m in map(_stripped, several))
        if len(members) < 2:
            raise DataError(f"family={name!r} names no two families: one family stands without a list")
        return Mixed(members)
    if not isinstance(name, str):
        if shared_variance:
            raise DataError(
                "shared_variance belongs to family='gaussian': "
                "a family of one's own says itself what is shared"
            )
        return name
    if name in POINTS:
        raise DataError(
            f"'{name}' is an expert beside others: name the family of each, as in family=['zero', 'poisson']"
        )
    if name not in FAMILIES:
        raise DataError(f"family={name!r} is unknown: choose one of {', '.join(FAMILIES)}")
    if shared_variance and name != "gaussian":
        raise DataError(f"shared_variance belongs to family='gaussian', not to family={name!r}")
    return FAMILIES[name].make(name, classes, shared_variance)


def known_as(family: Family) -> str | Family:
    """The name by which `make_family` makes a family, or the family itself where it is one's own."""
    if isinstance(family, Mixed):
        return family.name if all(isinstance(known_as(m), str) for m in family.members) else family
    return family.name if type(family) in (FAMILIES.get(family.name), Point) else family


def is_known(name: Any) -> bool:
    """Whether `make_family` knows a name, or several with commas between them."""
    if not isinstance(name, str):
        return False
    parts = [part.strip() for part in name.split(",")]
    return all(p in FAMILIES or (p in POINTS and len(parts) > 1) for p in parts)


def _stripped(name: Any) -> Any:
    return name.strip() if isinstance(name, str) else name


__all__ = [
    "CLASSES",
    "FAMILIES",
    "POINTS",
    "Beta",
    "Binomial",
    "Facts",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Lognormal",
    "Mixed",
    "Multinomial",
    "NegativeBinomial",
    "Ordinal",
    "Point",
    "Poisson",
    "Student",
    "TruncatedPoisson",
    "Weibull",
    "is_known",
    "known_as",
    "make_family",
]

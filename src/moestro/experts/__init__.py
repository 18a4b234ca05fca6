"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from typing import Any

from ..errors import DataError
from ..reading import check_flag, from_numpy
from .base import Facts, Family
from .beta import Beta
from .binomial import Binomial
from .censored import Censored
from .classes import OfClasses
from .gamma import Gamma
from .gaussian import Gaussian
from .interval import Interval
from .inverse_gaussian import InverseGaussian
from .lognormal import Lognormal
from .mixed import Mixed
from .multinomial import Multinomial
from .negative_binomial import NegativeBinomial
from .ordinal import Ordinal
from .point import POINTS, Point
from .poisson import Poisson
from .skew_t import SkewT
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
    "skew-t": SkewT,
    "censored": Censored,
    "interval": Interval,
    "weibull": Weibull,
}
CLASSES = tuple(name for name, family in FAMILIES.items() if issubclass(family, OfClasses))
ORDERED = tuple(name for name, family in FAMILIES.items() if family.ordered)  # of classes in an order


def make_family(
    name: str | Family | list[Any] | tuple[Any, ...], classes: int = 0, shared_variance: bool = False
) -> Family:
    """The family called `name`, with the options that concern it; a family of one's own as it is; of several,
    in a list or as "zero,poisson", experts of which each has its own."""
    name, shared_variance = from_numpy(name), check_flag("shared_variance", shared_variance)
    if isinstance(name, str) and "," in name:
        name = name.split(",")
    if isinstance(name, list | tuple):
        if shared_variance:
            raise DataError("shared_variance belongs to experts of one family: leave it out")
        names = [m.strip() if isinstance(m, str) else m for m in name]
        members = tuple(
            Point(m) if isinstance(m, str) and m in POINTS else make_family(m, classes) for m in names
        )
        if len(members) < 2:
            raise DataError(f"family={name!r} names one family: give it without a list")
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
    if not is_known(name):
        raise DataError(f"family={name!r} is unknown: choose one of {', '.join(FAMILIES)}")
    if shared_variance and name != "gaussian":
        raise DataError(f"shared_variance belongs to family='gaussian', not to family={name!r}")
    return FAMILIES[_kind(name)].make(name, classes, shared_variance)


def known_as(family: Family) -> str | Family:
    """The name by which `make_family` makes a family, or the family itself where it is one's own."""
    if isinstance(family, Mixed):
        return family.name if all(isinstance(known_as(m), str) for m in family.members) else family
    return family.name if type(family) in (FAMILIES.get(_kind(family.name)), Point) else family


def is_known(name: Any) -> bool:
    """Whether `make_family` knows a name, or several with commas between them."""
    if not isinstance(name, str):
        return False
    parts = [part.strip() for part in name.split(",")]
    return all(_kind(p) in FAMILIES or (p in POINTS and len(parts) > 1) for p in parts)


def _kind(name: str) -> str:
    """The name without the limits in it: "censored[0:5]" is "censored"."""
    kind, _, _ = name.partition("[")
    return kind if kind == "censored" else name


__all__ = [
    "CLASSES",
    "FAMILIES",
    "ORDERED",
    "POINTS",
    "Beta",
    "Binomial",
    "Censored",
    "Facts",
    "Family",
    "Gamma",
    "Gaussian",
    "Interval",
    "InverseGaussian",
    "Lognormal",
    "Mixed",
    "Multinomial",
    "NegativeBinomial",
    "Ordinal",
    "Point",
    "Poisson",
    "SkewT",
    "Student",
    "TruncatedPoisson",
    "Weibull",
    "is_known",
    "known_as",
    "make_family",
]

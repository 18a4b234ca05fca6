"""Families of experts: log f(y | eta) and its derivatives. One file a family."""

from .base import Family
from .gaussian import Gaussian
from .multinomial import Multinomial
from .poisson import Poisson

FAMILIES = {"multinomial": Multinomial, "gaussian": Gaussian, "poisson": Poisson}

__all__ = ["FAMILIES", "Family", "Gaussian", "Multinomial", "Poisson"]

"""How far the estimates can be trusted."""

from .covariance import KINDS, Covariance, bootstrap, covariance
from .located import LocatedCovariance, located_bootstrap, located_covariance
from .terms import Terms

__all__ = [
    "KINDS",
    "Covariance",
    "LocatedCovariance",
    "Terms",
    "bootstrap",
    "covariance",
    "located_bootstrap",
    "located_covariance",
]

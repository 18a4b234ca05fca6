"""How far the estimates can be trusted."""

from .clusters import Clusters
from .covariance import Covariance, covariance, mixture_estimates
from .estimates import Estimates
from .hypotheses import Hypotheses, HypothesisTest, wald_test
from .located import LocatedCovariance, located_covariance, located_estimates
from .located_refitted import located_refitted
from .refitted import refitted
from .request import CORRECTIONS, FORMULAS, KINDS, Request
from .terms import Terms

__all__ = [
    "CORRECTIONS",
    "FORMULAS",
    "KINDS",
    "Clusters",
    "Covariance",
    "Estimates",
    "Hypotheses",
    "HypothesisTest",
    "LocatedCovariance",
    "Request",
    "Terms",
    "covariance",
    "located_covariance",
    "located_estimates",
    "located_refitted",
    "mixture_estimates",
    "refitted",
    "wald_test",
]

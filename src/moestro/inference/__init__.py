"""How far the estimates can be trusted."""

from .clusters import Clusters
from .covariance import KINDS, Covariance, covariance, mixture_estimates, refitted
from .estimates import Estimates, Term
from .hypotheses import Hypotheses, HypothesisTest, wald_test
from .located import LocatedCovariance, located_covariance, located_estimates, located_refitted
from .refits import Refits
from .terms import Terms

__all__ = [
    "KINDS",
    "Clusters",
    "Covariance",
    "Estimates",
    "Hypotheses",
    "HypothesisTest",
    "LocatedCovariance",
    "Refits",
    "Term",
    "Terms",
    "covariance",
    "located_covariance",
    "located_estimates",
    "located_refitted",
    "mixture_estimates",
    "refitted",
    "wald_test",
]

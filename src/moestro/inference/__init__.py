"""How far the estimates can be trusted."""

from .covariance import KINDS, Covariance, bootstrap, covariance

__all__ = ["KINDS", "Covariance", "bootstrap", "covariance"]

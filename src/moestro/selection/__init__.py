"""Choosing the number of experts."""

from .criteria import CRITERIA, aic, bic, icl
from .sweep import Sweep, sweep

__all__ = ["CRITERIA", "Sweep", "aic", "bic", "icl", "sweep"]

"""Choosing the number of experts, and which model."""

from .choice import CHOICES, EVERY, Choice, choose
from .criteria import CRITERIA, aic, bic, icl
from .dendrogram import Dendrogram, dendrogram
from .located import LocatedSweep, sweep_located
from .lower_bound import LowerBound, lower_bound
from .slope import DDSE, Djump, ddse, djump
from .sweep import Sweep, sweep

__all__ = [
    "CHOICES",
    "CRITERIA",
    "DDSE",
    "EVERY",
    "Choice",
    "Dendrogram",
    "Djump",
    "LocatedSweep",
    "LowerBound",
    "Sweep",
    "aic",
    "bic",
    "choose",
    "ddse",
    "dendrogram",
    "djump",
    "icl",
    "lower_bound",
    "sweep",
    "sweep_located",
]

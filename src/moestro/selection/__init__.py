"""Choosing the number of experts, and which model."""

from .choice import CHOICES, EVERY, Choice, choose
from .criteria import CRITERIA, aic, bic, icl
from .ddse import DDSE, ddse
from .dendrogram import Dendrogram, dendrogram
from .located import LocatedModels
from .lower_bound import LowerBound, lower_bound
from .mixture import Mixtures
from .slope import Djump, djump
from .sweep import Sweep, sweep

__all__ = [
    "CHOICES",
    "CRITERIA",
    "DDSE",
    "EVERY",
    "Choice",
    "Dendrogram",
    "Djump",
    "LocatedModels",
    "LowerBound",
    "Mixtures",
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
]

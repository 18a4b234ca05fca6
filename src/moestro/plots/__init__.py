"""Pictures of fits, with matplotlib."""

from .diagnostics import CalibrationDisplay, ResidualDisplay
from .displays import CriteriaDisplay, ExpertDisplay, GateDisplay, overview
from .fitted import FanDisplay, FitDisplay
from .map import GateMapDisplay
from .penalised import PathDisplay, StabilityDisplay
from .routing import RoutingDisplay
from .search import SearchDisplay
from .selection import DendrogramDisplay, JumpDisplay, SlopeDisplay
from .who import ForestDisplay, PosteriorDisplay, ProfileDisplay

__all__ = [
    "CalibrationDisplay",
    "CriteriaDisplay",
    "DendrogramDisplay",
    "ExpertDisplay",
    "FanDisplay",
    "FitDisplay",
    "ForestDisplay",
    "GateDisplay",
    "GateMapDisplay",
    "JumpDisplay",
    "PathDisplay",
    "PosteriorDisplay",
    "ProfileDisplay",
    "ResidualDisplay",
    "RoutingDisplay",
    "SearchDisplay",
    "SlopeDisplay",
    "StabilityDisplay",
    "overview",
]

"""Pictures of fits, with matplotlib."""

from .displays import CriteriaDisplay, ExpertDisplay, GateDisplay, overview
from .penalised import PathDisplay, StabilityDisplay
from .routing import RoutingDisplay
from .search import SearchDisplay
from .selection import DendrogramDisplay, JumpDisplay, SlopeDisplay

__all__ = [
    "CriteriaDisplay",
    "DendrogramDisplay",
    "ExpertDisplay",
    "GateDisplay",
    "JumpDisplay",
    "PathDisplay",
    "RoutingDisplay",
    "SearchDisplay",
    "SlopeDisplay",
    "StabilityDisplay",
    "overview",
]

"""Pictures of fits, with matplotlib."""

from .displays import CriteriaDisplay, ExpertDisplay, GateDisplay, overview
from .penalised import PathDisplay, StabilityDisplay
from .routing import RoutingDisplay
from .selection import DendrogramDisplay, JumpDisplay, SlopeDisplay

__all__ = [
    "CriteriaDisplay",
    "DendrogramDisplay",
    "ExpertDisplay",
    "GateDisplay",
    "JumpDisplay",
    "PathDisplay",
    "RoutingDisplay",
    "SlopeDisplay",
    "StabilityDisplay",
    "overview",
]

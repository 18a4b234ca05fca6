"""Pictures of fits, with matplotlib."""

from .displays import CriteriaDisplay, ExpertDisplay, GateDisplay, overview
from .selection import DendrogramDisplay, JumpDisplay, SlopeDisplay

__all__ = [
    "CriteriaDisplay",
    "DendrogramDisplay",
    "ExpertDisplay",
    "GateDisplay",
    "JumpDisplay",
    "SlopeDisplay",
    "overview",
]

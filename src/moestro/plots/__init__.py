"""Pictures of a fit (extra: matplotlib)."""

from .displays import CriteriaDisplay, ExpertDisplay, GateDisplay, overview

__all__ = ["CriteriaDisplay", "ExpertDisplay", "GateDisplay", "overview"]

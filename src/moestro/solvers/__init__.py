"""Solvers: pure steps over an engine's sums, the loop that runs them, and what their end is called."""

from .base import Info, Outcome, Solver, State, run
from .coordinates import Coordinates, Objective
from .em import EM
from .lbfgs import LBFGS
from .newton import Newton
from .sampled import Sampled
from .status import Status, StatusKind, narrow_status, thin_status

__all__ = [
    "EM",
    "LBFGS",
    "Coordinates",
    "Info",
    "Newton",
    "Objective",
    "Outcome",
    "Sampled",
    "Solver",
    "State",
    "Status",
    "StatusKind",
    "narrow_status",
    "run",
    "thin_status",
]

"""Solvers: pure steps over an engine's sums, the loop that runs them, and the starts."""

from .base import Info, Outcome, Solver, State, run
from .candidates import Options
from .coordinates import Coordinates, Objective
from .em import EM
from .fit import SOLVERS, Fit, choose_solver, fit_mixture
from .lbfgs import LBFGS
from .newton import Newton
from .starts import STRATEGIES, auto_starts
from .status import Status, StatusKind

__all__ = [
    "EM",
    "LBFGS",
    "SOLVERS",
    "STRATEGIES",
    "Coordinates",
    "Fit",
    "Info",
    "Newton",
    "Objective",
    "Options",
    "Outcome",
    "Solver",
    "State",
    "Status",
    "StatusKind",
    "auto_starts",
    "choose_solver",
    "fit_mixture",
    "run",
]

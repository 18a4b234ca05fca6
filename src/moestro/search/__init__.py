"""The search for the best optimum: starts, moves, ranking, evidence, and the fit that they end in."""

from .evidence import Evidence
from .fit import SOLVERS, Fit, choose_solver, fit_mixture, fit_path
from .options import Options
from .starts import STRATEGIES, auto_starts

__all__ = [
    "SOLVERS",
    "STRATEGIES",
    "Evidence",
    "Fit",
    "Options",
    "auto_starts",
    "choose_solver",
    "fit_mixture",
    "fit_path",
]

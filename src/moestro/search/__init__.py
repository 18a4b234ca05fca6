"""The search for the best optimum of any problem: starts, moves, evidence, polish, and paths of fits of more
and more experts."""

from .audit import Said, audited
from .candidates import distinct
from .evidence import Evidence
from .fit import Fit, entropy, history
from .options import RANKINGS, Options, Progress, Until, seed_sequence
from .path import check_options, fit_path, fit_problem
from .problem import SEARCH_ROWS, Defaults, End, Problem, budget_of
from .starts import STRATEGIES, auto_starts

__all__ = [
    "RANKINGS",
    "SEARCH_ROWS",
    "STRATEGIES",
    "Defaults",
    "End",
    "Evidence",
    "Fit",
    "Options",
    "Problem",
    "Progress",
    "Said",
    "Until",
    "audited",
    "auto_starts",
    "budget_of",
    "check_options",
    "distinct",
    "entropy",
    "fit_path",
    "fit_problem",
    "history",
    "seed_sequence",
]

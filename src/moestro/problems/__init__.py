"""Model classes on rows, as the search sees them: one file a class."""

from .fit import SOLVERS, choose_solver, fit_above, fit_mixture, fit_mixtures
from .mixture import MixtureProblem
from .mixture_fit import MixtureFit

__all__ = [
    "SOLVERS",
    "MixtureFit",
    "MixtureProblem",
    "choose_solver",
    "fit_above",
    "fit_mixture",
    "fit_mixtures",
]

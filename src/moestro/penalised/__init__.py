"""Penalised mixtures: a problem of the search at each strength, paths of proximal Newton fits, and the choice
along them."""

from .choice import CRITERIA, columns_of, names_of
from .fit import ChosenFit, fit_penalised
from .likelihood import Likelihood
from .mixture import PenalisedFit, PenalisedProblem
from .path import N_ALPHAS, TOL, AlphaPath, fit_alphas
from .restricted import Restricted, whole_model
from .solve import Solution, solve
from .status import ACCEPTED

__all__ = [
    "ACCEPTED",
    "CRITERIA",
    "N_ALPHAS",
    "TOL",
    "AlphaPath",
    "ChosenFit",
    "Likelihood",
    "PenalisedFit",
    "PenalisedProblem",
    "Restricted",
    "Solution",
    "columns_of",
    "fit_alphas",
    "fit_penalised",
    "names_of",
    "solve",
    "whole_model",
]

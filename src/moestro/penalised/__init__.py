"""Penalised mixtures: a problem of the search at each strength, paths of proximal Newton fits, and the choice
along them."""

from .choice import columns_of, names_of
from .fit import ChosenFit, fit_penalised
from .likelihood import Likelihood
from .path import N_ALPHAS, TOL, AlphaPath, fit_alphas
from .restricted import on_support, whole_model
from .solve import Solution, solve
from .status import ACCEPTED

__all__ = [
    "ACCEPTED",
    "N_ALPHAS",
    "TOL",
    "AlphaPath",
    "ChosenFit",
    "Likelihood",
    "Solution",
    "columns_of",
    "fit_alphas",
    "fit_penalised",
    "names_of",
    "on_support",
    "solve",
    "whole_model",
]

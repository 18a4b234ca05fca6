"""Penalised mixtures: paths of proximal Newton fits, and the choice along them."""

from .choice import CRITERIA, columns_of, names_of
from .data import read
from .features import Features
from .fit import PenalisedFit, fit_penalised
from .path import N_ALPHAS, AlphaPath, fit_alphas
from .problem import Problem
from .restricted import Restricted, whole_model
from .solve import Point, solve

__all__ = [
    "CRITERIA",
    "N_ALPHAS",
    "AlphaPath",
    "Features",
    "PenalisedFit",
    "Point",
    "Problem",
    "Restricted",
    "columns_of",
    "fit_alphas",
    "fit_penalised",
    "names_of",
    "read",
    "solve",
    "whole_model",
]

"""One choice among fits, whatever the criterion and whatever was fitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..solvers import StatusKind
from .criteria import CRITERIA, Scored
from .ddse import DDSE, ddse
from .slope import Djump, djump

SLOPES = {"djump": djump, "ddse": ddse}
ALIASES = {"slope": "djump"}
CHOICES = (*CRITERIA, *SLOPES, "cv")  # what picks one of several fits; "dendrogram" makes its own
EVERY = (*CHOICES, "dendrogram")


@dataclass(frozen=True)
class Choice:
    """Which fit was chosen, and why.

    Attributes
    ----------
    index : int
    criterion : str
    columns : dict of str to list
        Every criterion of every fit, for a table.
    slope : Djump, DDSE or None
        The whole account of a slope heuristic.
    """

    index: int
    criterion: str
    columns: dict[str, list[Any]]
    slope: Djump | DDSE | None = None


def check_criterion(name: str, what: str = "criterion") -> str:
    """The criterion's own name; an unknown one is refused."""
    name = ALIASES.get(name, name)
    if name not in EVERY:
        raise DataError(f"{what}={name!r} is unknown: choose one of {', '.join(EVERY)}")
    return name


def criteria_of(fits: Sequence[Scored]) -> dict[str, list[Any]]:
    """AIC, BIC and ICL of every fit, by name."""
    return {name: [criterion(f) for f in fits] for name, criterion in CRITERIA.items()}


def choose(
    fits: Sequence[Scored],
    criterion: str,
    *,
    contrast: np.ndarray | None = None,
    held_out: np.ndarray | None = None,
    names: Sequence[Any] | None = None,
) -> Choice:
    """The usable fit with the smallest criterion.

    Parameters
    ----------
    fits : sequence
    criterion : one of CHOICES
        "djump" (or "slope") is the dimension jump and "ddse" the slope estimation, both with the number of
        parameters as penalty and complexity.
    contrast : ndarray, optional
        What slope heuristics penalise; minus the log-likelihoods by default.
    held_out : ndarray, optional
        -2 log-likelihood of rows left out, for "cv".
    names : sequence, optional
        What the account of a slope heuristic calls the fits; their places by default.
    """
    criterion = check_criterion(criterion)
    columns = criteria_of(fits)
    sound = np.array([f.status.usable for f in fits])
    if not sound.any():
        sound[:] = True
    slope = None
    if held_out is not None:
        columns["cv"] = list(held_out)
    if criterion in SLOPES:
        gamma = np.array([-f.log_likelihood for f in fits]) if contrast is None else contrast
        # The slope is learnt from models that are too large: experts on few rows are what they are made of.
        thin = np.array([f.status.kind == StatusKind.THIN for f in fits])
        at = np.flatnonzero((sound | thin) & np.isfinite(gamma))
        dimension = np.array([float(f.n_parameters) for f in fits])
        labels = range(len(fits)) if names is None else names
        slope = SLOPES[criterion](dimension[at], gamma[at], names=[labels[int(i)] for i in at])
        columns["contrast"] = list(gamma)
        columns["penalised"] = list(gamma + slope.kappa * dimension)
        return Choice(int(at[slope.index]), criterion, columns, slope)
    values = np.array(columns[criterion], dtype=float)
    values[~sound | ~np.isfinite(values)] = np.inf
    return Choice(int(np.argmin(values)), criterion, columns)


def number_of_experts(n_experts: Any, max_experts: Any) -> tuple[list[int], str]:
    """Numbers of experts to fit and the criterion among them, from what an estimator was given.

    `max_experts` None is 6, or 12 for slope heuristics, which learn the penalty from models that are clearly
    too large.
    """
    if isinstance(n_experts, str):
        n_experts = check_criterion(n_experts, "n_experts")
        if max_experts is None:
            max_experts = 12 if n_experts in SLOPES else 6
        if not _is_count(max_experts):
            raise DataError(f"max_experts must be a whole number of at least 1, got {max_experts!r}")
        return list(range(1, int(max_experts) + 1)), n_experts
    if not _is_count(n_experts):
        raise DataError(f"n_experts must be a whole number of at least 1, or a criterion, got {n_experts!r}")
    return [int(n_experts)], "bic"


def numbers_of_experts(n_experts: Any) -> list[int]:
    """Those to try, from one number or several."""
    several = isinstance(n_experts, Iterable) and not isinstance(n_experts, str)
    ks: list[Any] = list(n_experts) if several else [n_experts]
    for k in ks:
        if not _is_count(k):
            raise DataError(f"n_experts must be whole numbers of at least 1, got {k!r}")
    if not ks:
        raise DataError("n_experts needs at least one value")
    return [int(k) for k in ks]


def _is_count(k: Any) -> bool:
    return isinstance(k, int | np.integer) and not isinstance(k, bool) and int(k) >= 1

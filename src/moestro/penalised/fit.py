"""A penalised fit from data: the path, the choice on it, the fit without penalty, and one `Fit` that
everything else understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..penalties import L1, AdaptiveL1, Penalty, Terms
from ..search import Options, seed_sequence
from ..selection.cross_validation import Parts, splits
from ..tables import Table
from .choice import CRITERIA, log_likelihood, table
from .likelihood import Likelihood
from .mixture import PenalisedFit, PenalisedProblem
from .path import N_ALPHAS, TOL, AlphaPath, fit_alphas
from .solve import Solution, solve

FOLDS = 5
FOLD_TOL = 1e-6  # of fits that are only predicted from
HOPELESS = (
    10.0  # log-density of a row left out, beside the best strength, from which weaker ones are no choice
)
ROUNDS = 4  # searches at a chosen strength, where each finds a fit that changes the choice


@dataclass(frozen=True)
class ChosenFit:
    """A path and the fit chosen on it.

    Attributes
    ----------
    path : AlphaPath
    index : int
        Of the chosen strength.
    criterion : str
    table : Table
        One row a strength.
    fit : PenalisedFit
        With `refit` the one without penalty.
    """

    path: AlphaPath
    index: int
    criterion: str
    table: Table
    fit: PenalisedFit

    @property
    def alpha(self) -> float:
        """The chosen strength."""
        return float(self.path.alphas[self.index])

    @property
    def solution(self) -> Solution:
        return self.fit.solution


def fit_penalised(
    likelihood: Likelihood,
    penalty: Penalty,
    *,
    alphas: Sequence[float] | int = N_ALPHAS,
    criterion: str = "ebic",
    folds: Any = FOLDS,
    options: Options | None = None,
) -> ChosenFit:
    """Fit a path (or the penalty's own strength) and choose; the chosen strength is searched until a search
    there finds nothing better.

    Parameters
    ----------
    alphas : sequence of float or int
        Where the penalty leaves its strength open.
    criterion : {"ebic", "bic", "aic", "cv"}
    folds : int, splitter or iterable of (train, test)
        Of "cv": held-out log-likelihood.
    """
    if criterion not in CRITERIA:
        raise DataError(f"criterion={criterion!r} is unknown: choose one of {', '.join(CRITERIA)}")
    likelihood.check()
    options = Options(tol=TOL, seed=0) if options is None else options
    first, second, draw, last = seed_sequence(options.seed).spawn(4)
    parts = _folds(likelihood, folds, np.random.default_rng(draw)) if criterion == "cv" else []
    begin: list[np.ndarray] = []
    if isinstance(penalty, AdaptiveL1) and penalty.pilot is None:
        rule, own = "ebic" if criterion == "cv" else criterion, replace(options, seed=second)
        plain = L1(gate_ratio=penalty.gate_ratio, standardize=penalty.standardize, scale=penalty.scale)
        pilot = fit_penalised(likelihood, plain, criterion=rule, options=own).solution
        penalty, begin = penalty.with_pilot(pilot.slopes), [pilot.point]
    strength = penalty.alpha
    if strength is None:
        strength = penalty.theoretical(likelihood.layout(penalty), likelihood.k)
    wanted = alphas if strength is None else [strength]
    path = fit_alphas(likelihood, penalty, wanted, replace(options, seed=first), begin)
    index, left_out = 0, None
    known: list[dict] = [{} for _ in parts]
    for own in last.spawn(ROUNDS):
        if criterion == "cv":
            left_out = _held_out(path, parts, known)
        index = int(np.flatnonzero(table(path, criterion, left_out)["chosen"])[0])
        path, changed = path.with_search(index, replace(options, seed=own))
        if not changed:
            break
    index = min(index, len(path.points) - 1)
    fit = path.fit_at(index)
    if penalty.refit:
        fit = refitted(likelihood, fit)
    return ChosenFit(path, index, criterion, table(path, criterion, left_out, index), fit)


def _folds(likelihood: Likelihood, folds: Any, rng: np.random.Generator) -> Parts:
    """The folds, each with a row of positive weight to fit on for every parameter that no penalty holds."""
    rows, least = likelihood.rows, likelihood.n_free
    present = rows.weights > 0
    parts = splits(np.flatnonzero(present), rows.n, folds, rng)
    few = min((int(present[np.asarray(at)].sum()) for at, _ in parts), default=0)
    if few < least:
        raise DataError(
            f"{likelihood.k} experts need at least {least} rows, and a fold of the cross-validation leaves "
            f"{few}: use fewer experts, or criterion='bic'"
        )
    return parts


def _held_out(path: AlphaPath, parts: Parts, known: list[dict]) -> np.ndarray:
    """-2 held-out log-likelihood at each strength; the fits of a fold begin at those of all rows, so that
    they are about the same experts. `known` has the fits of each fold so far.

    It ends, with infinity, where rows left out are predicted with less than exp(-`HOPELESS`) of the best
    strength's density in geometric mean: fits that run after a handful of rows are the longest ones.
    """
    chain = replace(path.chain, tol=max(path.chain.tol, FOLD_TOL))
    folds = [tuple(path.likelihood.take(np.asarray(at)) for at in part) for part in parts]
    fits = [
        replace(chain, likelihood=inside).follow(path.alphas, path.points, own)
        for (inside, _), own in zip(folds, known, strict=True)
    ]
    weight = sum(rest.n for _, rest in folds)
    total = np.full(len(path.alphas), np.inf)
    for i, at in enumerate(zip(*fits, strict=True)):
        total[i] = -2.0 * sum(log_likelihood(rest, one) for (_, rest), one in zip(folds, at, strict=True))
        if total[i] > total[: i + 1].min() + 2.0 * HOPELESS * weight:
            break
    return total


def refitted(likelihood: Likelihood, fit: PenalisedFit) -> PenalisedFit:
    """The fit without penalty on the slopes of another."""
    chosen, free = fit.solution.slopes != 0, Terms.of(likelihood.size)
    solution = solve(likelihood, free, fit.solution.point, tol=TOL, screen=chosen, fixed=True)
    problem = PenalisedProblem(likelihood, free, 0.0)
    end = problem.end(solution)
    common = {"starts": fit.starts, "evidence": fit.evidence, "n_iter": fit.n_iter + solution.iterations}
    return problem.fit(end, status=problem.diagnose(end), **common)

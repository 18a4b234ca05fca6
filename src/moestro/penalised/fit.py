"""A penalised fit from data: the path, the choice on it, the fit without penalty, and one `Fit` that everything else understands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..penalties import L1, AdaptiveL1, Penalty, Terms
from ..problems import MixtureFit
from ..search import entropy
from ..selection.cross_validation import splits
from ..solvers import Coordinates, Status, StatusKind
from ..tables import Table
from .choice import CRITERIA, df, log_likelihood, table
from .path import N_ALPHAS, TOL, AlphaPath, fit_alphas
from .problem import Problem
from .restricted import Restricted, whole_model
from .solve import Point, solve
from .starts import collapsed

ACCEPTED = 1e-8  # optimality violation up to which a fit has converged
EMPTY = 1e-6  # share of the rows below which an expert has none
FOLDS = 5
AROUND = (0.7, 0.4, 0.2)  # of a path's strengths from the top: fits that folds begin at

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PenalisedFit:
    """A path and the fit chosen on it.

    Attributes
    ----------
    path : AlphaPath
    index : int
        Of the chosen strength.
    point : Point
        The chosen fit; with `refit` the one without penalty.
    criterion : str
    table : Table
        One row a strength.
    fit : MixtureFit
    """

    path: AlphaPath
    index: int
    point: Point
    criterion: str
    table: Table
    fit: MixtureFit

    @property
    def alpha(self) -> float:
        """The chosen strength."""
        return float(self.path.alphas[self.index])


def fit_penalised(
    problem: Problem,
    penalty: Penalty,
    *,
    alphas: Sequence[float] | int = N_ALPHAS,
    criterion: str = "ebic",
    folds: Any = FOLDS,
    seed: int | np.random.SeedSequence | None = None,
    tol: float = TOL,
    progress: Progress | None = None,
) -> PenalisedFit:
    """Fit a path (or the penalty's own strength) and choose.

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
    if not len(problem.gate_names) + len(problem.expert_names):
        raise DataError("there is no column to penalise: fit without a penalty")
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    first, second, draw = root.spawn(3)
    begin = None
    if isinstance(penalty, AdaptiveL1) and penalty.pilot is None:
        rule = "ebic" if criterion == "cv" else criterion
        pilot = fit_penalised(
            problem, _plain(penalty), criterion=rule, seed=second, tol=tol, progress=progress
        )
        penalty = penalty.with_pilot(pilot.point.slopes)
        begin = [(pilot.point.u, pilot.point.slopes)]
    layout = problem.layout(penalty)
    own = penalty.alpha if penalty.alpha is not None else penalty.theoretical(layout, problem.k)
    wanted = alphas if own is None else [own]
    path = fit_alphas(problem, penalty, wanted, seed=first, tol=tol, begin=begin, progress=progress)
    left_out = None
    if criterion == "cv":
        left_out = _held_out(path, folds, np.random.default_rng(draw), tol)
    found = table(path, criterion, left_out)
    index = int(np.flatnonzero(found["chosen"])[0])
    point = path.points[index]
    if penalty.refit:
        point = refitted(problem, point)
    return PenalisedFit(path, index, point, criterion, found, as_fit(path, point, float(path.alphas[index])))


def _plain(penalty: AdaptiveL1) -> L1:
    return L1(gate_ratio=penalty.gate_ratio, standardize=penalty.standardize, scale=penalty.scale)


def _held_out(path: AlphaPath, folds: Any, rng: np.random.Generator, tol: float) -> np.ndarray:
    """-2 held-out log-likelihood at each strength; folds begin near the fits of all rows, so that they are about the same experts."""
    pr, count = path.problem, len(path.alphas)
    begin = [path.points[int((1 - share) * (count - 1))] for share in AROUND]
    starts = [(p.u, p.slopes) for p in begin]

    def fit(rows: np.ndarray) -> list[Point]:
        found = fit_alphas(
            pr.take(rows), path.penalty, list(path.alphas), tol=max(tol, 1e-6), begin=starts, seed=0
        )
        return [*found.points, *[found.points[-1]] * (count - len(found.points))]

    total = np.zeros(count)
    for inside, out in splits(len(pr.y), folds, rng):
        rest = pr.take(np.asarray(out))
        total += [log_likelihood(rest, point) for point in fit(np.asarray(inside))]
    return -2.0 * total


def refitted(problem: Problem, point: Point) -> Point:
    """The fit without penalty on the chosen slopes."""
    chosen = point.slopes != 0
    free = Terms.of(problem.size)
    return solve(problem, free, point.u, point.slopes, tol=TOL, screen=chosen, fixed=True)


def as_fit(path: AlphaPath, point: Point, alpha: float) -> MixtureFit:
    """Parameters of the whole model, experts in decreasing order of mass."""
    pr = path.problem
    model, theta = whole_model(pr, point.u, point.slopes)
    order = np.argsort(-point.mass, kind="stable")
    theta = model.permute(theta, order)
    rows = Restricted(pr, point.support)
    r = rows.engine.rowwise(
        rows.theta(np.concatenate([point.u, point.slopes[point.support]]))
    ).responsibilities
    return MixtureFit(
        model=model,
        coordinates=Coordinates.of(model, pr.experts.scaling, pr.gate.scaling),
        theta=theta,
        log_likelihood=point.log_likelihood,
        status=status(pr, point, alpha, order),
        n_iter=max(sum(p.iterations for p in path.points), 1),
        n_parameters=df(pr, point),
        weight_sum=pr.n,
        mass=point.mass[order],
        entropy=entropy(r, pr.w),
        starts=Table({"alpha": path.alphas.tolist(), "iterations": [p.iterations for p in path.points]}),
        history=Table(
            {
                "iteration": list(range(1, len(point.trace) + 1)),
                "objective": [a for a, _ in point.trace],
                "violation": [b for _, b in point.trace],
            }
        ),
    )


def status(problem: Problem, point: Point, alpha: float, order: np.ndarray) -> Status:
    """How the chosen fit ended."""
    if not np.isfinite(point.objective):
        return Status(StatusKind.NOT_FINITE, "the objective is not a finite number")
    if collapsed(problem, point):
        return Status(
            StatusKind.COLLAPSED,
            "a variance reached its lower bound: a few rows are fitted exactly. Use a larger strength or fewer experts",
        )
    where = f"optimality violation {point.violation:.1e} at alpha = {alpha:.4g}"
    if point.violation > ACCEPTED:
        return Status(StatusKind.LIMIT, f"stopped with {where}")
    mass = point.mass[order]
    empty = tuple(int(e) for e in np.flatnonzero(mass < EMPTY * mass.sum()))
    if empty:
        which = ", ".join(str(e + 1) for e in empty)
        return Status(
            StatusKind.FLAT, f"{where}; at this strength expert {which} has no rows: use fewer experts", empty
        )
    return Status(StatusKind.CONVERGED, where)

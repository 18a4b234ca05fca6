"""The path: fits at strengths that fall geometrically from the smallest one at which every slope is zero.

Several chains run along it, from the fit without slopes, from searches at a few strengths, downwards and back upwards; each begins at its
neighbour's fit, with the slopes at work that the sequential strong rule (Tibshirani et al., 2012) does not discard. At each strength the best is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..penalties import Penalty, Terms
from ..problems import fit_mixture
from ..search import Options
from .problem import GATE_LIMIT, Problem
from .restricted import Restricted
from .solve import Point, solve
from .starts import SCREENED, collapsed, most, pooled, rank, search, unpenalised

N_ALPHAS = 50
TOL = 1e-9
SEARCHED = (
    0.5,
    0.2,
    0.08,
)  # strengths, relative to the first guess of the largest, at which starts are searched
UPWARD = 1.2  # step of a chain that looks for the strength at which its slopes vanish
RIDGE_TOP = 1e3  # largest strength of a penalty that never gives zero, over the largest gradient at zero
NO_GAIN = 1e-12  # difference of objectives that is none
ARRIVED = 1e-8  # optimality violation of an optimum
STEPS = 100  # proximal Newton steps of a link of a chain
ROUGH_VIOLATION = 1e-5  # optimality violation at which it is seen whether a chain that comes back upwards has found a better fit


@dataclass(frozen=True)
class AlphaPath:
    """Fits along strengths.

    Attributes
    ----------
    problem : Problem
    penalty : Penalty
    terms : Terms
        At strength one.
    alphas : ndarray
        Decreasing; strengths that were not given end where more slopes than half the rows are needed, or no optimum is reached.
    points : tuple of Point
    alpha_max : float
        The smallest strength at which no fit with slopes beats the one without; infinite for a penalty that never gives zero.
    """

    problem: Problem
    penalty: Penalty
    terms: Terms
    alphas: np.ndarray
    points: tuple[Point, ...]
    alpha_max: float


def null_point(problem: Problem, terms: Terms, seed: np.random.SeedSequence) -> Point:
    """The best fit without slopes: a mixture of constants."""
    u = pooled(problem)
    if problem.k > 1 and not problem.family.discrete:
        constant = Restricted(problem, np.zeros(0, dtype=int))
        fit = fit_mixture(constant.model, constant.rows, Options(seed=seed, threads=problem.threads))
        if fit.status.usable:
            u, _ = constant.from_theta(fit.theta)
    return _zero(problem, terms, u)


def _zero(problem: Problem, terms: Terms, u: np.ndarray) -> Point:
    nobody = np.zeros(problem.size, dtype=bool)
    return solve(problem, terms, u, np.zeros(problem.size), tol=TOL, screen=nobody, fixed=True)


def alone(problem: Problem, terms: Terms) -> Point:
    """The fit without slopes in which one expert has all rows: the mixture contains the single model."""
    u = pooled(problem)
    if problem.k > 1:
        u[0] = GATE_LIMIT
    return _zero(problem, terms, u)


def strong(terms: Terms, gradient: np.ndarray, alpha: float, before: float) -> np.ndarray:
    """Boolean (size,): slopes that the sequential strong rule keeps at `alpha`, given the gradient at `before`."""
    least = max(2.0 * alpha - before, 0.0)
    if len(terms.group_weight):
        own = terms.group >= 0
        kept = terms.norms(gradient) >= least * terms.group_weight
        out = np.zeros(len(gradient), dtype=bool)
        out[own] = kept[terms.group[own]]
        return out
    return np.abs(gradient) >= least * terms.l1


class PathSolver:
    """Solves along strengths, each from a neighbour."""

    def __init__(self, problem: Problem, terms: Terms, tol: float):
        self.problem, self.terms, self.tol = problem, terms, tol
        self.sparse = bool(terms.l1.any() or len(terms.group_weight))

    def at(self, alpha: float, start: Point, before: float, tol: float | None = None) -> Point:
        """The fit at `alpha` from `start`, a fit at `before`; to `tol` where one is given, else to the end."""
        screen = strong(self.terms, start.gradient, alpha, before) if np.isfinite(before) else None
        if screen is not None and screen.sum() > 4 * max(200, len(start.support)):
            screen = None
        return solve(
            self.problem,
            self.terms.scaled(alpha),
            start.u,
            start.slopes,
            tol=self.tol if tol is None else tol,
            screen=screen,
            max_iter=STEPS,
        )


def largest(solver: PathSolver, null: Point, seeds: list[tuple[float, Point]], first: float) -> float:
    """The smallest strength found at which every chain has lost its slopes, or has a larger objective than the fit without."""
    top = first
    for alpha, point in seeds:
        at, here = alpha, point
        while here.slopes.any() and here.objective < null.objective - NO_GAIN and at < 1e3 * first:
            top = max(top, at * UPWARD)
            here = solver.at(at * UPWARD, here, at)
            at *= UPWARD
    return top


def fit_alphas(
    problem: Problem,
    penalty: Penalty,
    alphas: Sequence[float] | int = N_ALPHAS,
    *,
    seed: int | np.random.SeedSequence | None = None,
    tol: float = TOL,
    begin: list[tuple[np.ndarray, np.ndarray]] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> AlphaPath:
    """Fit along a path.

    Parameters
    ----------
    alphas : sequence of float or int
        Strengths, or how many from the largest down to 0.01 of it where there are fewer than ten rows a slope, else to 0.001.
    begin : list of (u, slopes), optional
        Where the chains begin, instead of unpenalised fits on a few columns.
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    terms = penalty.terms(problem.layout(penalty))
    solver = PathSolver(problem, terms, tol)
    first, second = root.spawn(2)
    nulls = [null_point(problem, terms, first)]
    if problem.k > 1:
        nulls.append(alone(problem, terms))
    guess = max(terms.strength(p.gradient) for p in nulls)
    if not penalty.sparse:
        guess = RIDGE_TOP * max(float(np.abs(p.gradient).max(initial=0.0)) for p in nulls)
    if not guess > 0:
        guess = 1.0  # no column goes with anything: the path is flat
    tell = progress or (lambda stage, done, total: None)
    if begin is None:
        begin = _begin(problem, second, tell)
    top = guess / (RIDGE_TOP if not penalty.sparse else 1.0)
    strict = isinstance(alphas, int | np.integer)
    count, wanted = (int(alphas), None) if strict else (0, _checked(alphas))
    if wanted is None and count < 1:
        raise DataError(f"the number of strengths must be at least 1, got {alphas!r}")
    levels = np.array(SEARCHED) * top
    if wanted is not None:
        levels = np.unique(np.clip(levels, wanted.min(), wanted.max()))
    seeds: list[tuple[float, Point]] = []
    for number, alpha in enumerate(levels if begin else ()):
        tell("search", number, len(levels))
        seeds += [(alpha, p) for p in search(problem, terms, begin, alpha, tol)]
    best_null = max(nulls, key=lambda p: rank(problem, p))
    alpha_max = largest(solver, best_null, seeds, guess) if penalty.sparse else np.inf
    if wanted is None:
        low = 1e-2 if 10 * problem.size > len(problem.y) else 1e-3
        high = alpha_max if penalty.sparse else guess
        wanted = np.geomspace(high, low * high, count) if count > 1 else np.array([high])
    points = _chains(solver, nulls, seeds, wanted, alpha_max, strict, tell)
    return AlphaPath(problem, penalty, terms, wanted[: len(points)], points, alpha_max)


def _begin(
    problem: Problem, seed: np.random.SeedSequence, tell: Callable[[str, int, int], None]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Unpenalised fits on more and more of the columns that go most with the response."""
    out: list[tuple[np.ndarray, np.ndarray]] = []
    if problem.k == 1:
        return out
    for number, own in enumerate(seed.spawn(len(SCREENED))):
        tell("starts", number, len(SCREENED))
        if number and SCREENED[number - 1] >= max(problem.gate.d, problem.experts.d):
            break
        out.append(unpenalised(problem, SCREENED[number], own))
    return out


def _chains(
    solver: PathSolver,
    nulls: list[Point],
    seeds: list[tuple[float, Point]],
    alphas: np.ndarray,
    alpha_max: float,
    strict: bool,
    tell: Callable[[str, int, int], None],
) -> tuple[Point, ...]:
    """The best fit at each strength: downwards from above, with each search's fits where they were found, and back upwards.

    A chain that needs too many slopes ends, and where `strict` one that no longer arrives at an optimum; the path ends where no chain
    is left.
    """
    limit = most(solver.problem) if solver.sparse else solver.problem.size

    def pick(candidates: list[Point]) -> Point | None:
        small = [p for p in candidates if len(p.support) <= limit and (not strict or p.violation <= ARRIVED)]
        return max(small, key=lambda p: rank(solver.problem, p)) if small else None

    best: list[Point | None] = []
    chain, before = None, np.inf
    for i, alpha in enumerate(alphas):
        tell("path", i, 2 * len(alphas))
        candidates = [solver.at(alpha, p, max(at, alpha)) for at, p in seeds if _meets(at, i, alphas)]
        if alpha >= alpha_max:
            candidates = nulls
        elif chain is not None:
            candidates.append(solver.at(alpha, chain, before))
        elif not best or best[-1] is not None:
            candidates += [solver.at(alpha, null, np.inf) for null in nulls]
        found = pick(candidates)
        if chain is not None and (found is None or collapsed(solver.problem, found)):  # begin anew from above
            found = pick([*candidates, *(solver.at(alpha, null, np.inf) for null in nulls)])
        if found is None and best and not any(at < alpha for at, _ in seeds):
            break
        best.append(found if found is not None or best else min(candidates, key=lambda p: len(p.support)))
        chain, before = (found, float(alpha)) if found is not None and found.slopes.any() else (None, np.inf)
    for i in range(len(best) - 2, -1, -1):
        tell("path", 2 * len(alphas) - 1 - i, 2 * len(alphas))
        alpha, below, here = float(alphas[i]), best[i + 1], best[i]
        if alpha < alpha_max and below is not None and not collapsed(solver.problem, below):
            other = solver.at(alpha, below, alpha, ROUGH_VIOLATION)
            if here is None or rank(solver.problem, other) > rank(
                solver.problem, here
            ):  # worth the end of the way
                best[i] = pick([p for p in (here, solver.at(alpha, other, alpha)) if p is not None]) or here
    whole = [p is not None for p in best]
    return tuple(p for p in best[: whole.index(False) if False in whole else len(best)] if p is not None)


def _meets(at: float, i: int, alphas: np.ndarray) -> bool:
    """Whether a fit found at `at` enters the path at its i-th strength: the first one not above it, or the last."""
    above = alphas[i - 1] if i else np.inf
    return bool(alphas[i] <= at < above or (i == len(alphas) - 1 and at < alphas[i]))


def _checked(alphas: Sequence[float]) -> np.ndarray:
    out = np.asarray(alphas, dtype=float)
    if out.ndim != 1 or not len(out) or not np.isfinite(out).all() or (out < 0).any():
        raise DataError(f"alphas must be numbers of at least 0, got {alphas!r}")
    return np.unique(out)[::-1]

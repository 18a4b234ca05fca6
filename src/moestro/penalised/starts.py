"""Where penalised fits begin: the unpenalised search on the few columns that go most with the response."""

from __future__ import annotations

import numpy as np

from ..penalties import Terms
from ..problems import fit_mixture
from ..search import Options
from .features import Features
from .problem import Problem
from .restricted import Restricted
from .solve import Point, solve

SCREENED = (3, 6, 12)  # columns that a start looks at
COLUMNS = 1024  # at a time, where squares are needed
BOX = 12.0  # of scaled coefficients in a start
SHORT, LONG = 30, 100  # proximal Newton steps from a start
MOST = 0.5  # slopes a row beyond which a fit follows the noise: searches and paths end there
SAME = 1e-7  # relative difference of objectives below which two fits are one


def pooled(problem: Problem) -> np.ndarray:
    """u with equal gate weights and every expert at the marginal law of y."""
    w = np.ones(len(problem.y)) if problem.w is None else problem.w
    y = (problem.y - problem.y_center) / problem.y_scale
    u = np.zeros(problem.n_free)
    start = problem.k - 1
    u[start : start + problem.k * problem.m] = np.tile(problem.family.marginal(y, w), problem.k)
    return u


def relevant(problem: Problem, features: Features, count: int) -> np.ndarray:
    """The `count` columns that go most with the response: with its level, its spread, and its spread by their squares.

    Experts with opposite slopes leave no correlation of y and x, but one of y^2 and x^2.
    """
    y = (problem.y - problem.y_center) / problem.y_scale
    w = np.ones(len(y)) if problem.w is None else problem.w
    m = problem.m
    eta = np.concatenate([problem.family.marginal(y, w), np.zeros(problem.family.nuisances)])
    s = problem.family.score(np.broadcast_to(eta, (len(y), len(eta))), y)
    square = s[:, :m] ** 2
    square = square - np.average(square, axis=0, weights=w)

    def sized(a: np.ndarray) -> np.ndarray:
        return w[:, None] * a / np.maximum(np.sqrt(w @ a**2), 1e-300)

    level, spread = sized(np.column_stack([s, square])), sized(square)
    score = np.abs(features.gradient(level)).max(axis=1)
    for start in range(0, features.d, COLUMNS):
        at = np.arange(start, min(start + COLUMNS, features.d))
        part = features.columns(at) ** 2
        part -= part.mean(axis=0)
        size = np.maximum(np.sqrt((part**2).mean(axis=0)), 1e-300)
        score[at] = np.maximum(score[at], np.abs((part / size).T @ spread).max(axis=1))
    return np.argsort(-score, kind="stable")[:count]


def unpenalised(
    problem: Problem, columns: int, seed: np.random.SeedSequence
) -> tuple[np.ndarray, np.ndarray]:
    """(u, slopes) of the library's own search on the `columns` most relevant columns of each side, in a compact box."""
    experts = relevant(problem, problem.experts, columns)
    gate = experts if problem.gate is problem.experts else relevant(problem, problem.gate, columns)
    nothing = np.zeros((problem.experts.d, problem.predictors))
    nothing[np.sort(experts)] = 1.0
    side = np.zeros((problem.gate.d, problem.scores))
    side[np.sort(gate)] = 1.0
    chosen = np.concatenate([side.ravel(), nothing.ravel()]) * problem.usable
    few = Restricted(problem, np.flatnonzero(chosen))
    fit = fit_mixture(few.model, few.rows, Options(seed=seed, threads=problem.threads, box=BOX))
    return few.from_theta(fit.theta)


def most(problem: Problem) -> int:
    """Slopes up to which fits are looked at."""
    return max(50, int(MOST * len(problem.y)))


def rank(problem: Problem, point: Point) -> tuple[bool, float]:
    """Usable first, then by objective; larger is better."""
    return not collapsed(problem, point), -point.objective if np.isfinite(point.objective) else -np.inf


def collapsed(problem: Problem, point: Point) -> bool:
    """Whether a variance is at its floor."""
    first = problem.k - 1 + problem.k * problem.m
    return bool((point.u[first:] <= problem.bounds[0][first:] + 1e-9).any())


def search(
    problem: Problem, terms: Terms, begin: list[tuple[np.ndarray, np.ndarray]], alpha: float, tol: float
) -> list[Point]:
    """Distinct optima at one strength from starts (u, slopes), best first."""
    out: list[Point] = []
    for u, slopes in begin:
        rough = solve(problem, terms.scaled(alpha), u, slopes, tol=1e-4, max_iter=SHORT)
        if len(rough.support) > most(problem):
            continue
        point = solve(problem, terms.scaled(alpha), rough.u, rough.slopes, tol=tol, max_iter=LONG)
        if not any(abs(point.objective - o.objective) <= SAME * (1 + abs(o.objective)) for o in out):
            out.append(point)
    return sorted(out, key=lambda p: rank(problem, p), reverse=True)

"""Points to begin at: M-steps of memberships on a few columns, and the best fit without slopes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..penalties import Terms
from ..problems import fit_mixture
from ..problems.memberships import from_memberships
from ..search import Options
from ..solvers import Coordinates, Objective
from .likelihood import GATE_LIMIT, Likelihood
from .restricted import Restricted
from .screening import SCREENED
from .solve import Solution, solve

BOX = 12.0  # of scaled coefficients at the beginning
WINDOWS = tuple(0.5 / 1.5**i for i in range(8))  # of the sorted response, as shares of the rows
QUANTILES = 2000  # rows that windows are looked at


def from_responsibilities(likelihood: Likelihood, r: np.ndarray) -> np.ndarray:
    """The point (u, slopes) of M-steps with memberships r (n, k), on the columns of each side whose slopes
    begin steepest."""
    rows, k, s = likelihood.rows, likelihood.k, likelihood.marginal_scores
    gate = r[:, : k - 1] - r[:, : k - 1].mean(axis=0)
    scores = np.concatenate([gate, (r[:, :, None] * s[:, None, :]).reshape(rows.n, -1)], axis=1)
    steep = np.abs(likelihood.gradient(rows.weights[:, None] * scores))
    sides = []
    for slopes in likelihood.split(steep):
        chosen = np.zeros(len(slopes), dtype=bool)
        if slopes.shape[1]:
            chosen[np.argsort(-slopes.max(axis=1), kind="stable")[:SCREENED]] = True
        sides.append(chosen)
    few = Restricted(likelihood, np.flatnonzero(likelihood.expand(*sides) & likelihood.usable))
    objective = _objective(few)
    phi = from_memberships(objective, [r], likelihood.threads)[0]
    return few.point(objective.coordinates.expand(phi))


def _objective(part: Restricted) -> Objective:
    c = Coordinates.of(part.model, part.rows.x_scaling, part.rows.z_scaling, BOX)
    return Objective(part.engine, c)


def null(likelihood: Likelihood, terms: Terms) -> Solution:
    """The best fit without slopes: a mixture of constants, for classes one constant.

    Found without chance, from one expert more at a time (Verbeek, Vlassis and Kröse, 2003): it begins on a
    window of the sorted response, for each of many windows, and the others where they were.
    """
    point = likelihood.pooled()
    if likelihood.k > 1 and not likelihood.family.labels:
        order = np.argsort(likelihood.rows.y, kind="stable")
        few = np.unique(np.linspace(0, len(order) - 1, QUANTILES).astype(int))
        found = _constants(likelihood.take(order[few]))
        point = point if found is None else np.concatenate([found, point[likelihood.n_free :]])
    return without_slopes(likelihood, terms, point)


def _constants(likelihood: Likelihood) -> np.ndarray | None:
    """u of a mixture of constants on sorted rows; None where every one collapses."""
    n = likelihood.rows.n
    r, u = np.ones((n, 1)), None
    sizes = [max(int(n * share), 1) for share in WINDOWS]
    windows = [slice(at, at + size) for size in sizes for at in range(0, n, max(size // 3, 1))]
    for k in range(2, likelihood.k + 1):
        part = Restricted(replace(likelihood, k=k), np.zeros(0, dtype=int))
        objective = _objective(part)
        splits = np.tile(np.column_stack([r, np.zeros(n)]), (len(windows), 1, 1))
        for split, window in zip(splits, windows, strict=True):
            split[window] = np.eye(k)[-1]
        starts = objective.coordinates.expand(from_memberships(objective, list(splits), likelihood.threads))
        options = Options(initial=tuple(starts), only_initial=True, threads=likelihood.threads)
        fit = fit_mixture(part.model, part.rows, options)
        if not fit.status.usable:
            return None
        r, u = part.engine.rowwise(fit.theta).responsibilities, part.free(fit.theta)
    return u


def one_expert(likelihood: Likelihood, terms: Terms) -> Solution:
    """The fit without slopes in which one expert has all rows: the mixture contains the single model."""
    point = likelihood.pooled()
    point[: min(likelihood.k - 1, 1)] = GATE_LIMIT
    return without_slopes(likelihood, terms, point)


def without_slopes(likelihood: Likelihood, terms: Terms, point: np.ndarray) -> Solution:
    """The optimum of u where every slope is zero."""
    nobody = np.zeros(likelihood.size, dtype=bool)
    point = np.where(np.arange(len(point)) < likelihood.n_free, point, 0.0)
    return solve(likelihood, terms, point, screen=nobody, fixed=True)

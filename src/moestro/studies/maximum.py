"""Converged maximum likelihood of a softmax-gated mixture, from informed and uninformed starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..design import ArrayDesign
from ..experts import Family
from ..gates import Gate
from ..located import LocatedFit
from ..measure import MixingMeasure, measure_of, theta_of
from ..model import Model
from ..problems import MixtureFit, fit_mixture
from ..rows import read_rows
from ..search import Options
from ..solvers import Status

FIRST, GROWTH = 4000, 5  # rows of the first subsample, and how much each following one is larger


@dataclass(frozen=True)
class Maximum:
    """A fitted measure and how the fit ended."""

    measure: MixingMeasure
    log_likelihood: float
    iterations: int
    gradient: float | None
    status: Status

    def row(self) -> dict[str, Any]:
        """What every study keeps of a fit."""
        return {
            "log_likelihood": self.log_likelihood,
            "iterations": self.iterations,
            "gradient": self.gradient,
            "status": str(self.status.kind),
        }


def located_row(fit: LocatedFit) -> dict[str, Any]:
    """What every study keeps of a located fit."""
    return {
        "log_likelihood": fit.log_likelihood,
        "iterations": fit.n_iter,
        "gradient": fit.gradient_norm,
        "status": str(fit.status.kind),
    }


def maximise(
    x: np.ndarray,
    y: np.ndarray,
    family: Family,
    gate: Gate,
    start: MixingMeasure | None,
    *,
    k: int,
    z: np.ndarray | None = None,
    uninformed: int = 0,
    seed: int = 0,
    weights: np.ndarray | None = None,
    box: float | None = None,
) -> Maximum:
    """The best optimum from `start` and `uninformed` other starts.

    Uninformed starts compete on the first 4000 rows (rows are independent and in random order); the winner
    goes on through growing pieces of the data, and ends converged on all of it. An informed start alone is
    refined on all rows at once.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    start : MixingMeasure or None
        In the units of x and y.
    z : ndarray of shape (n, e), optional
        Columns of the gate where they differ.
    box : float, optional
        Bound of the coefficients on scaled columns.
    """
    n, d = x.shape
    names = tuple(f"x{j}" for j in range(d))
    at = tuple(range(d))
    design = ArrayDesign(names, at, None if z is None else at)
    rows, units = read_rows(design, x, z, y, weights, family, gate_scaling=gate.scaling)
    model = Model(gate, family.on(units.y_center, units.y_scale), k, rows.q, rows.p)
    informed = () if start is None else (theta_of(start, units),)
    sizes = [n]
    while uninformed and sizes[0] > 2 * FIRST:
        sizes.insert(0, max(FIRST, sizes[0] // GROWTH))
    fit: MixtureFit | None = None
    iterations = 0
    for depth, size in enumerate(sizes):
        part = rows if size == n else replace(
            rows, x=rows.x[:size], y=rows.y[:size], z=None if rows.z is None else rows.z[:size],
            w=None if rows.w is None else rows.w[:size],
        )  # fmt: skip
        options = Options(seed=seed, tol=1e-8 if size == n else 1e-4, box=box)
        if depth == 0 and (uninformed or not informed):
            options = replace(options, initial=informed, n_starts=max(uninformed, 1))
        else:
            initial = informed if fit is None else (fit.theta,)
            options = replace(options, initial=initial, only_initial=True)
        fit = fit_mixture(model, part, options)
        iterations += fit.n_iter
    assert fit is not None
    last = fit.history["gradient"]
    return Maximum(
        measure_of(model, units, fit.theta),
        fit.log_likelihood,
        iterations,
        last[-1] if last else None,
        fit.status,
    )

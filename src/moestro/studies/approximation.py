"""How well k atoms approximate a fixed smooth target (arXiv 2012.02385, 2008.09787): L_p error against k.

Nothing is sampled: maximum likelihood on a grid of (x, y) weighted by the target is the projection in
Kullback-Leibler divergence.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..experts import Gaussian
from ..gates import SoftmaxGate
from ..located import fit_located
from .design import Arm, Row, Study, check_options
from .maximum import located_row, maximise

X_POINTS, Y_POINTS = 48, 64
TARGETS = {
    "softmax gate": "waves",
    "Gaussian gate": "waves",
    "location-scale mixture": "gumbel",
}
LINES = {"l1": "decreasing", "l2": "decreasing"}


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A skewed conditional density on [0, 1] x [-3, 3], its place and width smooth in x; shape of x and y
    broadcast."""
    center, width = np.sin(4 * x), 0.35 + 0.15 * np.cos(6 * x)
    t = (y - center) / width
    return np.exp(-t - np.exp(-t)) / width


def gumbel(y: np.ndarray) -> np.ndarray:
    """The Gumbel density."""
    return np.exp(-y - np.exp(-y))


def arms(protocol: str, scale: str) -> list[Arm]:
    """Three models; the sizes are numbers of atoms."""
    sizes, replicates = ((1, 2, 3), 1) if scale == "smoke" else ((1, 2, 3, 4, 5, 6, 8), 5)
    return [Arm(name, sizes[-1], sizes, replicates, {"target": target}) for name, target in TARGETS.items()]


def check(arm: Arm) -> None:
    """A known model with its target."""
    check_options(arm, set())
    if TARGETS.get(arm.name) != arm.truth.get("target"):
        raise DataError(f"arm {arm.name!r}: no such model and target; there are {TARGETS}")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Fit n atoms to the target on a grid and measure the error there."""
    seed = int(rng.integers(2**31))
    if arm.name == "location-scale mixture":
        y = np.linspace(-3, 9, 600)
        step, target = y[1] - y[0], gumbel(y)
        found = fit_located(
            np.empty((len(y), 0)), y, n, weights=target / target.sum() * len(y), seed=seed, n_jobs=1
        )
        density = np.exp(found.measure.log_density(np.empty((len(y), 0)), y))
        return {**_errors(target, density, step), **located_row(found)}
    x = (np.arange(X_POINTS) + 0.5) / X_POINTS
    y = np.linspace(-2.5, 5, Y_POINTS)
    grid_x, grid_y = (g.ravel() for g in np.meshgrid(x, y, indexing="ij"))
    step, target = y[1] - y[0], waves(grid_x, grid_y)
    w = target / target.sum() * len(target)
    if arm.name == "Gaussian gate":
        located = fit_located(grid_x[:, None], grid_y, n, weights=w, seed=seed, n_jobs=1)
        density = np.exp(located.measure.log_density(grid_x[:, None], grid_y))
        ended = located_row(located)
    else:
        none = np.empty((len(w), 0))  # experts of the theorem do not depend on x
        best = maximise(
            none,
            grid_y,
            Gaussian(),
            SoftmaxGate(),
            None,
            k=n,
            z=grid_x[:, None],
            uninformed=12,
            seed=seed,
            weights=w,
        )
        density = np.exp(best.measure.log_density(none, grid_y, grid_x[:, None]))
        ended = best.row()
    return {**_errors(target, density, step / X_POINTS), **ended}


def _errors(target: np.ndarray, density: np.ndarray, cell: float) -> Row:
    gap = np.abs(density - target)
    return {"l1": float(gap.sum() * cell), "l2": float(np.sqrt((gap**2).sum() * cell))}


STUDY = Study(
    name="approximation",
    title="Approximation of a smooth target by k atoms",
    paper="arXiv 2012.02385 and 2008.09787",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    protocols=("as_defined",),
    differences="The theorems state density in L_p and give no number: the errors below must fall with k.",
    horizontal="k",
)

"""How well k atoms approximate a fixed smooth target (arXiv 2012.02385, 2008.09787): errors in L_1, L_2, the
sup norm, and off a tenth of the inputs, against k.

Nothing is sampled: maximum likelihood on a grid of (x, y) weighted by the target is the projection in
Kullback-Leibler divergence. Mixtures of other kernels are those of the proofs, sums in closed form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError
from ..experts import Gaussian
from ..gates import SoftmaxGate
from ..located import fit_located
from .design import Arm, Row, Study, check_options
from .maximum import located_row, maximise

POINTS = {1: (48, 64), 2: (18, 48)}  # of each column of inputs and of y, by the number of columns
EXCEPTIONAL = 0.1  # of the inputs, left out in `almost`
TARGETS = {
    "softmax gate": "waves",
    "Gaussian gate": "waves",
    "softmax gate, two inputs": "hills",
    "Gaussian gate, two inputs": "hills",
    "location-scale mixture": "gumbel",
    "sum, normal kernel": "gumbel",
    "sum, Laplace kernel": "gumbel",
    "sum, uniform kernel": "gumbel",
}
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda t: np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi),
    "Laplace": lambda t: 0.5 * np.exp(-np.abs(t)),
    "uniform": lambda t: 0.5 * (np.abs(t) <= 1),
}
LOW, HIGH, FINE = -3.0, 9.0, 6000  # where the Gumbel density is compared, and at how many points
LINES = {"l1": "decreasing", "l2": "decreasing", "sup": "decreasing", "almost": "decreasing"}


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A skewed conditional density on [0, 1] x [-3, 3], its place and width smooth in x; shape of x and y
    broadcast."""
    center, width = np.sin(4 * x), 0.35 + 0.15 * np.cos(6 * x)
    t = (y - center) / width
    return np.exp(-t - np.exp(-t)) / width


def hills(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same with two columns of inputs in the first place of x."""
    center, width = np.sin(4 * x[0]) * np.cos(3 * x[1]), 0.35 + 0.15 * np.cos(6 * x[0])
    t = (y - center) / width
    return np.exp(-t - np.exp(-t)) / width


def gumbel(y: np.ndarray) -> np.ndarray:
    """The Gumbel density."""
    return np.exp(-y - np.exp(-y))


def arms(protocol: str, scale: str) -> list[Arm]:
    """Fits of two gates with one input and two, a fitted mixture, and sums in three kernels; the sizes are
    numbers of atoms."""
    out = []
    for name, target in TARGETS.items():
        closed = name.startswith("sum")
        sizes = (8, 32, 128, 512, 2048) if closed else (1, 2, 3, 4, 5, 6, 8)
        replicates = 1 if closed else 3 if "two inputs" in name else 5
        if scale == "smoke":
            sizes, replicates = sizes[:3], 1
        out.append(Arm(name, sizes[-1], sizes, replicates, {"target": target}))
    return out


def check(arm: Arm) -> None:
    """A known model with its target."""
    check_options(arm, set())
    if TARGETS.get(arm.name) != arm.truth.get("target"):
        raise DataError(f"arm {arm.name!r}: no such model and target; there are {TARGETS}")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Fit n atoms to the target on a grid and measure the error there."""
    seed = int(rng.integers(2**31))
    if arm.name.startswith("sum"):
        return _sum(KERNELS[arm.name.split()[1]], n)
    if arm.name == "location-scale mixture":
        y = np.linspace(LOW, HIGH, 600)
        step, target = y[1] - y[0], gumbel(y)
        found = fit_located(
            np.empty((len(y), 0)), y, n, weights=target / target.sum() * len(y), seed=seed, n_jobs=1
        )
        density = np.exp(found.measure.log_density(np.empty((len(y), 0)), y))
        return {**_errors(target, density, step), **located_row(found)}
    d = 2 if "two inputs" in arm.name else 1
    points, heights = POINTS[d]
    line, y = (np.arange(points) + 0.5) / points, np.linspace(-2.5, 5, heights)
    *columns, grid_y = (g.ravel() for g in np.meshgrid(*[line] * d, y, indexing="ij"))
    x = np.stack(columns, axis=1)
    target = hills(x.T, grid_y) if d == 2 else waves(x[:, 0], grid_y)
    w = target / target.sum() * len(target)
    if arm.name.startswith("Gaussian gate"):
        located = fit_located(x, grid_y, n, weights=w, seed=seed, n_jobs=1)
        density, ended = np.exp(located.measure.log_density(x, grid_y)), located_row(located)
    else:
        none = np.empty((len(w), 0))  # experts of the theorem do not depend on x
        best = maximise(
            none, grid_y, Gaussian(), SoftmaxGate(), None, k=n, z=x, uninformed=12, seed=seed, weights=w,
        )  # fmt: skip
        density, ended = np.exp(best.measure.log_density(none, grid_y, x)), best.row()
    shape = (points**d, heights)
    return {**_errors(target.reshape(shape), density.reshape(shape), (y[1] - y[0]) / points**d), **ended}


def _errors(target: np.ndarray, density: np.ndarray, cell: float) -> Row:
    """In L_1, L_2 and the sup norm; with inputs (the first axis of two) also the largest one over y off the
    tenth of the inputs where it is worst, as almost uniform convergence asks of any such share."""
    gap = np.abs(density - target)
    worst = gap.max(axis=1) if gap.ndim == 2 else None
    return {
        "l1": float(gap.sum() * cell),
        "l2": float(np.sqrt((gap**2).sum() * cell)),
        "sup": float(gap.max()),
        "almost": None if worst is None else float(np.quantile(worst, 1 - EXCEPTIONAL)),
    }


def _sum(kernel: Callable[[np.ndarray], np.ndarray], k: int) -> Row:
    """The mixture of the proof: sum_i f(y_i) Delta phi((y - y_i) / s) / s, a Riemann sum of the target
    smoothed by the kernel, weights of total one. Both s and Delta / s fall as k^(-1/2)."""
    atoms = LOW + (HIGH - LOW) * (np.arange(k) + 0.5) / k
    s = 0.5 * (HIGH - LOW) / np.sqrt(k)
    weights = gumbel(atoms) / gumbel(atoms).sum()
    y = np.linspace(LOW - 3, HIGH + 3, FINE)
    density = np.zeros(FINE)
    for at, weight in zip(atoms, weights, strict=True):
        density += weight * kernel((y - at) / s) / s
    ended = {"log_likelihood": None, "iterations": 0, "gradient": None, "status": "closed form"}
    return {**_errors(gumbel(y), density, float(y[1] - y[0])), **ended}


STUDY = Study(
    name="approximation",
    title="Approximation of a smooth target by k atoms",
    paper="arXiv 2012.02385 and 2008.09787",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    protocols=("as_defined",),
    differences=(
        "The theorems state density in L_p and give no number: the errors below must fall with k. `sup` is "
        "the largest error on the grid; `almost` the largest over y at the nine tenths of the inputs where "
        "it is smallest, since almost uniform convergence is uniform off a set of inputs as small as one "
        "likes. Fits minimise the Kullback-Leibler divergence. The sums are the mixtures of the proofs, k "
        "kernels at equal distances D, of scale s with s and D / s both falling as k^-1/2: any kernel will "
        "do, in L_p and in the sup norm."
    ),
    horizontal="k",
)

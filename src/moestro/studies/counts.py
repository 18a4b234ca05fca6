"""Sample sizes without end: on a grid of inputs, n rows of S values of y are (inputs x S) counts.

A fit of n = 10^10 rows costs what one of a few hundred weighted rows does. What the data can tell shrinks
with n, so the tolerance does: a split atom has displacements of order n^(-1/4), where the gradient per row is
of order n^(-3/4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..design import ArrayDesign
from ..engine import Order, make_engine
from ..experts import Family, Multinomial, Poisson
from ..gates import SoftmaxGate
from ..measure import MixingMeasure, measure_of, theta_of
from ..model import Model
from ..problems import MixtureFit, fit_mixture
from ..rows import read_rows
from ..search import Options
from ..solvers import Coordinates, Objective
from ..theory import voronoi_loss

TOLERANCE = 1e-4  # of n^(-3/4)
STEPS, FEW = 2000, 100  # Newton's from the best end, and before that from each start
BELOW = 0.5  # log-likelihood below the maximum within which points are looked at
FLATTEST = 2  # directions of least information along which they are
NEGLECTED = 1e-13  # probability of the counts that are left out above the largest


def values(truth: MixingMeasure, x: np.ndarray) -> np.ndarray:
    """The values of y (S,): classes, or numbers up to one that none of the inputs exceeds."""
    if truth.law.labels:
        return np.arange(truth.intercepts.shape[1] + 1.0)
    from scipy.stats import poisson

    rate = np.exp(truth.intercepts[:, 0] + x @ truth.slopes[:, 0].T).max()
    return np.arange(float(poisson.isf(NEGLECTED, rate)) + 1.0)


def probabilities(truth: MixingMeasure, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
    """Of each input (equally likely) and value of y, shape (m, S)."""
    logs = [truth.log_density(x, np.full(len(x), s), z) for s in values(truth, x)]
    p = np.exp(np.stack(logs, axis=1))
    return p / p.sum()


@dataclass(frozen=True)
class Counts:
    """Counts (m, S) of the values y (S,) at inputs x (m, d), and gate columns z (m, e) where they differ."""

    x: np.ndarray
    z: np.ndarray | None
    y: np.ndarray
    counts: np.ndarray

    @classmethod
    def draw(
        cls, truth: MixingMeasure, x: np.ndarray, z: np.ndarray | None, n: int, rng: np.random.Generator
    ) -> Counts:
        """n rows of `truth`."""
        p = probabilities(truth, x, z)
        return cls(x, z, values(truth, x), rng.multinomial(n, p.ravel()).reshape(p.shape))

    @property
    def n(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True)
class Best:
    """The best end of all starts, its loss, and the largest loss found within 1/2 of its log-likelihood."""

    fit: MixtureFit
    measure: MixingMeasure
    loss: float
    worst: float


def maximise_counts(
    data: Counts, starts: Sequence[MixingMeasure], k: int, truth: MixingMeasure, *, uninformed: int = 0,
    seed: int = 0, box: float | None = None,
) -> Best:  # fmt: skip
    """Maximum likelihood of k softmax-gated experts of the truth's family, multinomial or Poisson, each start
    followed to its end.

    Parameters
    ----------
    starts : sequence of MixingMeasure
        Of k atoms.
    truth : MixingMeasure
        What losses are against.
    uninformed : int
        Starts that know nothing beside them.
    box : float, optional
        Bound of the coefficients on scaled columns.
    """
    m, S = data.counts.shape
    x, y = np.repeat(data.x, S, axis=0), np.tile(data.y, m)
    z = None if data.z is None else np.repeat(data.z, S, axis=0)
    at = tuple(range(x.shape[1]))
    design = ArrayDesign(tuple(f"x{j}" for j in at), at, None if z is None else at)
    gate = SoftmaxGate()
    family: Family = Multinomial(S) if truth.law.labels else Poisson()
    weights = data.counts.ravel().astype(float)
    rows, units = read_rows(design, x, z, y, weights, family, gate_scaling=gate.scaling)
    model = Model(gate, family.on(units.y_center, units.y_scale), k, rows.q, rows.p)
    tight = Options(
        seed=seed, tol=min(1e-8, TOLERANCE * data.n**-0.75), max_iter=STEPS, box=box, only_initial=True
    )
    short = replace(tight, max_iter=FEW)
    fits = [fit_mixture(model, rows, replace(short, initial=(theta_of(start, units),))) for start in starts]
    if uninformed:
        fits.append(fit_mixture(model, rows, replace(short, only_initial=False, n_starts=uninformed)))
    first = max(fits, key=lambda f: f.log_likelihood)
    best = fit_mixture(model, rows, replace(tight, initial=(first.theta,)))
    found = measure_of(best.model, units, best.theta)
    points = [f.theta for f in (best, *fits) if f.log_likelihood >= best.log_likelihood - BELOW]
    objective = Objective(
        make_engine(best.model, rows, "auto", 1), Coordinates.of(model, rows.x_scaling, rows.z_scaling, box)
    )
    points += edge(objective, best.theta)
    measures = [measure_of(best.model, units, theta) for theta in points]
    # One gauge is enough to compare them, the infimum is taken of the one.
    far = max(measures, key=lambda m: voronoi_loss(m, truth, gauge="fixed"))
    loss = voronoi_loss(found, truth)
    return Best(best, found, loss, max(loss, voronoi_loss(far, truth)))


def edge(objective: Objective, theta: np.ndarray) -> list[np.ndarray]:
    """Parameters where the log-likelihood is 1/2 below that at theta, along the flattest directions."""
    c = objective.coordinates
    phi = c.collapse(theta)
    here = objective.evaluate(phi, Order.CURVATURE)
    assert here.curvature is not None and here.information is not None
    size = np.sqrt(np.maximum(np.diag(here.information), 1e-280))
    values, vectors = np.linalg.eigh(-here.curvature / np.outer(size, size))
    out = []
    for value, vector in list(zip(values, vectors.T, strict=True))[:FLATTEST]:
        for sign in (1.0, -1.0):
            direction = sign * vector / size

            def drop(t: float, direction: np.ndarray = direction) -> float:
                at = np.clip(phi + t * direction, c.lower, c.upper)
                return here.value - objective.evaluate(at, Order.VALUE).value

            out.append(c.expand(np.clip(phi + _root(drop, value) * direction, c.lower, c.upper)))
    return out


def _root(drop: Any, curvature: float) -> float:
    """The largest t on a bisected ray with a drop of at most 1/2."""
    low, high = 0.0, 1.0 / np.sqrt(max(curvature, 1e-12))
    for _ in range(40):
        if drop(high) > BELOW:
            break
        low, high = high, 2 * high
        if high > 1e12:
            return low
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if drop(middle) <= BELOW else (low, middle)
    return low

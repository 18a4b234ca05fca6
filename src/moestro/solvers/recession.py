"""Directions without an end: along a ray the log-likelihood no longer changes, so its coefficients have no
finite estimate.

A column that separates classes moves an expert's intercept and slope together, and a class that an ordinal
expert never has moves intercept and thresholds: no coordinate is then certain by itself, so `diagnosis` looks
at each expert's curvature as a whole, and asks the likelihood along what is flat there.
"""

from __future__ import annotations

import numpy as np

from ..engine import Evaluation, Order
from .base import GAIN, Target
from .coordinates import Coordinates

NIL = 1e-5  # curvature per weight of an expert, on scaled columns, below which a direction may have no end
FAR = 100.0  # log-odds per standard deviation: certainty within 1e-43
ROUNDED = 1e-9  # change of the log-likelihood, relative to it, that is none
NAMED = 0.1  # size beside the largest entry of a ray from which a coordinate is on it


def receding(objective: Target, phi: np.ndarray, e: Evaluation) -> np.ndarray:
    """Boolean (size,): coordinates of gate or experts on a ray from phi, outwards, along which the
    log-likelihood does not change any more; `e` is the evaluation at phi to order CURVATURE."""
    c: Coordinates = objective.coordinates
    assert e.information is not None and e.curvature is not None
    mass = np.append(objective.weight_sum, e.mass)
    inner = (phi > c.lower) & (phi < c.upper)
    out = np.zeros(c.size, dtype=bool)
    for part, weight in enumerate(mass):
        own = np.flatnonzero(_linear(c, part) & inner)
        if not len(own) or weight <= NIL * objective.weight_sum:
            continue
        # the gate's is EM's: between two equal experts every gate has the same likelihood, and is not certain
        A = e.information if part == 0 else -e.curvature
        block = A[np.ix_(own, own)]
        if not block.any():  # a gate that chooses one expert: its scale changes nothing, either way
            continue
        if not np.isfinite(block).all():  # it has no digits, and says nothing
            continue
        values, vectors = np.linalg.eigh(block)
        nil = vectors[:, np.abs(values) <= NIL * weight]
        ray = nil @ (nil.T @ phi[own])  # what runs off lies far out
        size = np.abs(ray).max(initial=0.0)
        if size <= 1.0:
            continue
        far = phi.copy()
        far[own] += FAR * ray / size
        gain = objective.evaluate(np.clip(far, c.lower, c.upper), Order.VALUE).value - e.value
        if -ROUNDED * (1 + abs(e.value)) <= gain <= GAIN:
            out[own[np.abs(ray) >= NAMED * size]] = True
    return out


def _linear(c: Coordinates, part: int) -> np.ndarray:
    """Boolean (size,): the gate's coordinates, part 0, or those of expert `part` - 1 alone: its predictors,
    and the thresholds of an order."""
    own = c.block == part
    if part and c.model.law(part - 1).ordered:
        places = c.model.nuisances(np.arange(c.model.size))[part - 1]
        own[np.unique(c.map.A[places].indices)] = True
    return own

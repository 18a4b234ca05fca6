"""What the curvature says where a run is, and what random parts of many rows say of that at the maximum of
all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..engine import Order
from ..solvers import Objective, Outcome, Status, StatusKind
from ..solvers.diagnosis import diagnose
from ..solvers.recession import receding
from ..solvers.sampled import weighted_up

NEWTON_LIMIT = 1500  # free parameters up to which an exact Hessian is held (docs/benchmarks.md)
MANY_ROWS = 200_000  # from which gradients of all rows and the curvature of some are cheaper than Newton
FIRST_SAMPLE = 5  # times that the first sample goes into the rows: its Hessian costs about a pass

Part = TypeVar("Part")


def from_first(samples: Sequence[Part], sizes: Sequence[int], n: int) -> tuple[Part, ...]:
    """Of growing samples with so many rows of n those that the curvature is taken from: the largest whose
    Hessian is cheap, and the larger ones."""
    small = [i for i, size in enumerate(sizes) if size * FIRST_SAMPLE <= n]
    return tuple(samples[small[-1] if small else 0 :])


def is_endless(objective: Objective, phi: np.ndarray) -> bool:
    """Whether coefficients run off from phi along a ray on which there is nothing left to gain: what
    `diagnose` calls separated."""
    if objective.coordinates.size > NEWTON_LIMIT:
        return False
    return bool(receding(objective, phi, objective.evaluate(phi, Order.CURVATURE)).any())


def status_of(objective: Objective, outcome: Outcome, sample: Objective | None) -> Status:
    """`diagnose` by the curvature of a sample; by that of all rows where there is none, or where it finds
    anything but a maximum, and a Hessian of all rows can be held."""
    e = outcome.evaluation
    if e.curvature is not None:
        return diagnose(objective, outcome, e)
    if sample is not None:
        seen = weighted_up(sample, objective, outcome.phi)
        seen = replace(seen, value=e.value, mass=e.mass, gradient=e.gradient)
        status = diagnose(objective, outcome, seen)
        if status.kind == StatusKind.CONVERGED:
            n = sample.engine.rows.n
            return replace(status, sentence=f"{status.sentence}, curvature of {n:,} rows")
    exact = objective.coordinates.size <= NEWTON_LIMIT
    whole = objective.evaluate(outcome.phi, Order.CURVATURE) if exact else None
    return diagnose(objective, outcome, whole)

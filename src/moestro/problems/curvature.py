"""What random parts of many rows say of the curvature at the maximum of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ..engine import Order
from ..solvers import Objective, Outcome, Status, StatusKind
from ..solvers.diagnosis import diagnose
from ..solvers.sampled import weighted_up

MANY_ROWS = 200_000  # from which gradients of all rows and the curvature of some are cheaper than Newton
FIRST_SAMPLE = 5  # times that the first sample goes into the rows: its Hessian costs about a pass

Part = TypeVar("Part")


def from_first(samples: Sequence[Part], sizes: Sequence[int], n: int) -> tuple[Part, ...]:
    """Of growing samples with so many rows of n those that the curvature is taken from: the largest whose
    Hessian is cheap, and the larger ones."""
    small = [i for i, size in enumerate(sizes) if size * FIRST_SAMPLE <= n]
    return tuple(samples[small[-1] if small else 0 :])


def status_of(objective: Objective, outcome: Outcome, sample: Objective | None, exact: bool = True) -> Status:
    """`diagnose` by the curvature of a sample; by that of all rows where there is none, or where it finds
    anything but a maximum. Without `exact` no Hessian of all rows is made."""
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
    whole = objective.evaluate(outcome.phi, Order.CURVATURE) if exact else None
    return diagnose(objective, outcome, whole)

"""From memberships (u, k) of units, rows or groups, to parameters of a softmax-gated mixture, many at
once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine import Evaluation, Order
from ..model import Model
from ..rows import Rows
from ..solvers.coordinates import Objective
from ..solvers.em import run_em

STEPS = 2  # least squares need one, and what is no square a second
MORE = 4  # after these, where memberships have sharp borders


def pooled(objective: Objective) -> np.ndarray:
    """phi with equal gate weights and every expert at the marginal law of y, of the rows at hand."""
    c, rows = objective.coordinates, objective.engine.rows.at_hand
    theta = np.zeros(c.model.size)
    gate, shared = c.model.gate.initial(c.model.k, c.model.q)
    c.model.gate_coefficients(theta)[:] = gate
    c.model.gate_shared(theta)[:] = shared
    w = np.ones(rows.n) if rows.row_weights is None else rows.row_weights
    y = (rows.y - rows.y_center) / rows.y_scale
    if c.model.family.takes_trials and rows.known is not None and rows.known.shape[1] > 1:
        y, w = y / rows.known[:, 1], w * rows.known[:, 1]
    offset = 0.0 if rows.scaled_known is None else rows.scaled_known[:, 0]
    start = c.model.family.marginal(y, w, offset)
    c.model.expert_coefficients(theta)[:, :, 0] = start[..., : c.model.m]
    if start.shape[-1] > c.model.m:
        c.model.nuisances(theta)[:] = start[..., c.model.m :]
    return c.collapse(theta)


def possible(model: Model, rows: Rows) -> np.ndarray | None:
    """Boolean (u, k): experts whose families can have the units' responses; None where all can."""
    each = model.family.possible((rows.y - rows.y_center) / rows.y_scale)
    if each is None:
        return None
    return each if rows.groups is None else rows.groups.sum(~each) == 0


def _within(memberships: np.ndarray, can: np.ndarray) -> np.ndarray:
    """Memberships (S, u, k) of experts that can have a unit; equal ones where all its own cannot."""
    own, total = memberships * can, memberships.sum(axis=2, keepdims=True)
    mass = own.sum(axis=2, keepdims=True)
    equal = can / np.maximum(can.sum(axis=1, keepdims=True), 1)
    return np.where(mass > 0, own * (total / np.where(mass > 0, mass, 1.0)), equal * total)


def from_memberships(
    objective: Objective,
    memberships: Sequence[np.ndarray],
    threads: int,
    start: np.ndarray | None = None,
    steps: int = STEPS,
) -> np.ndarray:
    """M-steps from `start` (P,) or (S, P), `pooled` where it is not given, with the responsibilities held at
    `memberships`, several fits side by side; phi (S, P).

    The gate moves only where the memberships cover every unit.
    """
    start = pooled(objective) if start is None else start
    phi = np.array(np.broadcast_to(start, (len(memberships), start.shape[-1])))
    given = np.ascontiguousarray(memberships, dtype=float)
    can = possible(objective.coordinates.model, objective.engine.rows)
    if can is not None:
        given = np.ascontiguousarray(_within(given, can))
    partial = (given.sum(axis=2) == 0).any(axis=1)
    held = partial[:, None] & (objective.coordinates.block == 0)

    def evaluate(at: np.ndarray, order: Order) -> Evaluation:
        return objective.evaluate_all(at, order, given, threads)

    return run_em(objective, phi, evaluate, steps, ridge=1e-3, held=held)[0]


def keep_borders(
    objective: Objective, points: Sequence[np.ndarray], memberships: Sequence[np.ndarray], threads: int
) -> tuple[Sequence[np.ndarray], float]:
    """M-steps from points that begin at these memberships, and the passes of each: a softmax gate begins
    flat, and one that is still soft forgets a border. Other gates are left where they are."""
    if objective.coordinates.model.gate.name != "softmax":
        return points, 0.0
    return list(from_memberships(objective, memberships, threads, np.array(points), MORE)), MORE + 1.0

"""What starts and moves look at: a few columns and one response of every unit, row or group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..engine import Order, make_engine, unit_scores
from ..errors import DataError
from ..experts import Gaussian
from ..model import Model
from ..rows import Rows
from ..solvers import Coordinates, Objective
from ..solvers.em import run_em
from .memberships import pooled

AXES = 6  # directions of the groups' scores that are looked at
POOLED_STEPS = 8


def view_of(model: Model, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (u, d), a response (u,) of variance one, and weights (u,)."""
    if rows.groups is None:
        block = next(rows.blocks(rows.n))
        x = block.x[:, 1:] if rows.shared else np.column_stack([block.x[:, 1:], block.z[:, 1:]])
        y, w = model.family.on_link_scale(block.y), block.w
        if block.known is not None:
            counted = model.family.takes_trials and block.known.shape[1] > 1
            y = (y / block.known[:, 1] if counted else y) - block.known[:, 0]
    else:
        z, axes, w = _groups(model, replace(rows, labels=None))
        x, y = np.column_stack([axes[:, 1:], z]), axes[:, 0]
    return x, (y - np.average(y, weights=w)) / max(float(y.std()), 1e-300), w


def _groups(model: Model, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gate columns of the groups, and how they differ from one expert for all: their scores there.

    With A the information of the one expert and S_g the score of a group of n_g rows, A^-1/2 S_g / sqrt(n_g)
    has the same variance in every direction where all groups have that expert; where they have several, the
    directions in which these differ stand out. So its principal axes are taken, the longest first.
    """
    one = replace(model, k=1)
    if model.family.members:  # no one of their laws is that of all rows
        y = model.family.on_link_scale(rows.y)
        one = replace(one, family=Gaussian())
        center, scale = float(y.mean()), max(float(y.std()), 1e-300)
        rows = replace(rows, y=y, known=None, y_center=center, y_scale=scale)
    engine = make_engine(one, rows)
    objective = Objective(
        engine, Coordinates.of(one, rows.x_scaling, rows.z_scaling, None, rows.response_scaling)
    )
    phi, _ = run_em(objective, pooled(objective)[None], objective.evaluate_all, POOLED_STEPS)
    theta = objective.coordinates.expand(phi[0])
    information = engine.evaluate(theta, Order.INFORMATION).information
    assert information is not None and rows.groups is not None
    A = information[one.gate_size :, one.gate_size :]
    root = np.linalg.cholesky(A + 1e-9 * max(float(np.trace(A)), 1e-300) * np.eye(len(A)))
    z, scores, w = [], [], []
    for part in rows.parts(16384):
        block = next(part.blocks(part.n))
        plain = replace(part, w=None)
        of_logits = make_engine(one, plain).rowwise(theta, scores=True).scores
        assert of_logits is not None
        own = unit_scores(one, theta, block, of_logits)[:, one.gate_size :]
        scores.append(np.linalg.solve(root, own.T).T / np.sqrt(np.asarray(block.sizes))[:, None])
        z.append(block.z[:, 1:])
        w.append(block.w)
    white, weights = np.concatenate(scores), np.concatenate(w)
    second = (white * weights[:, None]).T @ white
    if not np.isfinite(second).all():
        raise DataError(
            "one expert for all rows has no finite scores, so that groups cannot be told apart: rescale the "
            "columns, the response or the offset"
        )
    vectors = np.linalg.eigh(second)[1][:, ::-1][:, :AXES]
    vectors = vectors * np.where(
        vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])] < 0, -1, 1
    )
    axes = white @ vectors
    return np.concatenate(z), axes / max(float(axes[:, 0].std()), 1e-300), weights

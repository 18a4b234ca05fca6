"""What a fitted model says of rows that share their expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.groups import refuse_groups
from ..errors import quiet
from ..gates import log_softmax
from ..rows import Groups, encode_groups, sort_groups
from ..rows.groups import gate_of_groups
from .model import FittedModel
from .outputs import no_nan


def group_joint(model: FittedModel, x: Any, z: Any, y: np.ndarray, ids: Any) -> tuple[np.ndarray, np.ndarray]:
    """log pi_e(z_g) prod_i f_e(y_i | x_i) of each group, (G, k), groups in the order of their first rows, and
    the number of each row's group, (n,). The gate reads a group by the model's `gate_at`."""
    _refuse_located(model, ids)
    code, labels = encode_groups(ids, len(y))
    order, groups = _neighbours(code)
    gate = _log_gate(model, x, z, order, groups, labels)
    return gate + groups.sum(model.log_experts(x, y)[order]), code


def gate_inputs(model: FittedModel, x: Any, z: Any, ids: Any) -> tuple[Any, Any]:
    """What the gate reads of each group: x of its first row, (G, d), and its own columns, (G, e)."""
    code, labels = encode_groups(ids, x.shape[0])
    return _inputs(model, x, z, *_neighbours(code), labels)


def _inputs(
    model: FittedModel, x: Any, z: Any, order: Any, groups: Groups, labels: Sequence
) -> tuple[Any, Any]:
    columns = model.gate_columns(x, z)[order]
    own = gate_of_groups(columns, groups, model.gate_at, model.units.gate_names, labels)
    return x[order][groups.first], own


def _log_gate(model: FittedModel, x: Any, z: Any, order: Any, groups: Groups, labels: Sequence) -> np.ndarray:
    """log pi_e of each group, (G, k)."""
    return model.log_gate(*_inputs(model, x, z, order, groups, labels))


def log_weights_after(
    model: FittedModel, x: Any, z: Any, ids: Any, past: tuple[Any, Any, np.ndarray, Any] | None = None
) -> np.ndarray:
    """log of the experts' weights at new rows, (n, k), given what their groups did in the rows `past` = (x,
    z, y, ids): pi_e(z) prod_i f_e(y_i | x_i), normalised. A group without a past has the gate's weights.

    The gate reads constant columns at the new rows. By another rule of the model's `gate_at` it reads a group
    where it was seen first: in its past, of a group without one in its new rows.
    """
    _refuse_located(model, ids)
    own, own_labels = encode_groups(ids, x.shape[0])
    if model.gate_at == "constant":
        joint = model.log_gate(x, z)
    else:
        joint = _log_gate(model, x, z, *_neighbours(own), own_labels)[own]
    if past is not None:
        past_x, past_z, past_y, past_ids = past
        code, labels = encode_groups(past_ids, len(past_y), "the history's groups")
        order, groups = _neighbours(code)
        evidence = groups.sum(model.log_experts(past_x, past_y)[order])
        number = {label: g for g, label in enumerate(labels)}
        at = np.array([number.get(label, -1) for label in own_labels], dtype=np.int64)[own]
        if model.gate_at != "constant":
            seen = _log_gate(model, past_x, past_z, order, groups, labels)
            joint = np.where(at[:, None] >= 0, seen[at], joint)
        joint = joint + np.where(at[:, None] >= 0, evidence[at], 0.0)
    with quiet():
        return no_nan(log_softmax(joint), "weights given the history")


def _refuse_located(model: Any, ids: Any) -> None:
    if not isinstance(model, FittedModel):
        refuse_groups(ids, "located models")


def _neighbours(code: np.ndarray) -> tuple[Any, Groups]:
    """An order of the rows in which groups are neighbours, and the groups, those of one row too."""
    order, groups = sort_groups(code)
    if groups is None:
        return np.argsort(code), Groups.of_sizes(np.ones(len(code), dtype=np.int64))
    return slice(None) if order is None else order, groups

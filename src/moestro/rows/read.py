"""From the columns of a design and a response to rows with their scaling, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..design import Design, Units, fit_scaling
from ..errors import DataError
from .groups import check_constant, encode_groups, group_weights, sort_groups
from .rows import MERGE_LIMIT, Rows


class Scalable(Protocol):
    """What a family of experts says about its response."""

    @property
    def scales_response(self) -> bool: ...


def read(
    design: Design,
    x: np.ndarray,
    z: np.ndarray | None,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Scalable,
    response: str = "y",
    classes: tuple = (),
    gate_scaling: str = "affine",
    groups: Any = None,
    labels: np.ndarray | None = None,
) -> tuple[Rows, Units]:
    """Rows with their scaling, and the units that turn results back.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    z : ndarray of shape (n, e) or None
    y : ndarray of shape (n,)
        Numbers, or class indices as floats.
    w : ndarray of shape (n,) or None
        Constant within a group.
    family : Family
    gate_scaling : {"affine", "scale", "none"}
        What the gate allows to be done to its columns.
    groups : array-like of shape (n,) or None
        Ids of the groups that share their expert. Their rows become neighbours: the order of the rows is then
        not that of the arguments.
    labels : ndarray of int, shape (n,), or None
        The expert that a row is known to have, -1 where it is not known; the same in a group.
    """
    if gate_scaling != "affine" and z is None:
        z = x  # the same columns, scaled differently
    if groups is None:
        plain = replace(Rows.plain(x, z, y, w), labels=labels)
    else:
        plain = _grouped(design, x, z, y, w, groups, labels)
    few = plain.n <= MERGE_LIMIT and (w is None or w.any())
    one = plain.merged() if few else plain  # so that rounding cannot tell a weight from a repeated row
    x_scaling = fit_scaling(one.x, design.expert_names, one.row_weights)
    z_scaling = (
        x_scaling
        if one.z is None
        else fit_scaling(one.z, design.gate_names, one.row_weights).limited(gate_scaling)
    )
    center, scale = 0.0, 1.0
    if family.scales_response:
        used = y if w is None else y[w > 0]
        with np.errstate(over="ignore"):
            spread = float(np.max(used) - np.min(used))
        if not np.isfinite(spread):
            raise DataError(f"the response '{response}' is too large for double precision: rescale it")
        y_scaling = fit_scaling(one.y[:, None], (response,), one.row_weights)
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
    units = Units(
        x_scaling, z_scaling, design.expert_names, design.gate_names, center, scale, response, classes
    )
    return plain.on(x_scaling, z_scaling, center, scale), units


def _grouped(
    design: Design,
    x: np.ndarray,
    z: np.ndarray | None,
    y: np.ndarray,
    w: np.ndarray | None,
    ids: Any,
    known: np.ndarray | None,
) -> Rows:
    code, labels = encode_groups(ids, len(y))
    order, groups = sort_groups(code)
    if groups is None:
        return replace(Rows.plain(x, z, y, w), labels=known)
    if order is not None:
        x, y = x[order], y[order]
        z, w, known = (None if a is None else a[order] for a in (z, w, known))
    gate = x if z is None else z
    check_constant(gate, groups, design.gate_names, labels)
    if known is not None:
        check_constant(known[:, None].astype(float), groups, ("partial",), labels)
        known = known[groups.first]
    plain = Rows.plain(x, z, y, None if w is None else group_weights(w, groups, labels), groups)
    return replace(plain, labels=known)

"""From the columns of a design and a response to rows with their scaling, once."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..design import Design, Units, fit_scaling
from ..errors import DataError
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
) -> tuple[Rows, Units]:
    """Rows with their scaling, and the units that turn results back.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    z : ndarray of shape (n, e) or None
    y : ndarray of shape (n,)
        Numbers, or class indices as floats.
    w : ndarray of shape (n,) or None
    family : Family
    gate_scaling : {"affine", "scale", "none"}
        What the gate allows to be done to its columns.
    """
    if gate_scaling != "affine" and z is None:
        z = x  # the same columns, scaled differently
    plain = Rows.plain(x, z, y, w)
    few = len(y) <= MERGE_LIMIT and (w is None or w.any())
    one = plain.merged() if few else plain  # so that rounding cannot tell a weight from a repeated row
    x_scaling = fit_scaling(one.x, design.expert_names, one.w)
    z_scaling = (
        x_scaling if one.z is None else fit_scaling(one.z, design.gate_names, one.w).limited(gate_scaling)
    )
    center, scale = 0.0, 1.0
    if family.scales_response:
        used = y if w is None else y[w > 0]
        with np.errstate(over="ignore"):
            spread = float(np.max(used) - np.min(used))
        if not np.isfinite(spread):
            raise DataError(f"the response '{response}' is too large for double precision: rescale it")
        y_scaling = fit_scaling(one.y[:, None], (response,), one.w)
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
    units = Units(
        x_scaling, z_scaling, design.expert_names, design.gate_names, center, scale, response, classes
    )
    return plain.on(x_scaling, z_scaling, center, scale), units

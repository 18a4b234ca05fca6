"""From the columns of a design and a response to rows with their scaling, once."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..design import Design, Scaling, Units, fit_scaling, split_known, with_second
from ..errors import DataError, quiet
from .groups import Groups, encode_groups, gate_of_groups, group_labels, group_weights, sort_groups
from .order import MERGE_LIMIT
from .rows import Rows

LARGEST = 1e150  # of a column in its own units: its square is a double
SLOPE = 1e290  # of a slope per standard deviation, in the user's units


class Scalable(Protocol):
    """What a family of experts says about its response."""

    @property
    def name(self) -> str: ...

    @property
    def scales_response(self) -> bool: ...

    @property
    def takes_offset(self) -> bool: ...

    @property
    def takes_trials(self) -> bool: ...

    @property
    def takes_bounds(self) -> bool: ...

    @property
    def lowest(self) -> float: ...


class Given(NamedTuple):
    """Columns as they come."""

    x: np.ndarray
    z: np.ndarray | None
    y: np.ndarray
    w: np.ndarray | None
    known: np.ndarray | None
    labels: np.ndarray | None

    def rows(self, groups: Groups | None = None) -> Rows:
        """Rows in the user's units; w and labels are of the groups where there are any."""
        return Rows.plain(self.x, self.z, self.y, self.w, groups, self.known, self.labels)


def read_rows(
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
    trials: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    gate_at: str = "constant",
) -> tuple[Rows, Units]:
    """Rows with their scaling, and the units that turn results back.

    Parameters
    ----------
    x : ndarray of shape (n, d), or (n, d + 1) with the offset last where the design has one
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
    trials : ndarray of shape (n,) or None
        In which y counts successes, None where each row is one trial; or the other ends of intervals, one
        end of which is y.
    labels : ndarray of int, shape (n,), or None
        The expert that a row is known to have, -1 where it is not known; the same in a group.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group.
    """
    x, known = split_known(x, design.known)
    if known is not None and not family.takes_offset:
        raise DataError(f"{family.name} experts take no offset: leave it out")
    if trials is not None and not (family.takes_trials or family.takes_bounds):
        raise DataError(
            f"{family.name} experts take no trials: for successes and trials use family='binomial'"
        )
    known = with_second(known, y, trials, family)
    if gate_scaling != "affine" and z is None:
        z = x  # the same columns, scaled differently
    given = Given(x, z, y, w, known, labels)
    plain = given.rows() if groups is None else grouped(design, given, groups, gate_at)
    few = plain.n <= MERGE_LIMIT and (w is None or w.any())
    one = plain.merged() if few else plain  # so that rounding cannot tell a weight from a repeated row
    x_scaling = fit_scaling(one.x, design.expert_names, one.row_weights)
    z_scaling = x_scaling
    if one.z is not None:
        z_scaling = fit_scaling(one.z, design.gate_names, one.row_weights, gate_scaling)
    if gate_scaling == "none" and one.z is not None:
        refuse_large(np.abs(one.z).max(axis=0, initial=0.0), design.gate_names)
    center, scale = 0.0, 1.0
    if family.scales_response:
        own, weights = _less_offset(plain), plain.row_weights
        used = own if weights is None else own[weights > 0]
        with np.errstate(over="ignore"):
            spread = float(np.max(used) - np.min(used))
        if not np.isfinite(spread):
            raise DataError(f"the response '{response}' is too large for double precision: rescale it")
        y_scaling = fit_scaling(_less_offset(one)[:, None], (response,), one.row_weights)
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
        check_units(response, scale, design.expert_names, x_scaling)
    units = Units(
        x_scaling, z_scaling, design.expert_names, design.gate_names, center, scale, response, classes
    )
    return plain.on(x_scaling, z_scaling, center, scale), units


def _less_offset(rows: Rows) -> np.ndarray:
    """What experts of a scaled response predict without their offset, (n,)."""
    return rows.y if rows.known is None else rows.y - rows.known[:, 0]


def check_units(response: str, scale: float, names: tuple[str, ...], x: Scaling) -> None:
    """Refuse a response whose variance, and columns whose slopes, are no doubles in the user's units."""
    if not 1 / LARGEST <= scale <= LARGEST:
        what = "large" if scale > 1 else "small"
        raise DataError(
            f"the response '{response}' is too {what}: its variance is beyond double precision. Rescale it"
        )
    with quiet():
        steep = np.flatnonzero(scale * x.inv_scale > SLOPE)
    if len(steep):
        raise DataError(
            f"column '{names[steep[0]]}' is too small beside the response '{response}': its slope is beyond "
            "double precision. Rescale it"
        )


def refuse_large(reach: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse columns that no gate may scale, whose squares are no doubles; `reach` (d,) is their largest
    size."""
    large = np.flatnonzero(reach > LARGEST)
    if len(large):
        raise DataError(
            f"the gate reads column '{names[large[0]]}' in its own units, in which it is too large for "
            "double precision: rescale it, or use gate='softmax'"
        )


def grouped(design: Design, given: Given, ids: Any, gate_at: str) -> Rows:
    code, names = encode_groups(ids, len(given.y))
    order, groups = sort_groups(code)
    if groups is None:
        return given.rows()
    x, z, y, w, known, labels = given
    if order is not None:
        x, y = x[order], y[order]
        z, w, known, labels = (None if a is None else a[order] for a in (z, w, known, labels))
    gate = gate_of_groups(x if z is None else z, groups, gate_at, design.gate_names, names)
    if gate_at != "constant":
        z = groups.expand(gate)
    if labels is not None:
        labels = group_labels(labels, groups, names)
    w = None if w is None else group_weights(w, groups, names)
    return Given(x, z, y, w, known, labels).rows(groups)

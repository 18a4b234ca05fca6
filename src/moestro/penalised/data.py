"""From columns and a response to a penalised problem, with the units that turn results back."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ..design import Design, Units, fit_scaling
from ..errors import DataError
from ..experts import Family
from ..penalties import Penalty
from ..rows import MERGE_LIMIT, merge_rows
from .features import Features
from .problem import Problem

SMALL = 2_000_000  # numbers up to which equal rows are looked for


def read(
    design: Design,
    x: Any,
    z: Any,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Family,
    k: int,
    penalty: Penalty,
    *,
    response: str = "y",
    classes: tuple = (),
    threads: int = 1,
    merge: bool = True,
) -> tuple[Problem, Units]:
    """The problem and its units.

    Parameters
    ----------
    x : ndarray or scipy.sparse array of shape (n, d)
        Never made dense: only the columns that carry slopes are.
    z : like x, or None
        Columns of the gate where they differ.
    y : ndarray of shape (n,)
        Numbers, or class indices as floats.
    w : ndarray of shape (n,) or None
    merge : bool
        Leave out rows of weight zero, and write equal rows of small data once: a weight of two is then a repeated row to the bit.
    """
    if k < 1:
        raise DataError(f"the number of experts must be at least 1, got {k}")
    used = y if w is None else y[w > 0]
    family.check_response(used)
    if k > 1 and len(np.unique(used)) < 2:
        raise DataError("the response has one value or class only: nothing tells experts apart")
    if len(used) < k:
        raise DataError(f"{k} experts need at least {k} rows, the data have {len(used)}")
    x, z = (sp.csr_array(a) if sp.issparse(a) else a for a in (x, z))
    for part in (x, z):
        values = part.data if sp.issparse(part) else part
        if part is not None and not np.isfinite(values).all():
            raise DataError("the columns contain NaN or infinity: remove or fill those rows first")
    if merge:
        index, w = _distinct(x, z, y, w)
        x, z, y = x[index], None if z is None else z[index], y[index]
    experts = Features.of(x, design.expert_names, w)
    gate = experts if z is None else Features.of(z, design.gate_names, w)
    center, scale = 0.0, 1.0
    if family.scales_response:
        of_y = fit_scaling(y[:, None], (response,), w)
        center, scale = float(of_y.center[0]), float(of_y.scale[0])
    units = Units(
        experts.scaling,
        gate.scaling,
        design.expert_names,
        design.gate_names,
        center,
        scale,
        response,
        classes,
    )
    problem = Problem(
        family, k, gate, experts, design.gate_names, design.expert_names, np.ascontiguousarray(y), w, center, scale, threads,
        own_scale=family.has_variance and penalty.scale == "expert",
    )  # fmt: skip
    return problem, units


def _distinct(x: Any, z: Any, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
    """Rows to keep and their weights."""
    if len(y) <= MERGE_LIMIT and len(y) * x.shape[1] <= SMALL:
        dense = [a.toarray() if sp.issparse(a) else a for a in (x, z)]
        return merge_rows(dense[0], dense[1], y, w)
    if w is None or w.all():
        return slice(None), w
    kept = np.flatnonzero(w > 0)
    return kept, w[kept]

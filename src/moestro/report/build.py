"""A report from a fitted estimator and its rows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..design import FormulaDesign
from ..errors import DataError
from ..fitted import FittedModel, posterior
from ..fitted.groups import group_joint
from ..plots.data import Rows
from ..summary import Parts
from ..tables import Table
from ..writing import write
from .columns import NotHere
from .contents import sections
from .explorer import explorer_of
from .material import Material
from .page import page

LARGEST = 2 * 2**20  # bytes of a page
CELLS = 10**7  # of a sparse matrix that is written out


def write_report(
    path: Any,
    model: Any,
    parts: Parts,
    data: tuple[Any, Any, np.ndarray, np.ndarray | None, Any],
    *,
    covariance: Any = None,
    selection: Table,
    choices: tuple[Any, ...] = (),
    call: str = "",
    columns: dict[str, np.ndarray] | None = None,
) -> None:
    """Write the page of a fitted model about rows.

    Parameters
    ----------
    path : path
    model : FittedModel or LocatedModel
    parts : Parts
        Of its summary.
    data : tuple (x, z, y, w, ids)
        Rows as the design gives them, weights or None, and ids of groups or None.
    covariance, selection, choices, call
        As in `Material`.
    columns : dict of str to ndarray, optional
        The user's columns of these rows, by name: what the explorer's sliders move.
    """
    write(path, report_html(model, parts, data, covariance, selection, choices, call, columns))


def report_html(
    model: Any,
    parts: Parts,
    data: tuple[Any, Any, np.ndarray, np.ndarray | None, Any],
    covariance: Any,
    selection: Table,
    choices: tuple[Any, ...],
    call: str,
    columns: dict[str, np.ndarray] | None,
) -> str:
    """The page itself; words as in `write_report`."""
    rows = _rows(model, *data)
    material = Material(model, parts, rows, covariance, selection, choices, call, data[4] is not None)
    explorer, why = None, ""
    try:
        explorer = explorer_of(model, rows, columns)
    except NotHere as reason:
        why = str(reason)
    text = page(parts.title, sections(material), explorer, why)
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise DataError(
            f"the report has {len(text) / 2**20:.1f} MB, more than a page should: the model has "
            f"{len(model.design.expert_names)} columns; summary() and tidy() have them all"
        )
    return text


def _rows(model: Any, x: Any, z: Any, y: np.ndarray, w: np.ndarray | None, ids: Any) -> Rows:
    """With their posteriors, those of their groups where they have any."""
    x, z = (_dense(a) for a in (x, z))
    if ids is None:
        r = posterior(model.log_joint(x, z, y))
    else:
        joint, code = group_joint(model, x, z, y, ids)
        r = posterior(joint)[code]
    if isinstance(model, FittedModel) and model.fit.group_sizes is not None and ids is None:
        raise DataError("the model's rows share their expert in groups: give groups=")
    return Rows(x, z, y, np.ones(len(y)) if w is None else w, r)


def _dense(a: Any) -> Any:
    if a is None or not sp.issparse(a):
        return a
    if a.shape[0] * a.shape[1] > CELLS:
        raise DataError(
            f"a report of a sparse matrix of {a.shape[0]} x {a.shape[1]} is too large: give fewer rows"
        )
    return a.toarray()


def call_of(estimator: Any, design: Any) -> str:
    """The Python that makes a fit again."""
    text = re.sub(r"\s+", " ", repr(estimator))
    given = "data" if isinstance(design, FormulaDesign) else "X, y"
    return f"{text}.fit({given})"

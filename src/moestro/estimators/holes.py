"""The rows of a call that an estimator can use, and results with NaN in the place of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design import FormulaDesign
from ..design.formula import read_by
from ..design.frames import (
    columns,
    complete_rows,
    frame_names,
    gaps,
    refuse_gaps,
    refuse_missing_categories,
)
from ..design.grammar import with_offset
from ..design.holes import Dropped, array_gaps, check_policy, count_rows, drop_gaps, take_rows
from ..design.pairs import response_data
from ..rows import encode_groups


@dataclass(frozen=True)
class Seen:
    """Rows without missing values.

    Attributes
    ----------
    keep : ndarray of bool, shape (n,), or None
        None where every row is complete.
    """

    keep: np.ndarray | None = None

    def take(self, data: Any) -> Any:
        """The rows that are seen; None and the name of a column stay."""
        return data if self.keep is None or isinstance(data, str) else take_rows(data, self.keep)

    def restore(self, out: np.ndarray) -> np.ndarray:
        """Results (m, ...) of the rows that are seen as results of all rows, NaN elsewhere."""
        if self.keep is None:
            return out
        kind = out.dtype if out.dtype.kind in "fO" else float if out.dtype.kind in "biu" else object
        every = np.full((len(self.keep), *out.shape[1:]), np.nan, dtype=kind)
        every[self.keep] = out
        return every

    def law(self, law: Any) -> Any:
        """A predictive distribution of all rows."""
        return law if self.keep is None else law.restore(self.keep)

    def restore_groups(self, out: np.ndarray, ids: Any) -> np.ndarray:
        """Results of the groups with a row that is seen as results of all groups, in the order in which they
        first appear."""
        if self.keep is None:
            return out
        code, labels = encode_groups(ids, len(self.keep))
        every = np.full((len(labels), *out.shape[1:]), np.nan)
        every[list(dict.fromkeys(code[self.keep].tolist()))] = out
        return every


def training_rows(estimator: Any, X: Any, y: Any, offset: Any = None) -> tuple[Seen, Dropped | None]:
    """The rows to fit on, and under ``missing="drop"`` the account of the others."""
    check_policy(estimator.missing, estimator._has_law_of_x)
    if estimator.formula is None:
        found = array_gaps(X) | _response_gaps(y) | _offset_gaps(offset, X)
    elif isinstance(estimator.formula, str):
        found = gaps(read_by(with_offset(estimator.formula, offset), X, y))
    else:
        return Seen(), None  # refused where it is read
    if estimator._holes:
        _refuse_categories(X, found)
        return Seen(), None
    if estimator.missing == "error":
        refuse_gaps(found)
        return Seen(), None
    keep, dropped = drop_gaps(found, count_rows(X))
    return Seen(keep), dropped


def seen_rows(estimator: Any, X: Any, y: Any = None, response: bool = False, offset: Any = None) -> Seen:
    """The rows of X, of y where a `response` is read too, and of the offset, that a fitted estimator can
    use."""
    design = estimator._fitted().design
    if not isinstance(design, FormulaDesign):
        found = array_gaps(X) | (_response_gaps(y) if response else {}) | _offset_gaps(offset, X)
    else:
        given = response_data(design.response, np.asarray(y)) if response and y is not None else None
        found = gaps(design.read(X, given, response))
    if estimator._holes:
        _refuse_categories(X, found)
        return Seen()
    if estimator.missing == "error":
        refuse_gaps(found)
        return Seen()
    return Seen(complete_rows(found))


def seen_responses(y: np.ndarray) -> Seen:
    """The rows whose response, (n,) or (n, q), is there: a score of a missing one says nothing."""
    return Seen(complete_rows(array_gaps(np.asarray(y), "y")))


def _refuse_categories(X: Any, found: dict[str, np.ndarray]) -> None:
    """Refuse gaps in the columns of a frame that hold categories."""
    read = [name for name in frame_names(X) if name in found]
    if read:
        refuse_missing_categories(columns(X, read), {name: found[name] for name in read})


def _offset_gaps(offset: Any, X: Any) -> dict[str, np.ndarray]:
    """Of an offset (n,) that is given beside a matrix; of another shape it is refused where it is read."""
    if offset is None or isinstance(offset, str) or np.shape(offset) != (count_rows(X),):
        return {}
    return gaps({"offset": np.asarray(offset)})


def _response_gaps(y: Any) -> dict[str, np.ndarray]:
    found = array_gaps(y, "y")
    if frame_names(y) or len(found) != 1 or np.ndim(y) > 1:
        return found
    return {"y": next(iter(found.values()))}

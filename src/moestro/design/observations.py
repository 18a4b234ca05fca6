"""What a fit is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .groups import check_gate_at, refuse_groups, refuse_partial
from .holes import Dropped
from .known import refuse_offset

if TYPE_CHECKING:
    from . import Design


@dataclass(frozen=True)
class Observations:
    """The columns of a design, the response and the weights, as numbers.

    Attributes
    ----------
    design : Design
    x : ndarray or scipy.sparse of shape (n, d)
        Columns of the experts and, last, their offset where the design has one.
    z : like x, or None
        Columns of the gate where they differ.
    y : ndarray of shape (n,), or (n, q) of several responses
        Numbers, or class indices as floats.
    w : ndarray of shape (n,) or None
    responses : tuple of str
        What they are called.
    classes : tuple
        Labels of the classes; none for numbers.
    groups : array-like of shape (n,) or None
        Ids of the rows that share their expert.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads the columns of a group.
    trials : ndarray of shape (n,) or None
        In which y counts successes.
    dropped : Dropped or None
        Rows that were left out for missing values.
    partial : ndarray of int, shape (n,), or None
        The expert that a row is known to have, -1 where it is not known.
    """

    design: Design
    x: Any
    z: Any
    y: np.ndarray
    w: np.ndarray | None = None
    responses: tuple[str, ...] = ("y",)
    classes: tuple = ()
    groups: Any = None
    trials: np.ndarray | None = None
    dropped: Dropped | None = None
    partial: np.ndarray | None = None
    gate_at: str = "constant"

    def __post_init__(self) -> None:
        check_gate_at(self.gate_at, self.groups)

    @property
    def response(self) -> str:
        """What the first one is called."""
        return self.responses[0]

    def refuse_beside(self, what: str) -> None:
        """Refuse what `what` does not know of rows: groups, known experts, common coefficients, an offset,
        trials."""
        refuse_groups(self.groups, what)
        refuse_partial(self.partial, self.design.common, what)
        refuse_offset(self.design.known, what)
        if self.trials is not None:
            raise DataError(
                f"{what} count no trials: leave the penalty and the Gaussian gate out, or write each trial "
                "as a row"
            )

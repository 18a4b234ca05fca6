"""How a fit ended: a kind and a sentence. Never only a warning."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

import numpy as np

from ..tables import clean


class StatusKind(StrEnum):
    """The ways a fit can end."""

    CONVERGED = "converged"
    FLAT = "flat"
    SEPARATED = "separated"
    THIN = "thin expert"
    COLLAPSED = "variance collapsed"
    BOUNDARY = "at a boundary"
    EMPTY = "empty component"
    LIMIT = "stopped at the limit"
    NOT_FINITE = "not finite"
    IMPRECISE = "imprecise"


# Preferred first when starts are ranked: a collapsed or non-finite fit is no estimate.
USABLE = {StatusKind.CONVERGED, StatusKind.FLAT, StatusKind.SEPARATED, StatusKind.LIMIT, StatusKind.BOUNDARY}


@dataclass(frozen=True)
class Status:
    """Kind, sentence, and the experts (0-based) that it is about.

    Attributes
    ----------
    kind : StatusKind
    sentence : str
    experts : tuple of int
        Atoms that are not identified, separated or collapsed.
    entries : tuple of int
        Entries of theta without a finite estimate; a file does not keep them, its sentence has their names.
    """

    kind: StatusKind
    sentence: str
    experts: tuple[int, ...] = ()
    entries: tuple[int, ...] = field(default=(), compare=False)

    @property
    def usable(self) -> bool:
        """Whether the fit is an estimate: not collapsed, and finite."""
        return self.kind in USABLE

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(str(self.kind))}</strong>: {escape(clean(self.sentence))}</p>"


def named(experts: Collection[int]) -> str:
    """ "expert 2", "experts 1, 3": counted from 1, as people see them."""
    return f"expert{'s' if len(experts) > 1 else ''} {', '.join(str(e + 1) for e in experts)}"


def thin_status(status: Status, thin: np.ndarray, rows: np.ndarray, what: str, remedy: str) -> Status:
    """`status`, or where experts are `thin`, boolean (k,): which ones, and on how many of the `rows` (k,).

    `what` an expert is called and the `remedy` beside fewer of them are the problem's own words.
    """
    if not thin.any():
        return status
    which, each = _on_rows(thin, rows, what)
    sentence = (
        f"{each}: too few for its parameters, so its coefficients are not reliable. Use fewer experts or "
    )
    return Status(StatusKind.THIN, sentence + remedy, which)


def narrow_status(narrow: np.ndarray, rows: np.ndarray, rounding: float) -> Status:
    """The status of a fit whose experts in `narrow`, boolean (k,), are narrower than the `rounding` of the
    response."""
    which, each = _on_rows(narrow, rows, "expert")
    sentence = (
        f"{each}: narrower than the response is rounded (standard deviation {rounding:.2g}), so it describes "
        "a heap of equal values. Use fewer experts or a shared variance"
    )
    return Status(StatusKind.COLLAPSED, sentence, which)


def _on_rows(those: np.ndarray, rows: np.ndarray, what: str) -> tuple[tuple[int, ...], str]:
    """Their numbers, and each with its rows in words."""
    which = tuple(int(e) for e in np.flatnonzero(those))
    return which, " and ".join(f"{what} {e + 1} on {rows[e]:.1f} rows" for e in which)

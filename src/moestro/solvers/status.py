"""How a fit ended: a kind and a sentence. Never only a warning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StatusKind(StrEnum):
    """The ways a fit can end."""

    CONVERGED = "converged"
    FLAT = "flat"
    SEPARATED = "separated"
    THIN = "thin expert"
    COLLAPSED = "variance collapsed"
    EMPTY = "empty component"
    LIMIT = "stopped at the limit"
    NOT_FINITE = "not finite"


# Preferred first when starts are ranked: a collapsed or non-finite fit is no estimate.
USABLE = {StatusKind.CONVERGED, StatusKind.FLAT, StatusKind.SEPARATED, StatusKind.LIMIT}


@dataclass(frozen=True)
class Status:
    """Kind, sentence, and the experts (0-based) that it is about.

    Attributes
    ----------
    kind : StatusKind
    sentence : str
    experts : tuple of int
        Atoms that are not identified, separated or collapsed.
    """

    kind: StatusKind
    sentence: str
    experts: tuple[int, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the fit is an estimate: not collapsed, and finite."""
        return self.kind in USABLE

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"

"""What a report is made of, and how its pictures are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError
from ..plots.data import Rows
from ..summary import Parts
from ..tables import Table
from .page import Block
from .pictures import picture


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes
    ----------
    model : FittedModel or LocatedModel
    parts : Parts
        Of its summary.
    rows : Rows
        The rows that it is about.
    covariance : object or None
    selection : Table
        The candidates.
    choice : object or None
        Of a slope heuristic or a dendrogram; of a penalised fit its path.
    call : str
        How the fit is made again.
    grouped : bool
        Whether rows share their expert in groups.
    """

    model: Any
    parts: Parts
    rows: Rows
    covariance: Any
    selection: Table
    choices: tuple[Any, ...]
    call: str
    grouped: bool = False
    drawn: list[str] = field(default_factory=list)

    def figure(self, make: Callable[[], Any], caption: str, size: tuple[float, float] = (5.6, 4.0)) -> Block:
        """A picture, or in words why there is none."""
        self.drawn.append(caption)
        try:
            return Block("figure", picture(make(), len(self.drawn), caption, size), caption)
        except DataError as error:
            return Block("text", f"No picture: {error}.")

"""What one pass over rows that are elsewhere adds up: moments, counts, and a digest of the response."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .moments import Moments
from .rows import Rows
from .sources import told


@dataclass(frozen=True)
class Counts:
    """Rows, and units, which are rows or groups of them; present are those with a weight above zero.

    Attributes
    ----------
    rows, rows_present, units, units_present : int
    row_weight, weight : float
        Sums over rows, and over units.
    smallest, largest : int
        Rows of a unit that is present.
    digest : str
        Of the responses and weights in their order.
    """

    rows: int
    rows_present: int
    units: int
    units_present: int
    row_weight: float
    weight: float
    smallest: int
    largest: int
    digest: str


class Totals:
    """The sums so far."""

    of_x: Moments
    of_y: Moments

    def __init__(self, classes: tuple) -> None:
        self.of_z: Moments | None = None
        self.rows = self.rows_present = self.units = self.units_present = 0
        self.row_weight, self.weight = 0.0, 0.0
        self.smallest, self.largest = 0, 0
        self.differing = np.zeros(0)
        self._text = hashlib.sha256(repr(classes).encode("utf-8", "surrogatepass"))
        self._weights: Any = None

    def add(self, rows: Rows, family: Any, where: str) -> None:
        """One block, in the user's units; a response that the `family` does not take is refused with where it
        stands."""
        w = rows.row_weights
        seen = rows.y if w is None else rows.y[w > 0]
        with told(where):
            family.check_response(seen)
        own = np.append(self.differing, family.telling(seen))
        self.differing = own[[own.argmin(), own.argmax()]] if len(own) else own
        y = rows.y if rows.known is None else rows.y - rows.known[:, 0]
        first = self.rows == 0
        self.of_x = Moments.of(rows.x, w) if first else self.of_x.merged(Moments.of(rows.x, w))
        self.of_y = Moments.of(y[:, None], w) if first else self.of_y.merged(Moments.of(y[:, None], w))
        if rows.z is not None:
            z = Moments.of(rows.z, w)
            self.of_z = z if self.of_z is None else self.of_z.merged(z)
        self._count(rows)
        self._text.update(rows.y.tobytes())
        if w is not None:
            self._weights = self._weights or hashlib.sha256()
            self._weights.update(w.tobytes())

    def _count(self, rows: Rows) -> None:
        self.rows, self.rows_present = self.rows + rows.n, self.rows_present + rows.n_present
        self.units, self.units_present = self.units + rows.n_units, self.units_present + rows.units_present
        self.row_weight, self.weight = self.row_weight + rows.row_weight_sum, self.weight + rows.weight_sum
        if rows.units_present:
            _, least, most = rows.group_sizes or (0, 1, 1)
            self.smallest = min(self.smallest, least) if self.largest else least
            self.largest = max(self.largest, most)

    def counts(self) -> Counts:
        """Of all blocks."""
        text = self._text.copy()
        if self._weights is not None:
            text.update(self._weights.digest())
        return Counts(
            self.rows, self.rows_present, self.units, self.units_present, self.row_weight, self.weight,
            self.smallest, self.largest, text.hexdigest()[:16],
        )  # fmt: skip

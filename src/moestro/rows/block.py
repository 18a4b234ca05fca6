"""A few scaled rows, as engines in NumPy read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .groups import Groups


@dataclass(frozen=True)
class Block:
    """Scaled rows, b of them in u units: ``x`` (b, p) and ``z`` (u, q) with a leading one, ``y`` (b,), ``w``
    (u,), ``at`` the slice of the units, ``known`` (b, c) what is known of the predictors."""

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    w: np.ndarray
    at: slice
    groups: Groups | None = None
    known: np.ndarray | None = None

    def sum(self, a: np.ndarray) -> np.ndarray:
        """Sums over the rows of each unit: (b, ...) to (u, ...)."""
        return a if self.groups is None else self.groups.sum(a)

    def expand(self, a: np.ndarray) -> np.ndarray:
        """What a unit has, at each of its rows: (u, ...) to (b, ...)."""
        return a if self.groups is None else self.groups.expand(a)

    @property
    def first(self) -> slice | np.ndarray:
        """The first row of each unit."""
        return slice(None) if self.groups is None else self.groups.first

    @property
    def sizes(self) -> np.ndarray | int:
        """Rows of each unit."""
        return 1 if self.groups is None else self.groups.sizes

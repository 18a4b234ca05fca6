"""What the search of a mixture of experts found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model import Model
from ..search import Fit
from ..solvers import Coordinates


@dataclass(frozen=True, kw_only=True)
class MixtureFit(Fit):
    """A fitted mixture of experts.

    Attributes
    ----------
    model : Model
    coordinates : Coordinates
    theta : ndarray of shape (P,)
        Parameters in scaled coordinates, experts in decreasing order of mass.
    group_sizes : tuple of int or None
        Number of groups that share their expert, and the rows of the smallest and of the largest.
    """

    model: Model
    coordinates: Coordinates
    theta: np.ndarray
    group_sizes: tuple[int, int, int] | None = None

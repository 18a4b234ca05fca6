"""Which of several local maxima of the likelihood is the estimate.

The likelihood of a Gaussian mixture has no maximum: an expert that fits a few rows exactly can have any
density there, and a longer search finds ever higher such points. What is wanted is a local maximum that an
actual group of rows makes (Day, 1969; Hathaway, 1985). An expert with p parameters of its own fits p rows
exactly without any group behind them, and gains p log(s / sigma) so, s^2 the variance of the response. So a
fit is *usable* only if each expert's rows, the sum of its responsibilities, are at least

    p (2 + max(log(s / sigma), 0)),

twice the rows of an exact fit, and more the narrower the expert is; log(s / sigma) counts as zero for
families without a variance. Among usable fits the likelihood has a maximum, since sigma is bounded below by
the rows that there are.

A response that is recorded to a multiple of delta stands for intervals of that width, and a normal density
narrower than the rounding itself, sigma < delta / sqrt(12), is large at a value where the interval's
probability is not: it names a heap of equal values, however many. Such an expert counts as collapsed.

Usable ends come first, then those with a *thin* expert, then those with a collapsed one, each by
log-likelihood. The estimate is always a local maximum of the plain likelihood: only the choice among them is
made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..rows import Rows, RowsElsewhere
from ..solvers import Coordinates

ROWS = 2.0  # rows a parameter of its own that an expert as wide as the response needs


@dataclass(frozen=True)
class Ranking:
    """How ends on given rows are ranked.

    Attributes
    ----------
    coordinates : Coordinates
    unit : float
        Rows of the whole data that a unit of weight stands for; probability weights, which sum to less than
        the rows, do not make rows fewer.
    by : {"usable", "likelihood"}
    rounding : float
        Standard deviation of the response's rounding, in its scaled units; 0 where it is continuous.
    """

    coordinates: Coordinates
    unit: float
    by: str
    rounding: float = 0.0

    @classmethod
    def of(cls, coordinates: Coordinates, rows: Rows | RowsElsewhere, by: str, share: float = 1.0) -> Ranking:
        """The ranking of fits on `rows`, a `share` of all rows."""
        total, present = rows.row_weight_sum, rows.n_present
        rounded = (
            rows.spacing / rows.y_scale / np.sqrt(12.0) if coordinates.model.family.scales_response else 0.0
        )
        return cls(coordinates, max(total, float(present)) / total / share, by, rounded)

    def narrow(self, phi: np.ndarray) -> np.ndarray:
        """Boolean (k,): experts with a standard deviation below that of the rounding."""
        return self._is_narrow(self._narrowness(phi))

    def thin(self, phi: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Boolean (k,): experts with too few rows for their parameters. `mass` (k,) are sums of
        responsibilities."""
        return self._is_thin(self._narrowness(phi), mass)

    def _narrowness(self, phi: np.ndarray) -> np.ndarray:
        """log(s / sigma) of each expert (k,)."""
        c = self.coordinates
        return c.model.family.narrowness(c.model.nuisances(c.expand(phi)))

    def _is_narrow(self, narrowness: np.ndarray) -> np.ndarray:
        return narrowness > (-np.log(self.rounding) if self.rounding > 0 else np.inf)

    def _is_thin(self, narrowness: np.ndarray, mass: np.ndarray) -> np.ndarray:
        if self.coordinates.model.k == 1:
            return np.zeros(1, dtype=bool)
        return mass * self.unit < self._own * (ROWS + np.maximum(narrowness, 0.0))

    @cached_property
    def _own(self) -> np.ndarray:
        """Parameters (k,) of each expert's own."""
        c = self.coordinates
        alone = c.map.A[:, np.flatnonzero(c.block == -1)]
        places = c.model.nuisances(np.arange(c.model.size))
        shared = np.bincount(alone.indices, minlength=alone.shape[1]) > 1
        free = [alone[at][:, ~shared].nnz for at in places]
        return c.predictors_of_expert.sum(axis=0) + np.array(free)

    def hopeless(self, weight: float) -> bool:
        """Whether rows of this weight are too few for several experts, however they are shared out."""
        c = self.coordinates
        return c.model.k > 1 and weight * self.unit < ROWS * float(self._own.sum())

    def lost(self, phi: np.ndarray) -> bool:
        """Whether the variance of one of several experts is at its bound: a long run does not bring it
        back."""
        c = self.coordinates
        return self.by == "usable" and c.model.k > 1 and bool(c.collapsed(phi).any())

    def key(self, phi: np.ndarray, value: float, mass: np.ndarray) -> tuple[int, float]:
        """Larger is better: (2 usable, 1 thin, 0 collapsed, -1 not finite; log-likelihood)."""
        if not np.isfinite(value):
            return -1, -np.inf
        if self.by == "likelihood":
            return 2, float(value)
        narrowness = self._narrowness(phi)
        collapsed = self.coordinates.collapsed(phi).any() or self._is_narrow(narrowness).any()
        kind = 0 if collapsed else 1 if self._is_thin(narrowness, mass).any() else 2
        return kind, float(value)

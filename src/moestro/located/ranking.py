"""Which located fits are usable: `problems.ranking` for rows of several numbers.

A component with p parameters of its own on m rows of d columns needs

    m d >= p (2 + max(log(s / sigma), 0)),

log(s / sigma) the mean over the columns: half the log-determinant of the whole sample's covariance over the
component's, divided by d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import polynomial
from .data import Data
from .specification import Specification

ROWS = 2.0  # numbers a parameter of its own that a component as wide as the sample needs


@dataclass(frozen=True)
class Ranking:
    """How ends on given rows are ranked.

    Attributes
    ----------
    columns : int
        d.
    own : float
        Parameters of one component, without its weight and what is tied.
    volume : float
        Log-determinant of the covariance of one component on all rows.
    unit : float
        Rows of the whole data that a unit of weight stands for.
    seen : float
        Numbers of an average row: fewer than d where values are missing.
    """

    columns: int
    own: float
    volume: float
    unit: float
    seen: float

    @classmethod
    def of(cls, data: Data, spec: Specification, k: int, share: float) -> Ranking:
        """The ranking of fits on `data`, a `share` of all rows."""
        p, D = data.p, data.v.shape[1]
        shape = spec.shape(k, p, D)
        own = p + D * (1 + polynomial.count(p, spec.degree)) + spec.student
        own += 0 if spec.gate_tied else shape.gate.size(k, p) / k
        own += 0 if spec.tied else shape.noise.size(k, D) / k
        n = len(data.u)
        total, present = (
            (n, n) if data.weights is None else (data.weights.sum(), np.count_nonzero(data.weights))
        )
        unit = max(float(total), float(present)) / float(total) / share
        return cls(p + D, own, data.volume(spec), unit, data.seen)

    def thin(self, log_volumes: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Boolean (k,): components with too few rows for their parameters. `mass` (k,) are sums of
        responsibilities."""
        if len(mass) == 1:
            return np.zeros(1, dtype=bool)
        narrow = np.maximum(0.5 * (self.volume - log_volumes) / self.columns, 0.0)
        return mass * self.unit * self.seen < self.own * (ROWS + narrow)

    def hopeless(self, k: int, weight: float) -> bool:
        """Whether rows of this weight are too few for k > 1 components, however they are shared out."""
        return k > 1 and weight * self.unit * self.seen < self.own * ROWS * k

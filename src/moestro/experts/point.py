"""A point mass: y is one number for certain. An expert beside others, which makes their mixture zero-inflated
(beside counts) or of two parts (beside positive numbers).

log f = 0 at the point; a response that is another number has probability zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Facts, predictor_bounds

POINTS = {"zero": 0.0, "one": 1.0}


@dataclass(frozen=True)
class Point(Facts):
    """A response that is always the number of its name; it has no parameters."""

    name: str = "zero"

    predictors = 0
    discrete = True

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Point:
        """From the options that a user gives."""
        return cls(name)

    @property
    def value(self) -> float:
        return POINTS[self.name]

    def supports(self, y: np.ndarray) -> np.ndarray:
        return y == self.value

    def check_response(self, y: np.ndarray) -> None:
        if (y != self.value).any():
            raise DataError(f"a response of '{self.name}' is always {self.value:g}")

    def log_base(self, y: np.ndarray) -> float:
        return 0.0

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(eta.shape[:-1], np.shape(y))
        return np.broadcast_to(np.where(y == self.value, 0.0, -np.inf), shape)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.zeros((*np.broadcast_shapes(eta.shape[:-1], np.shape(y)), 0))

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.zeros((*np.broadcast_shapes(eta.shape[:-1], np.shape(y)), 0, 0))

    def information(self, eta: np.ndarray) -> np.ndarray:
        return np.zeros((*eta.shape[:-1], 0, 0))

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.full(eta.shape[:-1], self.value)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return np.zeros(eta.shape[:-1])

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.full(eta.shape[:-1], self.value)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        shape = np.broadcast_shapes(eta.shape[:-1], np.shape(y))
        return np.broadcast_to((y >= self.value).astype(float), shape)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return np.zeros(0)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(1.0)

"""What all experts of classes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..errors import DataError
from .base import Facts


@dataclass(frozen=True)
class OfClasses(Facts):
    """Of a response that is the place of a class, 0 to classes - 1."""

    classes: int

    discrete = True
    takes_offset = False

    @property
    def labels(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.classes

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Self:
        """From the options that a user gives."""
        return cls(classes)

    def check_response(self, y: np.ndarray) -> None:
        if self.classes < 2:
            raise DataError("the response has only one class: a classifier needs at least 2 classes")

    def log_base(self, y: np.ndarray) -> float:
        return 0.0

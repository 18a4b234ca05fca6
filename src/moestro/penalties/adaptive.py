"""The adaptive Lasso (Zou, 2006): slopes that a pilot fit found large are penalised less."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import DataError
from .base import Layout, Terms, TwoStrengths, check_strength


@dataclass(frozen=True)
class AdaptiveL1(TwoStrengths):
    """alpha sum_j |s_j| / (|pilot_j| + n^(-1/2))^power, the gate's times gate_ratio.

    Parameters
    ----------
    power : float
    pilot : ndarray of shape (size,), optional
        Slopes as the penalty measures them; by default those of a Lasso fit chosen by the extended BIC (by
        the same criterion, where another one than "cv" is given).
    alpha, gate_ratio, standardize, scale, refit
        As in `L1`.
    """

    power: float = 1.0
    pilot: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength(self.power, "power", none=False)

    def with_pilot(self, slopes: np.ndarray) -> AdaptiveL1:
        """The penalty with the weights that a pilot fit gives."""
        return replace(self, pilot=slopes)

    def terms(self, layout: Layout) -> Terms:
        if self.pilot is None:
            raise DataError("an adaptive penalty needs a pilot fit: fit it by an estimator or by alpha_path")
        size = np.abs(self.pilot) + layout.n**-0.5
        return Terms.of(layout.size, l1=self.weights(layout) / size**self.power)

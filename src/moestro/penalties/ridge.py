"""Ridge on gate and expert slopes: nothing becomes zero, everything stays finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Layout, Terms, TwoStrengths


@dataclass(frozen=True)
class Ridge(TwoStrengths):
    """alpha / 2 (sum expert slopes^2 + gate_ratio sum gate slopes^2).

    Parameters
    ----------
    alpha, gate_ratio, standardize, scale, refit
        As in `L1`.
    """

    sparse: ClassVar[bool] = False

    def terms(self, layout: Layout) -> Terms:
        unit = layout.expand(layout.gate_unit, layout.expert_unit)
        return Terms.of(layout.size, l2=self.weights(layout) * unit)

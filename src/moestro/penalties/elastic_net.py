"""The elastic net on gate and expert slopes (Zou and Hastie, 2005)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DataError
from .base import Layout, Terms, TwoStrengths, check_strength


@dataclass(frozen=True)
class ElasticNet(TwoStrengths):
    """alpha (l1_ratio |slopes| + (1 - l1_ratio) / 2 slopes^2), the gate's times gate_ratio.

    Parameters
    ----------
    l1_ratio : float
        In (0, 1]: 1 is the Lasso. Correlated columns enter together below it.
    alpha, gate_ratio, standardize, scale, refit
        As in `L1`.
    """

    l1_ratio: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength(self.l1_ratio, "l1_ratio", none=False)
        if not 0 < self.l1_ratio <= 1:
            raise DataError(f"l1_ratio must lie in (0, 1], got {self.l1_ratio!r}: use Ridge for none")

    def terms(self, layout: Layout) -> Terms:
        first = self.weights(layout)
        second = first * layout.expand(layout.gate_unit, layout.expert_unit)
        return Terms.of(layout.size, l1=self.l1_ratio * first, l2=(1 - self.l1_ratio) * second)

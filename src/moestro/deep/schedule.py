"""How many experts to use at each step of training: the schedules of the released code, as plain
functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from ..errors import DataError
from .routers.base import check_size

MODES = (
    "constant",
    "linear_increase",
    "linear_decrease",
    "cosine_increase",
    "cosine_decrease",
    "exp_increase",
    "multi_step_increase",
    "multi_step_decrease",
)


@dataclass(frozen=True)
class TopKSchedule:
    """k(step) between `low` and `high` over `steps` steps.

    Attributes
    ----------
    mode : one of MODES
        "linear_increase" is round((high - low) step / steps) + low, what SMoE-Dropout and HyperRouter train
        with; the multi-step modes walk through powers of two.
    low, high, steps : int
    """

    mode: str
    low: int
    high: int
    steps: int

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise DataError(f"mode={self.mode!r} is unknown: choose one of {', '.join(MODES)}")
        for name in ("low", "high", "steps"):
            check_size(name, getattr(self, name))
        if self.low > self.high:
            raise DataError("a schedule needs low <= high")

    def __call__(self, step: int) -> int:
        """k at a step; steps outside of the schedule take its ends."""
        if not isinstance(step, Real) or math.isnan(step):
            raise DataError(f"step must be a number, got {step!r}")
        t = min(max(step / self.steps, 0.0), 1.0)
        span = self.high - self.low
        if self.mode == "constant":
            return self.high
        if self.mode.startswith("multi_step"):
            rungs = [self.low]
            while rungs[-1] * 2 <= self.high:
                rungs.append(rungs[-1] * 2)
            if rungs[-1] != self.high:
                rungs.append(self.high)
            if self.mode.endswith("decrease"):
                rungs.reverse()
            return rungs[min(int(t * len(rungs)), len(rungs) - 1)]
        share = {
            "linear": t,
            "cosine": 0.5 * (1.0 - math.cos(math.pi * t)),
            "exp": (self.high / self.low) ** t * self.low / span - self.low / span if span else 0.0,
        }[self.mode.split("_")[0]]
        if self.mode.endswith("decrease"):
            share = 1.0 - share
        return min(max(round(span * share) + self.low, self.low), self.high)

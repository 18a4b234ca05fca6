"""The trust region of Newton's methods, plain and proximal: which step is taken, and how the damping lam
follows the agreement of its gain with the prediction (Levenberg-Marquardt)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ENOUGH = 1e-4  # share of the predicted gain from which a step is taken
GOOD, POOR = 0.75, 0.25  # agreement above which the region grows, and below which it shrinks
SHRINK, RAISE, GROWTH = 10.0, 3.0, 6.0
HEAVIEST = 1e8  # damping at which no step is left
FLOOR = 1e-10  # damping after a refusal


def after_step(lam: Any, ratio: Any, least: float = 0.0) -> Any:
    """lam after a step that was taken; arrays are as good as numbers."""
    return np.maximum(np.where(ratio > GOOD, lam / SHRINK, np.where(ratio > POOR, lam, lam * RAISE)), least)


def after_refusal(lam: Any) -> Any:
    """lam after a step that was refused."""
    return np.maximum(lam * GROWTH, FLOOR)


def damped_step(
    level: float,
    lam: float,
    noise: float,
    propose: Callable[[float], tuple[np.ndarray | None, float] | None],
    value: Callable[[np.ndarray], float],
    look: Callable[[np.ndarray], tuple[Any, float]],
    improves: Callable[[np.ndarray, Any], bool],
    least: float = 0.0,
) -> tuple[Any, np.ndarray | None, float]:
    """The first step uphill from `level` that is worth taking: what was seen there, where it is, and the
    damping after it; nothing where no step is left.

    Parameters
    ----------
    noise : float
        Gain below which values do not show it.
    propose : callable (lam) -> (trial, predicted gain)
        None where the quadratic model has no maximum; a trial of None where it does not move.
    value : callable (trial) -> float
    look : callable (trial) -> (everything there, its value)
    improves : callable (trial, everything) -> bool
        Whether a step that is too small for the values to tell leads uphill.
    least : float
        Damping after a step that was taken.
    """
    for attempt in range(60):
        proposed = propose(lam)
        if proposed is not None:
            trial, predicted = proposed
            if trial is None:
                break
            if attempt and predicted > noise:  # after one refusal: look at the value alone first
                gain = value(trial) - level
                if not (np.isfinite(gain) and gain > ENOUGH * predicted):
                    lam = float(after_refusal(lam))
                    continue
            seen, there = look(trial)
            if predicted <= noise:
                if improves(trial, seen):
                    return seen, trial, lam / SHRINK
                break
            ratio = (there - level) / predicted
            if np.isfinite(ratio) and ratio > ENOUGH:
                return seen, trial, float(after_step(lam, ratio, least))
        lam = float(after_refusal(lam))
        if lam > HEAVIEST:
            break
    return None, None, lam

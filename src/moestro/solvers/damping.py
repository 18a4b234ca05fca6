"""How the damping lam of a trust region follows the agreement of a gain with its prediction
(Levenberg-Marquardt)."""

from __future__ import annotations

from typing import Any

import numpy as np

ENOUGH = 1e-4  # share of the predicted gain from which a step is taken
GOOD, POOR = 0.75, 0.25  # agreement above which the region grows, and below which it shrinks
SHRINK, RAISE, GROWTH = 10.0, 3.0, 6.0
FLOOR = 1e-10  # damping after a refusal


def after_step(lam: Any, ratio: Any, least: float = 0.0) -> Any:
    """lam after a step that was taken; arrays are as good as numbers."""
    return np.maximum(np.where(ratio > GOOD, lam / SHRINK, np.where(ratio > POOR, lam, lam * RAISE)), least)


def after_refusal(lam: Any, least: float = FLOOR) -> Any:
    """lam after a step that was refused."""
    return np.maximum(lam * GROWTH, least)

"""Parameters of k + 1 experts from a fit of k: one expert twice, as it is or pushed apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

PUSH, LIFT = 0.5, 0.25  # of a slope and of the intercept, in scaled coordinates


def halves(fit: Any) -> list[np.ndarray]:
    """theta with each expert in turn as two halves, pushed apart along the largest slope, and in level
    alone."""
    return [_twice(fit, e, push, LIFT) for e in range(fit.model.k) for push in (PUSH, 0.0)]


def duplicated(fit: Any) -> list[np.ndarray]:
    """theta with the largest expert twice: the same density."""
    return [_twice(fit, int(np.argmax(fit.mass)), 0.0, 0.0)]


def _twice(fit: Any, e: int, push: float, lift: float) -> np.ndarray:
    small = fit.model
    wide = replace(small, k=small.k + 1)
    gate = small.gate_rows(fit.theta)
    experts, nuisances = small.expert_coefficients(fit.theta), small.nuisances(fit.theta)
    gate, experts, nuisances = (np.concatenate([a[e : e + 1], a]) for a in (gate, experts, nuisances))
    gate, experts = gate.copy(), experts.copy()
    gate[[0, e + 1], 0] -= np.log(2.0)
    if small.p > 1 and push:
        j = 1 + int(np.argmax(np.abs(experts[0][:, 1:]).sum(axis=0)))
        experts[0, :, j] += push
        experts[e + 1, :, j] -= push
    experts[0, :, 0] += lift
    experts[e + 1, :, 0] -= lift
    return wide.pack(wide.free_rows(gate), experts, nuisances, small.gate_shared(fit.theta))

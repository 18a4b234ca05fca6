"""The experts' shares: the gate's average weights over the units of a fit, and their standard errors."""

from __future__ import annotations

import numpy as np

from ..model import Model
from ..rows import Rows


def average_gate(model: Model, theta: np.ndarray, rows: Rows) -> np.ndarray:
    """s_e = sum w pi_e(z) / sum w over units, shape (k,)."""
    total = sum(b.w @ np.exp(model.log_gate(theta, b.z)) for b in rows.blocks())
    return np.asarray(total) / rows.weight_sum


def share_errors(
    model: Model, theta: np.ndarray, rows: Rows, matrix: np.ndarray, identified: np.ndarray
) -> np.ndarray:
    """Standard errors (k,) of the shares, given the gate's columns; NaN where a parameter of the gate has
    none.

    By the delta method with the exact slopes ds_e / du_t = sum w pi_e (1[e = t] - pi_t) / sum w in the
    scores u.
    """
    J = np.zeros((model.k, model.gate_size))
    for b in rows.blocks():
        pi = np.exp(model.log_gate(theta, b.z))
        features = model.gate.features(model.gate_coefficients(theta), model.gate_shared(theta), b.z)
        for t, (feature, at) in enumerate(features):
            slope = -pi * pi[:, t, None]
            slope[:, t] += pi[:, t]
            J[:, at] += (slope * b.w[:, None]).T @ feature
    J /= rows.weight_sum
    gate = slice(0, model.gate_size)
    if (~identified[gate] & (J != 0).any(axis=0)).any():
        return np.full(model.k, np.nan)
    return np.sqrt(np.maximum(np.einsum("ep,pq,eq->e", J, matrix[gate, gate], J), 0.0))

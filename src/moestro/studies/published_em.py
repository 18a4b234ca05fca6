"""EM for softmax-gated Gaussian experts as the published simulations run it.

Gate by iterated Newton steps to its own convergence, experts by weighted least squares, variances by weighted
residuals; stopped by the relative change of the log-likelihood of the *previous* parameters. It is here to
show what those stopping rules give; `fit_mixture` is what the library fits with.
"""

from __future__ import annotations

import numpy as np

from ..experts.gaussian import LOG_2PI
from ..gates import log_sum_exp
from ..measure import MixingMeasure

EM_TOLERANCE, EM_LIMIT = 1e-6, 2000
GATE_RELATIVE, GATE_ABSOLUTE, GATE_LIMIT = 1e-7, 1e-6, 300


def published_em(
    x: np.ndarray, y: np.ndarray, start: MixingMeasure
) -> tuple[MixingMeasure, float, int, bool]:
    """Measure, log-likelihood one step behind it, EM steps, and whether the stopping rule was met.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    start : MixingMeasure
        The last atom's gate is the reference.
    """
    X = np.column_stack([np.ones(len(y)), x])
    gate = np.column_stack([start.log_weights, start.gate_slopes])
    gate = (gate - gate[-1])[:-1]
    experts = np.column_stack([start.intercepts[:, 0], start.slopes[:, 0]])
    variances = start.variances.copy()
    value, steps, met = -np.inf, 0, False
    while not met and steps < EM_LIMIT:
        before = value
        log_pi = _log_pi(X, gate)
        residual = y[:, None] - X @ experts.T
        joint = log_pi - 0.5 * (LOG_2PI + np.log(variances) + residual**2 / variances)
        total = log_sum_exp(joint)
        value, r = float(total.sum()), np.exp(joint - total)
        gate = _gate_step(X, gate, r)
        for i in range(len(experts)):
            weighted = X * r[:, i, None]
            experts[i] = np.linalg.lstsq(weighted.T @ X, weighted.T @ y, rcond=None)[0]
            variances[i] = max(float(r[:, i] @ (y - X @ experts[i]) ** 2 / r[:, i].sum()), 1e-300)
        steps += 1
        met = np.isfinite(before) and abs((value - before) / before) <= EM_TOLERANCE
    full = np.vstack([gate, np.zeros(X.shape[1])])
    found = MixingMeasure(
        log_weights=full[:, 0], gate_slopes=full[:, 1:], intercepts=experts[:, :1],
        slopes=experts[:, None, 1:],
        nuisances=np.log(variances)[:, None], family="gaussian",
    )  # fmt: skip
    return found, value, steps, bool(met)


def _log_pi(X: np.ndarray, gate: np.ndarray) -> np.ndarray:
    u = np.column_stack([X @ gate.T, np.zeros(len(X))])
    return u - log_sum_exp(u)


def _gate_step(X: np.ndarray, gate: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Newton with step halving on sum r log pi."""
    free, q = gate.shape
    log_pi = _log_pi(X, gate)
    value = float((r * log_pi).sum())
    for _ in range(GATE_LIMIT):
        pi = np.exp(log_pi[:, :-1])
        gradient = ((r[:, :-1] - pi).T @ X).ravel()
        hessian = np.empty((free, q, free, q))
        for a in range(free):
            for b in range(a, free):
                w = pi[:, a] * ((a == b) - pi[:, b])
                hessian[a, :, b] = hessian[b, :, a] = (X * w[:, None]).T @ X
        step = np.linalg.lstsq(hessian.reshape(free * q, free * q), gradient, rcond=None)[0].reshape(free, q)
        for _ in range(40):
            log_pi = _log_pi(X, gate + step)
            new = float((r * log_pi).sum())
            if new >= value:
                break
            step = 0.5 * step
        else:
            return gate
        gate = gate + step
        gain, value = new - value, new
        if gain <= GATE_RELATIVE * abs(value) or gain <= GATE_ABSOLUTE:
            break
    return gate

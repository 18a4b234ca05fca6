"""The softmax gate: pi_a = exp(u_a) / sum_b exp(u_b), the last expert's score held at zero.

With an input transform M the scores are u_a = beta_0a + beta_1a' M(x): the *modified* softmax gate. The
transform belongs to the design; the gate sees scores only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def log_sum_exp(a: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis, kept."""
    top = a.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(a - top).sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class SoftmaxGate:
    """Softmax of k - 1 free scores and a zero."""

    name: str = "softmax"

    def n_scores(self, k: int) -> int:
        """Number of free scores for k experts."""
        return k - 1

    def log_weights(self, u: np.ndarray) -> np.ndarray:
        """log pi, shape (n, k), of scores u (n, k - 1)."""
        full = np.concatenate([u, np.zeros((u.shape[0], 1))], axis=1)
        return full - log_sum_exp(full)

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d log pi_e / d u_t, shape (n, k, k - 1)."""
        pi = np.exp(self.log_weights(u))
        k = pi.shape[1]
        return np.eye(k)[None, :, : k - 1] - pi[:, None, : k - 1]

    def curvature(self, u: np.ndarray, r: np.ndarray) -> np.ndarray:
        """sum_e r_e d2 log pi_e / du du', shape (n, k - 1, k - 1); r (n, k)."""
        return -r.sum(axis=1)[:, None, None] * self.information(u)

    def information(self, u: np.ndarray) -> np.ndarray:
        """Complete-data information diag(pi) - pi pi', shape (n, k - 1, k - 1)."""
        pi = np.exp(self.log_weights(u))[:, :-1]
        return pi[:, :, None] * np.eye(pi.shape[1]) - pi[:, :, None] * pi[:, None, :]

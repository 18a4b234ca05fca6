"""Affine Gaussian experts turned round: the law of x given y from that of y given x."""

from __future__ import annotations

import numpy as np


def inverse(
    c: np.ndarray, gamma: np.ndarray, A: np.ndarray, b: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """c*, Gamma*, A*, b*, Sigma* with N(x; c, Gamma) N(y; A x + b, Sigma) = N(y; c*, Gamma*) N(x; A* y + b*,
    Sigma*).

    c* = A c + b,  Gamma* = Sigma + A Gamma A',  Sigma* = (Gamma^-1 + A' Sigma^-1 A)^-1,
     A* = Sigma* A' Sigma^-1,
    b* = Sigma* (Gamma^-1 c - A' Sigma^-1 b)   (Deleforge, Forbes and Horaud, 2015).

    Parameters
    ----------
    c, gamma, A, b, sigma : ndarray of shape (k, d), (k, d, d), (k, q, d), (k, q), (k, q, q)
        Complex numbers are followed analytically, so that a complex step gives exact derivatives.
    """
    At = A.transpose(0, 2, 1)
    d, q = A.shape[2], A.shape[1]
    shaped = np.linalg.solve(sigma, A).transpose(0, 2, 1) if q else At  # A' Sigma^-1
    inverse_gamma = np.linalg.inv(gamma) if d else gamma
    noise = np.linalg.inv(inverse_gamma + shaped @ A) if d else gamma
    noise = 0.5 * (noise + noise.transpose(0, 2, 1))
    pull = np.einsum("kde,ke->kd", inverse_gamma, c) - np.einsum("kdq,kq->kd", shaped, b)
    return (
        np.einsum("kqd,kd->kq", A, c) + b,
        sigma + A @ gamma @ At,
        noise @ shaped,
        np.einsum("kde,ke->kd", noise, pull),
        noise,
    )

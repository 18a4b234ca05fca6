"""Log-densities and draws of Gaussian and Student components."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from ..errors import DataError
from .natural import LOG_2PI


def distances(residual: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r' C^-1 r of residuals (n, k, D) and log |C| of covariances (k, D, D): (n, k) and (k,); of covariances
    (n, k, D, D) both are (n, k)."""
    if residual.shape[2] == 0:
        return np.zeros(residual.shape[:2]), np.zeros(covariance.shape[:-2])
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise DataError("a covariance of the measure is not positive definite") from error
    if root.ndim == 4:
        white = np.linalg.solve(root, residual[..., None])[..., 0]
        return (white**2).sum(axis=2), 2 * np.log(np.diagonal(root, axis1=2, axis2=3)).sum(axis=2)
    white = np.linalg.solve(root, residual.transpose(1, 2, 0))
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return (white**2).sum(axis=1).T, log_det


def log_density(distance: np.ndarray, log_det: np.ndarray, D: int, nu: np.ndarray | None) -> np.ndarray:
    """log N, or log t with nu degrees of freedom, of squared distances (n, k) in D columns."""
    if nu is None:
        return -0.5 * (D * LOG_2PI + log_det + distance)
    level = gammaln((nu + D) / 2) - gammaln(nu / 2) - 0.5 * (D * np.log(np.pi * nu) + log_det)
    return level - 0.5 * (nu + D) * np.log1p(distance / nu)


def softmax(u: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Responsibilities of log joint densities u (..., k, n), in their place, and log-densities (..., n); long
    rows are what NumPy is fast on."""
    top = u.max(axis=axis, keepdims=True)
    u -= top
    np.exp(u, out=u)
    total = u.sum(axis=axis, keepdims=True)
    u /= total
    return u, (top + np.log(total)).squeeze(axis)


def colour(white: np.ndarray, covariance: np.ndarray, atom: np.ndarray) -> np.ndarray:
    """Standard normal rows (n, D) with the covariance of their atom."""
    out = np.empty_like(white)
    for e, root in enumerate(np.linalg.cholesky(covariance) if white.shape[1] else ()):
        out[atom == e] = white[atom == e] @ root.T
    return out


def coloured(white: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard normal rows (n, D) with a covariance each, (n, D, D)."""
    return np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), white)


def check_positive(covariances: np.ndarray) -> None:
    """Refuse covariances (k, D, D) that are not symmetric and positive definite."""
    for e, C in enumerate(covariances):
        size = np.sqrt(np.maximum(np.diag(C), 0.0))  # what an entry near zero is rounded to
        skew = np.abs(C - C.T) > 1e-9 * np.outer(size, size)
        # of correlations: columns may differ by a hundred digits
        if (
            skew.any()
            or (size <= 0).any()
            or (len(C) and np.linalg.eigvalsh(C / size / size[:, None])[0] <= 0)
        ):
            raise DataError(f"a covariance of atom {e + 1} is not positive definite")

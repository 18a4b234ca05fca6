"""Values of a response at which a modulus sums, and the densities of experts there, in extended precision."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure

Real = np.longdouble
FAMILIES = ("multinomial", "poisson", "gaussian")  # whose experts are known here
NODES = 12.0  # standard deviations to either side of a Gaussian expert's mean, at the truth
TAIL = 12.0  # of a Poisson expert's standard deviations at the truth, and as many counts: then one cell
LARGEST = 1000.0  # true rate: as many numbers at each input are summed over
SERIES = 80  # terms of the probability of that cell


def response_values(truth: MixingMeasure, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of y at each input, (m or 1, S), and their weights: the classes, counts with all above the
    largest in one cell, or quadrature nodes around every mean.

    Raises
    ------
    DataError
        Where a true rate is above 1,000.
    """
    if truth.law.labels:
        return np.zeros((1, 1)), np.ones((1, 1))
    mean = truth.intercepts[:, 0] + np.asarray(x, dtype=float) @ truth.slopes[:, 0].T
    if truth.law.discrete:
        top = float(np.exp(mean.max()))
        if not top <= LARGEST:
            raise DataError(f"a true rate of {top:.3g} is too large to sum over counts: at most {LARGEST:g}")
        y = np.arange(np.ceil(top + TAIL * (1 + np.sqrt(top))))[None]
        return y, np.ones((1, y.shape[1] + 1))
    sd = np.sqrt(truth.variances)
    cuts = np.sort((mean[:, :, None] + np.linspace(-NODES, NODES, 33) * sd[:, None]).reshape(len(mean), -1))
    t, w = np.polynomial.legendre.leggauss(6)
    half = 0.5 * np.diff(cuts)[:, :, None]
    y = 0.5 * (cuts[:, 1:] + cuts[:, :-1])[:, :, None] + half * t
    return y.reshape(len(mean), -1), (half * w).reshape(len(mean), -1)


def expert_densities(
    truth: MixingMeasure, eta: np.ndarray, variances: np.ndarray | None, y: np.ndarray
) -> np.ndarray:
    """Densities (m, k, S) of experts with linear predictors eta (m, k, p) at the values y.

    Parameters
    ----------
    variances : ndarray of shape (k,), or None
        Of Gaussian experts.
    """
    if truth.law.labels:
        eta = np.concatenate([eta, np.zeros((*eta.shape[:2], 1), dtype=eta.dtype)], axis=2)
        each = np.exp(eta - eta.max(axis=2, keepdims=True))
        return each / each.sum(axis=2, keepdims=True)
    if truth.law.discrete:
        return _poisson(eta, y.shape[1])
    assert variances is not None
    gap = y[:, None, :] - eta
    return np.exp(-gap * gap / (2 * variances[:, None])) / np.sqrt(2 * np.pi * variances)[:, None]


def _poisson(eta: np.ndarray, count: int) -> np.ndarray:
    """Probabilities (m, k, count + 1) of 0 .. count - 1 and of more, eta of shape (m, k, 1).

    The last is a series while the rate is below it, since one minus the others would be rounding alone."""
    y = np.arange(count + SERIES, dtype=Real)
    factorials = np.cumsum(np.log(np.maximum(y, 1)))
    each = np.exp(y * eta - np.exp(eta) - factorials)
    first, rest = each[..., :count], each[..., count:].sum(axis=2, keepdims=True)
    more = np.where(np.exp(eta) < count, rest, np.maximum(1 - first.sum(axis=2, keepdims=True), 0))
    return np.concatenate([first, more], axis=2)

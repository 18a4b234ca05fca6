"""Softmax gates are Gaussian gates with one covariance, and the other way round (arXiv 2012.02385, Lemma 1).

beta_1i = Gamma^-1 c_i,    beta_0i = log pi_i - c_i' Gamma^-1 c_i / 2
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure
from .measure import LocatedMeasure


def to_located(measure: MixingMeasure, covariance: np.ndarray | None = None) -> LocatedMeasure:
    """A Gaussian-gated measure with the same p(y | x) as a softmax-gated one with Gaussian experts.

    Parameters
    ----------
    measure : MixingMeasure
        Gate and experts on the same d columns.
    covariance : ndarray of shape (d, d) or None
        Gamma of every atom; None takes the identity.
    """
    if measure.family != "gaussian" or measure.gate != "softmax":
        raise DataError("only a softmax gate with Gaussian experts has a Gaussian-gated twin")
    k, d = measure.k, measure.slopes.shape[2]
    if measure.gate_slopes.shape[1] != d:
        raise DataError("the gate and the experts must have the same columns")
    gamma = np.eye(d) if covariance is None else np.asarray(covariance, dtype=float)
    c = measure.gate_slopes @ gamma
    log_pi = measure.log_weights + 0.5 * np.einsum("kd,kd->k", c, measure.gate_slopes)
    pi = np.exp(log_pi - log_pi.max())
    return LocatedMeasure(
        weights=pi / pi.sum(),
        means=c,
        covariances=np.broadcast_to(gamma, (k, d, d)),
        slopes=measure.slopes,
        intercepts=measure.intercepts,
        noise=measure.variances[:, None, None],
    )


def to_softmax(measure: LocatedMeasure) -> MixingMeasure:
    """The softmax-gated measure with the same p(y | x), where all atoms share one Gamma and y is single."""
    gamma = measure.covariances[0]
    if measure.q != 1:
        raise DataError(f"y has {measure.q} columns: a mixing measure of Gaussian experts has one")
    if not np.allclose(measure.covariances, gamma, rtol=1e-12, atol=0):
        raise DataError(
            "a Gaussian gate is a softmax gate of linear scores only where all covariances are equal"
        )
    slopes = np.linalg.solve(gamma, measure.means.T).T
    with np.errstate(divide="ignore"):
        log_weights = np.log(measure.weights) - 0.5 * np.einsum("kd,kd->k", slopes, measure.means)
    return MixingMeasure(
        log_weights=log_weights,
        gate_slopes=slopes,
        intercepts=measure.intercepts,
        slopes=measure.slopes,
        nuisances=np.log(measure.noise[:, :, 0]),
        family="gaussian",
    )

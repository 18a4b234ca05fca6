"""Starts near the truth, as the published simulations make them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..located import LocatedMeasure
from ..measure import MixingMeasure


def covering_labels(k: int, true: int, rng: np.random.Generator, last: bool = False) -> np.ndarray:
    """A true atom for each of k fitted ones, every true atom at least once; `last` forces the last one."""
    while True:
        labels = rng.integers(0, true, k)
        if last:
            labels[-1] = true - 1
        if len(np.unique(labels)) == true:
            return labels


def near_located(truth: LocatedMeasure, k: int, n: int, rng: np.random.Generator) -> LocatedMeasure:
    """Start of the Gaussian-gate simulations: weights shared, N(0, 0.005 n^-0.083) on c, A, b, a little on
    variances."""
    s = covering_labels(k, truth.k, rng)
    wide, narrow = 0.005 * n**-0.083, 0.0005 * n**-0.25

    def lifted(matrices: np.ndarray) -> np.ndarray:
        size = matrices.shape[1]
        return matrices + np.abs(rng.normal(0, narrow, (k, size)))[:, :, None] * np.eye(size)

    def moved(values: np.ndarray) -> np.ndarray:
        return values + rng.normal(0, wide, values.shape)

    return LocatedMeasure(
        weights=truth.weights[s] / np.bincount(s)[s],
        means=moved(truth.means[s]),
        covariances=lifted(truth.covariances[s]),
        slopes=moved(truth.slopes[s]),
        intercepts=moved(truth.intercepts[s]),
        noise=lifted(truth.noise[s]),
    )


def near_softmax(
    truth: MixingMeasure, k: int, n: int, rng: np.random.Generator, published: bool
) -> MixingMeasure:
    """Start of the softmax-gate simulations: one N(0, 0.005 n^-0.083) on an atom's gate, one N(0, 0.05
    n^-0.083) on its expert.

    The published start takes the true standard deviation for the variance and does not share a true atom's
    weight out; otherwise the start is the truth up to the noise.
    """
    s = covering_labels(k, truth.k, rng, last=True)
    gate = rng.normal(0, 0.005 * n**-0.083, (k, 1))
    expert = rng.normal(0, 0.05 * n**-0.083, (k, 1))
    lift = np.abs(rng.normal(0, 0.005 * n**-0.25, (k, 1)))
    start = truth.permute([int(j) for j in s])
    if published:
        gate[-1] = 0.0
        nuisances = (
            np.log(np.exp(0.5 * start.nuisances) + lift) if truth.family == "gaussian" else start.nuisances
        )
        log_weights = start.log_weights + gate[:, 0]
    else:
        nuisances = start.nuisances
        log_weights = start.log_weights + gate[:, 0] - np.log(np.bincount(s)[s])
    return replace(
        start,
        log_weights=log_weights,
        gate_slopes=start.gate_slopes + gate,
        intercepts=start.intercepts + expert,
        slopes=start.slopes + expert[:, :, None],
        nuisances=nuisances,
    )

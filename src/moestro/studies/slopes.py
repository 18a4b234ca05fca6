"""Slopes of log error against log n, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Slope:
    """Least-squares line through (log n, log of the mean or median over replicates).

    Attributes
    ----------
    exponent, constant : float
        error = constant * n^exponent.
    low, high : float
        95 % bootstrap interval of the exponent; replicates are drawn again within each size.
    sizes, values : ndarray
        The points of the line.
    """

    exponent: float
    constant: float
    low: float
    high: float
    sizes: np.ndarray
    values: np.ndarray


def slope(sizes: np.ndarray, values: np.ndarray, statistic: str = "mean", seed: int = 0) -> Slope | None:
    """Fit a line to errors `values` (m,) at `sizes` (m,); None where fewer than two sizes have a positive
    error."""
    use = np.isfinite(values) & (values > 0)
    n, place = np.unique(sizes[use], return_inverse=True)
    if len(n) < 2:
        return None
    groups = [values[use][place == i] for i in range(len(n))]
    summarise = np.mean if statistic == "mean" else np.median
    rng = np.random.default_rng(seed)
    drawn = np.stack([summarise(g[rng.integers(0, len(g), (DRAWS, len(g)))], axis=1) for g in groups], axis=1)
    x = np.log(n)
    centred = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    points = np.array([summarise(g) for g in groups])
    exponent = float(np.log(points) @ centred)
    draws = np.log(drawn) @ centred
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    constant = float(np.exp(np.log(points).mean() - exponent * x.mean()))
    return Slope(exponent, constant, float(low), float(high), n, points)

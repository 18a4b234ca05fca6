"""What a split Gaussian expert says of a study before any data: from which n a rate can show, and how large
errors the data allow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory import hellinger, voronoi_loss
from ..theory.modulus import WITHIN
from ..theory.splits import split_normal

STEPS = (0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1)  # t, in standard deviations


def distance(measure: Any, truth: Any, x: np.ndarray) -> float:
    """Root mean square Hellinger distance at inputs x."""
    rows = np.asarray(hellinger(measure.conditional(x), truth.conditional(x)).rows)
    return float(np.sqrt((rows**2).mean()))


def split_line(truth: Any, x: np.ndarray, sizes: Sequence[int]) -> str:
    """The split (`theory.splits.split_normal`) with the smallest distance a unit of loss, in words.

    Parameters
    ----------
    truth : MixingMeasure or LocatedMeasure
        With Gaussian experts of one response.
    x : ndarray of shape (m, d)
        Inputs, equally likely.
    sizes : sequence of int
        n for which to say the t whose split has a distance of n^(-1/2).
    """
    parts = truth.components()
    sd = np.sqrt(parts["noise" if "noise" in parts else "variances"].reshape(truth.k))
    best: tuple[float, int, np.ndarray, np.ndarray] | None = None
    for e in range(truth.k):
        splits = [split_normal(truth, e, f * sd[e]) for f in STEPS]
        H = np.array([distance(s, truth, x) for s in splits])
        D = np.array([voronoi_loss(s, truth, gauge="fixed") for s in splits])
        if best is None or H[-1] / D[-1] < best[0]:
            best = (float(H[-1] / D[-1]), e, H, D)
    assert best is not None
    ratio, e, H, D = best
    slopes = [np.log(H[i] / H[j]) / np.log(D[i] / D[j]) for i, j in pairwise(range(len(H)))]
    first = len(slopes)
    while first > 0 and abs(slopes[first - 1] - 1) <= WITHIN:
        first -= 1
    errors = [_reached(truth, x, e, float(sd[e]), n**-0.5) for n in sizes]
    told = ", ".join(f"{t:.2g} at n = {n:,}" for n, t in zip(sizes, errors, strict=True))
    return (
        f"expert {e + 1} as two, with intercepts b + t and b - t and a variance less by t^2: Hellinger "
        f"distance {ratio:.1e} * loss, asymptotic from about n = {H[first] ** -2:.0e}. The distance is "
        f"n^(-1/2), and the split not told from the truth, at t = {told}, so of order n^(-1/8)."
    )


def _reached(truth: Any, x: np.ndarray, e: int, sd: float, target: float) -> float:
    """The t whose split has a distance of `target`, by bisection of its logarithm."""
    low, high = np.log(1e-4), np.log(0.99)
    for _ in range(16):
        middle = 0.5 * (low + high)
        if distance(split_normal(truth, e, float(np.exp(middle)) * sd), truth, x) < target:
            low = middle
        else:
            high = middle
    return float(np.exp(low) * sd)

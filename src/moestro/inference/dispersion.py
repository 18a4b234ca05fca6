"""Whether counts vary as the model says, and whether there are as many zeros."""

from __future__ import annotations

import numpy as np

from ..tables import Table
from .estimates import two_sided


def dispersion_checks(
    y: np.ndarray, mean: np.ndarray, variance: np.ndarray, zero: np.ndarray, w: np.ndarray, parameters: int
) -> Table:
    """Counts y (n,) with weights w beside the mixture's mean, variance and P(Y = 0 | x), each (n,).

    "variance" is Pearson's X^2 = sum w (y - mean)^2 / variance, to be expected at sum w less the
    `parameters` that were estimated from these rows: a ratio above one is overdispersion. "zeros" are their
    number. z takes the parameters as known, which makes it a little small.
    """
    t = (y - mean) ** 2 / variance
    n = float(w.sum())
    spread = np.sqrt((w**2) @ (t - w @ t / n) ** 2)
    pairs = {
        "variance": (float(w @ t), n - parameters, float(spread)),
        "zeros": (float(w @ (y == 0)), float(w @ zero), float(np.sqrt((w**2) @ (zero * (1 - zero))))),
    }
    z = [(seen - told) / sd if sd > 0 else None for seen, told, sd in pairs.values()]
    return Table(
        {
            "check": list(pairs),
            "observed": [seen for seen, _, _ in pairs.values()],
            "expected": [told for _, told, _ in pairs.values()],
            "ratio": [seen / told if told > 0 else None for seen, told, _ in pairs.values()],
            "z": z,
            "p": [None if v is None else two_sided(v) for v in z],
        }
    )

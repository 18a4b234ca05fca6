"""How wide intervals of several numbers must be to cover all of them at once."""

from __future__ import annotations

import numpy as np

from .delta import errors_of
from .estimates import critical

DRAWS = 100_000  # the quantile is then known to about 0.01
CELLS = 2**22  # normal variables held at a time


def critical_of(root: np.ndarray, level: float, simultaneous: bool = True) -> float:
    """The quantile c of max_j |Z_j|, Z normal with the correlations of R R', R (m, r): intervals
    estimate +- c se cover all m numbers at once (sup-t; Montiel Olea and Plagborg-Moller, 2019).

    Between the quantile of one number and Bonferroni's. From draws with a seed of its own, so that it is
    the same whenever it is asked for. Not simultaneous: that of one number.
    """
    one = critical(level)
    se = errors_of(root)
    if not simultaneous or (se > 0).sum() < 2:
        return one
    unit = (root[se > 0] / se[se > 0, None]).T
    rng, largest = np.random.default_rng(0), []
    block = max(1, CELLS // max(unit.shape))
    for start in range(0, DRAWS, block):
        z = rng.standard_normal((min(block, DRAWS - start), len(unit))) @ unit
        largest.append(np.abs(z).max(axis=1))
    return max(one, float(np.quantile(np.concatenate(largest), level)))

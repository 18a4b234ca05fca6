"""Columns of strange numbers."""

import numpy as np

from fuzz.choices import Seeded

SIZES = (*range(1, 11), 13, 20, 20, 30, 40, 40, 60, 60, 100, 100)
SCALES = (1e-300, 1e-160, 1e-30, 1e-8, 1e3, 1e9, 1e30, 1e150, 1e154, 1e160, 1e300, 1e307)
OFFSETS = (1.0, -1e3, 1e6, 1e9, 1e12, 1e15)
VALUES = (0.0, -0.0, 5e-324, 1e-310, 1e-154, 1e154, 1e200, -1e300, 1.7976931348623157e308, np.nan, np.inf)


def columns(c: Seeded, n: int) -> np.ndarray:
    """Columns of n rows, (n, d), some of which may say the same, as some rows may."""
    d = c.often(c.whole(1, 3), (0, 1, 6, 12, 30), 5)
    X = np.column_stack([column(c, n) for _ in range(d)]) if d else np.zeros((n, 0))
    if d > 1 and c.whole(1, 6) == 1:
        with np.errstate(over="ignore"):
            X[:, -1] = c.pick((X[:, 0], -X[:, 0], 2 * X[:, 0] + 1, X[:, 0] * (1 + 1e-14)))
    return X[c.generator().integers(0, max(n // 3, 1), n)] if c.whole(1, 5) == 1 else X


def column(c: Seeded, n: int) -> np.ndarray:
    """Numbers of one column, (n,)."""
    r = c.generator()
    kinds = ("integers", "binary", "constant", "heavy", "rare", "steps", "switch")
    kind = c.often("normal", kinds, 2)
    out = {
        "normal": lambda: r.normal(size=n),
        "integers": lambda: r.integers(-3, 4, n).astype(float),
        "binary": lambda: (r.random(n) < 0.5).astype(float),
        "constant": lambda: np.full(n, r.normal()),
        "heavy": lambda: r.standard_cauchy(n) ** 3,
        "rare": lambda: np.where(np.arange(n) == n // 2, 1.0, 0.0),
        "steps": lambda: np.round(r.normal(size=n), 1),
        "switch": lambda: np.where(r.random(n) < 0.5, 1.0, 1.0 + 1e-12),
    }[kind]()
    with np.errstate(all="ignore"):
        out = out * c.often(1.0, SCALES, 8) + c.often(0.0, OFFSETS, 8)
    if c.whole(1, 30) == 1:
        out[c.whole(0, n - 1)] = c.pick(VALUES)
    return out

"""Responses of each kind: what a family is made for, and now and then what it is not."""

from collections.abc import Callable

import numpy as np

from fuzz.choices import Seeded
from fuzz.columns import OFFSETS, SCALES, VALUES

COUNTS = (3.0, 1e3, 1e5, 1e9, 1e12, 2.0**53, 1e17)


def response(c: Seeded, X: np.ndarray, kind: str) -> np.ndarray:
    """A response (n,), or (n, 2) of several, of trials, and of intervals."""
    r = c.generator()
    x = r.normal(size=len(X))
    if X.shape[1] and np.isfinite(X[:, 0]).all():
        x = X[:, 0] / max(np.abs(X[:, 0]).max(), 1e-300)
    kind, _, points = kind.partition(" or ")
    y = KINDS[kind](c, x, r)
    if points:  # of an expert whose response is always 0 or 1, beside another
        y = np.where(r.random(len(x)) < 0.4, float(c.pick(points.split(" or "))), y)
    return y


def classes(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Classes (n,)."""
    n = len(x)
    often, seldom = ("two", "three", "text", "truth", "separated", "rare"), ("one", "floats", "one a row")
    way = c.pick((*often * 2, c.pick(seldom)))
    two = (x + 0.3 * r.normal(size=n) > 0).astype(int)
    return {
        "two": lambda: two,
        "three": lambda: r.integers(0, 3, n),
        "one a row": lambda: np.arange(n),
        "one": lambda: np.zeros(n, dtype=int),
        "text": lambda: np.array(["no", "yes", "é"])[r.integers(0, 3, n)],
        "truth": lambda: two.astype(bool),
        "separated": lambda: (x > np.median(x)).astype(int),
        "floats": lambda: two + 0.5 * (c.whole(1, 3) == 1),
        "rare": lambda: (np.arange(n) == n // 2).astype(int),
    }[way]()


def counts(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Counts (n,)."""
    n, size = len(x), c.often(3.0, COUNTS, 2)
    often = ("poisson", "poisson", "two sizes", "ones", "zeros")
    way = c.pick((*often * 2, c.pick(("halves", "negative"))))
    return {
        "poisson": lambda: r.poisson(min(size, 1e15) * np.exp(0.5 * x)).astype(float),
        "two sizes": lambda: np.where(r.random(n) < 0.3, size, 1.0),
        "zeros": lambda: np.zeros(n),
        "ones": lambda: 1.0 + r.poisson(2, n),
        "halves": lambda: r.poisson(3, n) + 0.5 * (c.whole(1, 2) == 1),
        "negative": lambda: r.integers(-1, 5, n).astype(float),
    }[way]()


def ones(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Counts of at least one most often, (n,)."""
    return counts(c, x, r) if c.whole(1, 4) == 1 else np.maximum(r.poisson(2 * np.exp(x)), 1).astype(float)


def trials(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Zeros and ones (n,), or successes and trials (n, 2)."""
    n, p = len(x), 1 / (1 + np.exp(-2 * x))
    many = r.integers(1, c.often(10, (2, 1000, 10**9), 3), n, endpoint=True).astype(float)
    won = r.binomial(many.astype(int), p).astype(float)
    often = ("single", "single", "two", "two", "all")
    way = c.pick((*often * 2, c.pick(("too many", "none", "negative"))))
    return {
        "single": lambda: (r.random(n) < p).astype(float),
        "two": lambda: np.column_stack([won, many]),
        "all": lambda: np.column_stack([many, many]),
        "too many": lambda: np.column_stack([won + 1, many]),
        "none": lambda: np.column_stack([np.zeros(n), many - 1]),
        "negative": lambda: np.column_stack([won - 1, many]),
    }[way]()


def positive(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Positive numbers (n,)."""
    n = len(x)
    often = ("gamma", "lognormal", "two", "wide")
    way = c.pick((*often * 3, "constant", c.pick(("zeros", "negative"))))
    y = {
        "gamma": lambda: r.gamma(2.0, np.exp(x)),
        "lognormal": lambda: np.exp(x + 0.3 * r.normal(size=n)),
        "two": lambda: np.where(r.random(n) < 0.5, 1.0, 2.0),
        "constant": lambda: np.full(n, 0.7),
        "wide": lambda: 10.0 ** r.integers(-8, 9, n),
        "zeros": lambda: r.gamma(1.0, 1.0, n) * (r.random(n) < 0.7),
        "negative": lambda: r.normal(size=n),
    }[way]()
    with np.errstate(all="ignore"):
        return y * c.often(1.0, SCALES, 6)


def proportions(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Numbers between 0 and 1, (n,)."""
    n = len(x)
    return {
        "beta": lambda: r.beta(2 * np.exp(x), 2.0),
        "ends": lambda: r.choice([0.0, 0.3, 1.0], n),
        "near": lambda: np.where(r.random(n) < 0.3, 1e-300, 1 - 1e-16),
        "constant": lambda: np.full(n, 0.5),
    }[c.often("beta", ("ends", "near", "constant"), 3)]()


def times(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Durations (n,), or the ends between which they lie."""
    y = positive(c, x, r)
    return y if c.whole(1, 3) == 1 else between(c, y, 0.0, r)


def ends(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Numbers (n,), or the ends between which they lie."""
    y = numbers(c, x, r)
    return y if c.whole(1, 4) == 1 else between(c, y, -np.inf, r)


def between(c: Seeded, y: np.ndarray, lowest: float, r: np.random.Generator) -> np.ndarray:
    """Ends (n, 2) around y (n,): seen rows, open ones from either side, and intervals; seldom wrong ones."""
    n, way = len(y), c.often("mixed", ("right", "left", "all", "seen", "wrong", "nothing"), 2)
    kinds = {"mixed": range(4), "right": (0, 1), "left": (0, 2), "all": (3,), "seen": (0,)}
    kind = r.choice(list(kinds.get(way, range(4))), n)
    with np.errstate(all="ignore"):
        width = np.abs(y) * c.often(0.5, (1e-14, 1e-3, 10.0), 3)
        low = np.where(kind == 2, lowest, np.where(kind == 3, y - 0.5 * width, y))
        high = np.where(kind == 1, np.inf, np.where(kind == 3, y + width, y))
    if way == "wrong":
        low, high = high, low
    if way == "nothing":
        low, high = np.full(n, lowest), np.full(n, np.inf)
    return np.column_stack([low, high])


def numbers(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Any numbers (n,)."""
    n = len(x)
    way = c.often("lines", ("noise", "line", "exact", "levels", "heap", "heavy", "outlier", "constant"), 2)
    sign = np.where(r.random(n) < 0.5, 1.0, -1.0)
    y = {
        "lines": lambda: sign * (1 + 2 * x) + 0.2 * r.normal(size=n),
        "noise": lambda: r.normal(size=n),
        "line": lambda: x + 0.1 * r.normal(size=n),
        "exact": lambda: np.where(x > 0, x, -2 * x),
        "constant": lambda: np.full(n, 3.7),
        "levels": lambda: r.integers(0, 2, n).astype(float),
        "heap": lambda: np.where(r.random(n) < 0.7, 0.0, r.normal(size=n)),
        "heavy": lambda: r.standard_cauchy(n) ** 3,
        "outlier": lambda: np.where(np.arange(n) == n // 2, c.pick(VALUES[4:]), r.normal(size=n)),
    }[way]()
    with np.errstate(all="ignore"):
        return y * c.often(1.0, SCALES, 6) + c.often(0.0, OFFSETS, 8)


def clipped(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Numbers (n,) of which those beyond limits are most often the limits."""
    y = numbers(c, x, r)
    return np.clip(y, 0.0, 1.0) if c.whole(1, 4) > 1 else y


def several(c: Seeded, x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Two numbers a row, (n, 2)."""
    return np.column_stack([numbers(c, x, r), r.normal(size=len(x))])


KINDS: dict[str, Callable[[Seeded, np.ndarray, np.random.Generator], np.ndarray]] = {
    "classes": classes, "counts": counts, "ones": ones, "trials": trials, "positive": positive,
    "proportions": proportions, "times": times, "ends": ends, "numbers": numbers, "clipped": clipped,
    "several": several,
}  # fmt: skip

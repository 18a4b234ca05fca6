"""Moves from a good fit to a neighbouring basin: one expert is taken apart, the others stay.

A restart forgets everything; a move keeps what is right. Each maps rows x (n, d), y (n,) and responsibilities
r (n, k) of the fit at hand, with the rows' log-density (n,), to memberships for a new one (split-and-merge,
after Ueda, Nakano, Ghahramani and Hinton, 2000).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .starts import near_a_line, near_a_point, some_share, some_tries

Move = Callable[[np.random.Generator, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _side(rng: np.random.Generator, x: np.ndarray, n: int) -> np.ndarray:
    """A random half-space of x; a random half of the rows where there is no x."""
    along = x @ rng.standard_normal(x.shape[1]) if x.shape[1] else rng.random(n)
    cut = int((n - 1) * rng.uniform(0.3, 0.7))
    return along > np.partition(along, cut)[cut]


def _two(rng: np.random.Generator, k: int) -> tuple[int, int]:
    """Two different experts of k."""
    a, b = int(rng.integers(k - 1)), int(rng.integers(k))  # Floyd's algorithm
    b = k - 1 if a == b else b
    return (a, b) if rng.integers(2) else (b, a)


def _without(r: np.ndarray, a: int) -> np.ndarray:
    """Responsibilities with expert a's share given to the others."""
    out = r.copy()
    out[:, a] = 0.0
    left = out.sum(axis=1, keepdims=True)
    out = np.where(left > 1e-8, out / np.maximum(left, 1e-300), 1.0 / max(r.shape[1] - 1, 1))
    out[:, a] = 0.0
    return out


def _restart(r: np.ndarray, a: int, rows: np.ndarray) -> np.ndarray:
    """Expert a begins anew on `rows`; its share elsewhere goes to the others."""
    out = _without(r, a)
    out[rows] = 0.0
    out[rows, a] = 1.0
    return out


def split(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Dissolve one expert, split another along a random half-space."""
    a, b = _two(rng, r.shape[1])
    out, side = _without(r, a), _side(rng, x, len(r))
    out[side, a], out[side, b] = out[side, b], 0.0
    return out


def share(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Pool two experts and part them again along a random half-space."""
    a, b = _two(rng, r.shape[1])
    out, both, side = r.copy(), r[:, a] + r[:, b], _side(rng, x, len(r))
    out[:, a], out[:, b] = both * side, both * ~side
    return out


def neighbours(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Restart one expert on the neighbours of a random row."""
    a = rng.integers(r.shape[1])
    center = x[rng.integers(len(r))]
    size = max(len(r) // (2 * r.shape[1]), min(len(r), 2 * x.shape[1] + 4))
    near = np.argsort(((x - center) ** 2).sum(axis=1), kind="stable")[:size]
    return _restart(r, a, near)


def subset(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Restart one expert on the rows near a hyperplane through a few of them."""
    a = rng.integers(r.shape[1])
    some = near_a_line(rng, x, y, len(x) // (2 * r.shape[1]), some_tries(rng))
    return _restart(r, a, some)


def worst(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Restart one expert on rows that the fit explains badly."""
    a = rng.integers(r.shape[1])
    size = max(len(r) // (3 * r.shape[1]), min(len(r), 2 * x.shape[1] + 4))
    badly = np.argsort(density + rng.gumbel(size=len(r)) * density.std(), kind="stable")[:size]
    return _restart(r, a, badly)


def within(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Restart one expert on a band among the rows of another: finds a group that the other one hides."""
    a, b = _two(rng, r.shape[1])
    own = np.flatnonzero(r.argmax(axis=1) == b)
    if len(own) < x.shape[1] + 4:
        own = np.arange(len(x))
    share = some_share(rng, len(own), 0.1, 0.6, x.shape[1])
    return _restart(r, a, own[near_a_line(rng, x[own], y[own], share, some_tries(rng))])


def ball(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Restart one expert on a ball of (x, y), columns weighted at random, of random size."""
    a = rng.integers(r.shape[1])
    share = some_share(rng, len(x), 0.03, 0.4, x.shape[1])
    return _restart(r, a, near_a_point(rng, x, y, np.arange(len(x)), share))


def blur(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Mix all memberships with random ones: leaves a basin without choosing a direction."""
    part = rng.uniform(0.2, 0.8)
    return (1 - part) * r + part * rng.dirichlet(np.full(r.shape[1], 0.3), len(r))


def widen(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """The narrowest expert, by its squared residuals, begins anew on a random number of the rows nearest to
    its hyperplane: from a fit that was refused, what lies around the few rows that it fits too closely."""
    n, k = r.shape
    features = np.column_stack([np.ones(n), x])
    mass = r.sum(axis=0)
    off = np.empty((k, n))  # squared residuals
    for e in range(k):
        s = np.sqrt(r[:, e])
        slopes = np.linalg.lstsq(features * s[:, None], y * s, rcond=None)[0]
        off[e] = (y - features @ slopes) ** 2
    a = int(np.argmin((r.T * off).sum(axis=1) / np.maximum(mass, 1e-300)))
    fewest = max(float(mass[a]), 2.0 * features.shape[1])
    size = some_share(rng, n, min(fewest / n, 1.0 / k), 1.0 / k, x.shape[1])
    return _restart(r, a, np.argsort(off[a], kind="stable")[:size])


def cross(rng: np.random.Generator, r: np.ndarray, other: np.ndarray) -> np.ndarray:
    """An expert of another fit, whose responsibilities are `other`, takes the place of one of this fit: puts
    together what either has found (crossover, as in genetic algorithms)."""
    a, b = int(rng.integers(r.shape[1])), int(rng.integers(r.shape[1]))
    out = _without(r, a) * (1.0 - other[:, [b]])
    out[:, a] = other[:, b]
    return out


MOVES: dict[str, Move] = {
    "within": within,
    "share": share,
    "ball": ball,
    "neighbours": neighbours,
    "subset": subset,
    "blur": blur,
    "split": split,
    "worst": worst,
    "widen": widen,  # from refused optima alone
}
# The move that finds what no start does comes most often.
TURNS = (
    "within",
    "share",
    "ball",
    "within",
    "neighbours",
    "blur",
    "within",
    "subset",
    "split",
    "within",
    "worst",
    "ball",
)

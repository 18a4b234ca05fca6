"""Where fits begin: cheap, varied guesses of which expert a row belongs to, turned into parameters by
M-steps.

A strategy maps scaled rows to memberships (n, k); rows of zeros are left out of the first M-step. All are
local searches' seeds for mixtures of *regressions*: what differs between experts may be the level of y, its
slope on x, or the region of x, and each strategy bets on another of these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Strategy = Callable[[np.random.Generator, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def kmeans(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Clusters of (x, y) from k-means++ seeds, the response weighted at random."""
    points = np.column_stack([x, y * np.exp(rng.uniform(0.0, 2.5)) * np.sqrt(max(x.shape[1], 1))])
    centers = points[[rng.choice(len(points), p=w / w.sum())]]
    columns, nearest = np.ascontiguousarray(points.T), np.full(len(points), np.inf)

    def distance(center: np.ndarray) -> np.ndarray:
        return ((columns - center[:, None]) ** 2).sum(axis=0)

    for _ in range(k - 1):
        nearest = np.minimum(nearest, distance(centers[-1]))
        d = nearest * w
        total = d.sum()
        told = 0 < total < np.inf  # squares of columns that a gate does not centre may be no doubles
        pick = rng.choice(len(points), p=d / total) if told else rng.integers(len(points))
        centers = np.vstack([centers, points[pick]])
    label = np.zeros(len(points), dtype=int)
    for _ in range(5):
        label = np.argmin([distance(center) for center in centers], axis=0)
        one = (label[:, None] == np.arange(k)) * w[:, None]
        mass = one.sum(axis=0)
        centers = np.where(mass[:, None] > 0, one.T @ points / np.maximum(mass, 1e-300)[:, None], centers)
    return _memberships(label, k)


def _memberships(label: np.ndarray, k: int) -> np.ndarray:
    """Ones (n, k) at the labels (n,)."""
    return np.asarray(label[:, None] == np.arange(k), dtype=float)


def _slices(rng: np.random.Generator, along: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Labels (n,) of k slices of `along` (n,) with random shares of the weight."""
    order = np.argsort(along, kind="stable")
    cuts = np.cumsum(rng.dirichlet(np.full(k, 4.0)))[:-1]
    label = np.empty(len(along), dtype=int)
    label[order] = np.searchsorted(cuts, np.cumsum(w[order]) / w.sum())
    return label


def segments(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Slices of a random direction of x (and sometimes y), with random cuts."""
    columns = np.column_stack([x, y]) if x.shape[1] == 0 or rng.random() < 0.3 else x
    direction = rng.standard_normal(columns.shape[1])
    if rng.random() < 0.5:  # along one column: gates often turn on one
        direction = np.eye(columns.shape[1])[rng.integers(columns.shape[1])]
    label = _slices(rng, columns @ direction, w, k)
    return _memberships(rng.permutation(k)[label], k)


def patches(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Each expert from the neighbours in x of a random row; the rest waits for the E-step."""
    out = np.zeros((len(x), k))
    size = min(len(x), max(3 * (x.shape[1] + 1), len(x) // (3 * k), 2))
    for e in range(k):
        center = x[rng.integers(len(x))]
        out[np.argsort(((x - center) ** 2).sum(axis=1), kind="stable")[:size], e] = 1.0
    return out


def near_a_line(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, share: int, tries: int) -> np.ndarray:
    """The `share` rows closest to the best of `tries` hyperplanes through random elemental sets.

    Best is the one whose `share`-th smallest residual is smallest (least quantile of residuals, Rousseeuw
    1984).
    """
    n, p = len(x), x.shape[1] + 1
    features = np.ones((n, p))
    features[:, 1:] = x
    share = min(n, max(share, p + 1))
    picks = rng.integers(0, n, (tries, p + 1))
    A = features[picks]
    gram = A.transpose(0, 2, 1) @ A
    ridge = np.maximum(1e-8, 1e-14 * np.trace(gram, axis1=1, axis2=2))  # above the rounding of large entries
    gram += ridge[:, None, None] * np.eye(p)
    coefficients = np.linalg.solve(gram, (A.transpose(0, 2, 1) @ y[picks][..., None]))[..., 0]
    distance = np.abs(y[:, None] - features @ coefficients.T).T.copy()
    best = int(np.argmin(np.partition(distance, share - 1)[:, share - 1])) if tries > 1 else 0
    return np.argsort(distance[best], kind="stable")[:share]


def some_tries(rng: np.random.Generator) -> int:
    """How many hyperplanes are looked at: 1, 4 or 16."""
    return (1, 4, 16)[int(rng.integers(3))]


def subsets(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Each expert from rows near a hyperplane through a few of them, one after the other: finds crossing
    lines."""
    out = np.zeros((len(x), k))
    free = np.arange(len(x))
    for e in range(k):
        share = max(len(free) // (2 * (k - e)), 1)
        chosen = free[near_a_line(rng, x[free], y[free], share, some_tries(rng))]
        out[chosen, e] = 1.0
        free = free[out[free, e] == 0]
        if not len(free):
            break
    return out


def residuals(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Slices of the residual of a pooled linear fit: finds parallel lines and levels."""
    features = np.column_stack([np.ones(len(x)), x])
    root = np.sqrt(w)[:, None]
    scaled = features * root
    gram = scaled.T @ scaled
    ridge = max(1e-6 * w.sum(), 1e-14 * np.trace(gram))  # above the rounding of large entries
    fit = np.linalg.solve(gram + ridge * np.eye(len(gram)), scaled.T @ (y * root[:, 0]))
    tilt = x @ rng.standard_normal(x.shape[1]) * (0.5 * rng.random()) if x.shape[1] else 0.0
    return _memberships(_slices(rng, y - features @ fit + tilt, w, k), k)


def scatter(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Random soft memberships around the pooled fit."""
    return rng.dirichlet(np.full(k, 0.5), len(x))


def near_a_point(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, among: np.ndarray, share: int
) -> np.ndarray:
    """The `share` rows of `among` closest to one of them in (x, y), columns weighted at random."""
    points = np.column_stack([x, y])[among] * rng.uniform(0.0, 1.0, x.shape[1] + 1)
    distance = ((points - points[rng.integers(len(among))]) ** 2).sum(axis=1)
    return among[np.argsort(distance, kind="stable")[:share]]


def some_share(rng: np.random.Generator, rows: int, least: float, most: float, columns: int) -> int:
    """A number of rows whose share is log-uniform between `least` and `most`, enough for a regression."""
    share = np.exp(rng.uniform(np.log(least), np.log(most)))
    return min(rows, max(int(rows * share), columns + 2))


def balls(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Each expert but the last from a ball of (x, y) of random size, the last from what is left: finds
    experts of few rows."""
    return _one_after_the_other(rng, x, k, lambda free, share: near_a_point(rng, x, y, free, share))


def bands(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Each expert but the last from a band around a hyperplane, of random size, the last from what is
    left."""

    def band(free: np.ndarray, share: int) -> np.ndarray:
        return free[near_a_line(rng, x[free], y[free], share, some_tries(rng))]

    return _one_after_the_other(rng, x, k, band)


def _one_after_the_other(
    rng: np.random.Generator, x: np.ndarray, k: int, choose: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    out, free = np.zeros((len(x), k)), np.arange(len(x))
    for e in range(k - 1):
        if len(free) < x.shape[1] + 3:
            break
        chosen = choose(free, some_share(rng, len(free), 0.05, 0.5, x.shape[1]))
        out[chosen, e] = 1.0
        free = free[out[free, e] == 0]
    out[free, k - 1] = 1.0
    return out


STRATEGIES: dict[str, Strategy] = {
    "subsets": subsets,
    "kmeans": kmeans,
    "patches": patches,
    "segments": segments,
    "residuals": residuals,
    "scatter": scatter,
    "balls": balls,
    "bands": bands,
}
ROTATION = ("subsets", "patches", "kmeans", "residuals", "balls", "segments", "bands", "scatter")


def auto_starts(k: int) -> int:
    """Default number of starts: one is enough for one expert."""
    return 1 if k == 1 else 8 + 2 * k

"""Uninformed starts of located models: k-means++ seeds in randomly turned coordinates, then short EM."""

from __future__ import annotations

from typing import Any

import numpy as np

SHORT_EM = 25
FINALISTS = 3
SEARCH_ROWS = 2000
LLOYD = 8
SEED_COLUMNS = 12  # columns of the random projection in which seeds are drawn


def uninformed_starts(problem: Any, count: int, rng: np.random.Generator) -> tuple[Any, list[np.ndarray]]:
    """The problem that was searched (a subsample of many rows) and statistics of the best of `count` short EM runs."""
    n = len(problem.rows)
    if count == 0:
        return problem, []
    part = problem
    if n > 2 * SEARCH_ROWS:
        part = problem.subset(np.sort(rng.choice(n, SEARCH_ROWS, replace=False)))
    first = [
        part.statistics(seeded(part.rows, part.weights, part.k, rng, refined=i % 2 == 0))
        for i in range(count)
    ]
    return part, shortlist(part, first)[:FINALISTS]


def shortlist(problem: Any, starts: list[np.ndarray]) -> list[np.ndarray]:
    """Statistics after short EM from each start, the best first."""
    found = []
    for S in starts:
        parameters, value = None, -np.inf
        for _ in range(SHORT_EM):
            parameters, value, S = problem.em(S, parameters)
            if parameters is None:
                break
        found.append((value if np.isfinite(value) else -np.inf, S))
    found.sort(key=lambda pair: -pair[0])
    return [S for _, S in found]


def seeded(
    rows: np.ndarray, weights: np.ndarray | None, k: int, rng: np.random.Generator, refined: bool = False
) -> np.ndarray:
    """Responsibilities (n, k): mostly of the nearest of k centres drawn far from each other (k-means++).

    Centres are `refined` by a few steps of Lloyd's algorithm, or left where they were drawn.
    """
    n, D = rows.shape
    chance = np.ones(n) if weights is None else weights
    width = min(D, SEED_COLUMNS)
    if refined and width == D:
        turned = rows
    else:  # directions are drawn at random too: atoms may differ in slope where their centres agree
        turn = np.linalg.qr(rng.standard_normal((D, width)))[0]
        turned = rows @ turn * rng.uniform(0.3, 1.0, width)
    centres = turned[[rng.choice(n, p=chance / chance.sum())]]
    gap = _gaps(turned, centres)[:, 0]
    for _ in range(k - 1):
        p = gap * chance
        p = p / p.sum() if p.sum() > 0 else chance / chance.sum()
        centres = np.vstack([centres, turned[rng.choice(n, p=p)]])
        gap = np.minimum(gap, _gaps(turned, centres[-1:])[:, 0])
    label = _gaps(turned, centres).argmin(axis=1)
    for _ in range(LLOYD if refined else 0):
        member = np.zeros((n, k))
        member[np.arange(n), label] = chance
        size = member.sum(axis=0)
        centres = np.where(
            size[:, None] > 0, (member.T @ turned) / np.maximum(size, 1e-300)[:, None], centres
        )
        label = _gaps(turned, centres).argmin(axis=1)
    r = np.full((n, k), 0.1 / k)
    r[np.arange(n), label] += 0.9
    return r


def _gaps(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances (n, k), up to rounding."""
    out = (rows**2).sum(axis=1)[:, None] - 2.0 * rows @ centres.T + (centres**2).sum(axis=1)
    return np.maximum(out, 0.0)

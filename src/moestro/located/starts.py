"""Memberships that located models start from: k-means++ seeds in randomly turned coordinates, and components
of a smaller fit cut in two."""

from __future__ import annotations

import numpy as np

LLOYD = 8
SEED_COLUMNS = 12  # columns of the random projection in which seeds are drawn


def splits(rows: np.ndarray, weights: np.ndarray | None, r: np.ndarray, sharpness: float) -> list[np.ndarray]:
    """Memberships of k + 1 components: each of the k of r (n, k) in turn cut across its longest axis;
    `sharpness` 0 writes it twice."""
    out = []
    for e in range(r.shape[1]):
        w = r[:, e] if weights is None else r[:, e] * weights
        if w.sum() <= 0:
            continue
        centred = rows - (w @ rows) / w.sum()
        axis = np.ones(rows.shape[1])
        for _ in range(8):  # power iteration for the leading direction
            axis = centred.T @ (w * (centred @ axis))
            axis /= max(float(np.linalg.norm(axis)), 1e-300)
        along = centred @ axis
        spread = np.sqrt(max(float(w @ along**2) / w.sum(), 1e-300))
        share = 1.0 / (1.0 + np.exp(-np.clip(sharpness * along / spread, -30, 30)))
        out.append(np.column_stack([r[:, :e], r[:, e] * share, r[:, e + 1 :], r[:, e] * (1.0 - share)]))
    return out


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

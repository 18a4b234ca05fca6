"""Blocks learned from the data (arXiv 2104.08959): thresholded residual correlations of each cluster.

A diagonal model assigns the rows; in each cluster the columns whose residuals correlate by more than a
threshold are joined, and the connected components are its blocks. All thresholds give the random
sub-collection of partitions, from single columns up to what the clusters can bear; each is fitted by EM.
Correlations, not covariances, are thresholded, so that units do not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from .data import Data
from .mixture import LocatedFit
from .spread import Partition

MOST = 24  # partitions that are fitted, spread evenly over the dimensions where there are more


def partitions(data: Data, k: int, fit: LocatedFit, most: int) -> list[tuple[Partition, ...]]:
    """The sub-collection: one partition a component for each threshold, no block as large as its cluster; of
    components that share their covariance one partition, from the residuals of all."""
    D, shared = data.v.shape[1], fit.specification.tied
    alone: tuple[Partition, ...] = tuple(_cut(None, D) for _ in range(1 if shared else k))
    if D == 1:
        return [alone]
    r = data.responsibilities(fit.fitted)
    label = r.argmax(axis=1)
    problem: Any = data.problem(fit.specification, k)
    parameters = problem.em(problem.statistics(r)[None], None)[0][0]
    if parameters is None:  # EM has none at these memberships
        return [alone]
    weights = np.ones(len(label)) if data.weights is None else data.weights
    clusters = []
    for e in range(k):
        at = np.flatnonzero((label == e) & (weights > 0))
        residual, w = problem.residuals(parameters, e, at), weights[at]
        clusters.append((residual - np.average(residual, axis=0, weights=w) if len(at) else residual, w))
    if shared:
        residuals, given = zip(*clusters, strict=True)
        clusters = [(np.concatenate(residuals), np.concatenate(given))]
    trees, rows = [_tree(*one) for one in clusters], [len(w) for _, w in clusters]
    heights = np.unique(np.concatenate([t[:, 2] for t in trees]))
    found = [alone]
    for h in _spread_out(heights, 8 * most):
        cuts = tuple(_cut(t, D, h) for t in trees)
        largest = [max(len(b) for b in c) for c in cuts]
        if any(size > 1 and size + 1 >= n for size, n in zip(largest, rows, strict=True)):
            break  # coarser partitions only grow
        if cuts != found[-1]:
            found.append(cuts)
    size = [sum(len(b) * (len(b) + 1) // 2 for c in cuts for b in c) for cuts in found]
    keep = sorted(
        {
            int(np.argmin(np.abs(np.log(size) - goal)))
            for goal in np.linspace(np.log(size[0]), np.log(size[-1]), most)
        }
    )
    return [found[i] for i in (keep if len(found) > most else range(len(found)))]


def _tree(centred: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Single linkage by 1 - |correlation|: its cuts are the connected components of the thresholded graph."""
    D = centred.shape[1]
    if len(centred) < 2 or D < 2:
        return np.zeros((0, 4))
    S = (centred * w[:, None]).T @ centred
    sd = np.sqrt(np.maximum(np.diag(S), 1e-300))
    gap = np.clip(1.0 - np.abs(S / np.outer(sd, sd)), 0.0, 1.0)
    np.fill_diagonal(gap, 0.0)
    return linkage(squareform(gap, checks=False), "single")


def _cut(tree: np.ndarray | None, D: int, height: float = -1.0) -> Partition:
    if tree is None or not len(tree):
        return tuple((j,) for j in range(D))
    label = fcluster(tree, height, "distance")
    groups: dict[int, list[int]] = {}
    for j, g in enumerate(label):
        groups.setdefault(int(g), []).append(j)
    return tuple(sorted(tuple(g) for g in groups.values()))


def _spread_out(values: np.ndarray, most: int) -> np.ndarray:
    if len(values) <= most:
        return values
    return values[np.unique(np.linspace(0, len(values) - 1, most).astype(int))]

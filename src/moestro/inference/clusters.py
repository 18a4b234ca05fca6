"""The middle of a sandwich: outer products of scores, of rows or of clusters of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from ..errors import DataError
from ..rows import encode_groups


@dataclass(frozen=True)
class Grouping:
    """One way to put rows together: codes (n,), how many clusters, and the factor of its outer products."""

    codes: np.ndarray
    count: int
    factor: float


@dataclass(frozen=True)
class Clusters:
    """Clusters of rows whose scores may be correlated.

    Scores are summed within clusters before their outer products are, and each sum of G clusters is
    multiplied by G / (G - 1), the small-sample correction of maximum likelihood in Stata, unless it is not to
    be `corrected`. Several dimensions are added and their intersections taken off again (Cameron, Gelbach and
    Miller, 2011).
    """

    groupings: tuple[Grouping, ...]

    @classmethod
    def of(cls, ids: Any, n: int, w: np.ndarray | None = None, corrected: bool = True) -> Clusters:
        """From ids (n,), (n, dimensions) or a tuple of ids (n,), of any type; rows of weight zero are no
        cluster."""
        if ids is None:
            raise DataError("cov='cluster' needs cluster=ids, the cluster of each row")
        several = ids if isinstance(ids, tuple) else (ids,)
        codes = [encode_groups(column, n, "cluster")[0] for a in several for column in columns_of(a)]
        if not codes:
            raise DataError("cluster has no ids: give the cluster of each row")
        groupings = []
        for size in range(1, len(codes) + 1):
            for which in combinations(codes, size):
                joint = _codes_of_rows(np.column_stack(which))
                used = joint if w is None else joint[w > 0]
                G = len(np.unique(used))
                if G < 2:
                    raise DataError("cluster has one cluster only: at least 2 are needed")
                factor = (-1.0) ** (size + 1) * (G / (G - 1) if corrected else 1.0)
                groupings.append(Grouping(joint, int(joint.max()) + 1, factor))
        return cls(tuple(groupings))

    def total(self, sums: list[np.ndarray]) -> np.ndarray:
        """From the scores of the clusters of each grouping; of several dimensions the nearest positive
        semi-definite matrix, as a difference of sums need not be one."""
        out = sum(g.factor * (s.T @ s) for g, s in zip(self.groupings, sums, strict=True))
        if len(sums) == 1:
            return np.asarray(out)
        values, vectors = np.linalg.eigh(out)
        return (vectors * np.maximum(values, 0.0)) @ vectors.T


class Joint(Protocol):
    """Rows that are summed before their outer products are."""

    @property
    def groupings(self) -> tuple[Grouping, ...]: ...

    def total(self, sums: list[np.ndarray]) -> np.ndarray: ...


class Meat:
    """Adds up scores (b, P) of consecutive rows; `total` is the sum of the outer products."""

    def __init__(self, size: int, clusters: Joint | None = None):
        self.clusters = clusters
        self.at = 0
        self.sums = [np.zeros((g.count, size)) for g in clusters.groupings] if clusters else []
        self.outer = np.zeros((size, size))

    def add(self, scores: np.ndarray) -> None:
        """The next rows."""
        b = len(scores)
        if self.clusters is None:
            self.outer += scores.T @ scores
        for grouping, sums in zip(self.clusters.groupings if self.clusters else (), self.sums, strict=True):
            codes = grouping.codes[self.at : self.at + b]
            sums += csr_array((np.ones(b), (codes, np.arange(b))), shape=(grouping.count, b)) @ scores
        self.at += b

    def total(self) -> np.ndarray:
        """(P, P)."""
        return self.outer if self.clusters is None else self.clusters.total(self.sums)


def columns_of(ids: Any) -> Iterable[Any]:
    """The dimensions of ids; numbers in lists do not become text because of one that is."""
    if np.ndim(ids) != 2:
        return [ids]
    return np.asarray(ids, dtype=object if isinstance(ids, list) else None).T


def _codes_of_rows(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes, axis=0, return_inverse=True)[1].ravel()

"""Refits with other weights: the Bayesian bootstrap and the jackknife."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .clusters import Clusters


@dataclass(frozen=True)
class Refits:
    """How a fit is repeated.

    Attributes
    ----------
    kind : {"bootstrap", "jackknife"}
        Exponential weights (Bayesian bootstrap, Rubin, 1981); or every row left out once.
    replicates : int
        Of the bootstrap.
    seed : int or None
        Of the bootstrap.
    clusters : Clusters or None
        Whose rows share their draw, or are left out together.
    """

    kind: str
    replicates: int = 100
    seed: int | None = None
    clusters: Clusters | None = None

    def codes(self, n: int) -> np.ndarray:
        """What is drawn together, (n,)."""
        groupings = () if self.clusters is None else self.clusters.groupings
        if len(groupings) > 1:
            raise DataError(f"cov={self.kind!r} takes clusters in one dimension")
        return groupings[0].codes if groupings else np.arange(n)

    def weights(self, w: np.ndarray) -> Iterator[np.ndarray]:
        """Weights (n,) of each refit, from those of the fit."""
        codes = self.codes(len(w))
        if self.kind == "jackknife":
            for code in np.unique(codes[w > 0]):
                yield np.where(codes == code, 0.0, w)
            return
        if self.replicates < 2:
            raise DataError(f"bootstrap needs at least 2 replicates, got {self.replicates}")
        rng = np.random.default_rng(self.seed)
        for _ in range(self.replicates):
            yield w * rng.exponential(size=int(codes.max()) + 1)[codes]


def covariance_of(kind: str, draws: np.ndarray) -> np.ndarray:
    """Of the refits' numbers (G, m): of jackknifed ones (G - 1) / G sum (d - mean)(d - mean)'."""
    spread = np.atleast_2d(np.cov(draws, rowvar=False))
    G = len(draws)
    return spread * (G - 1) ** 2 / G if kind == "jackknife" else spread

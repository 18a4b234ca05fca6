"""Dendrogram of a mixing measure: one over-specified fit, its closest atoms merged one pair after the other.

Each merge keeps the moments that an over-specified fit estimates at the parametric rate; its height is the
loss of the pair. The number of experts minimises DSC(kappa) = -(height of the merge kappa -> kappa - 1 +
log(n) mean log-likelihood of kappa merged atoms), kappa >= 2. Softmax gates: arXiv 2510.12744; Gaussian
mixtures: arXiv 2403.01684; Gaussian gates: arXiv 2505.13052. Heights are taken in standardised columns, so
that they do not depend on units, and weights are shares of the rows, so that they do not depend on the gauge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from ..tables import Table


class Atoms(Protocol):
    """Atoms that can be merged."""

    @property
    def shares(self) -> np.ndarray: ...  # (k,) shares of the rows

    def gaps(self) -> np.ndarray: ...  # (k, k) how far apart the atoms of each pair are

    def merged(self, i: int, j: int) -> Any: ...  # the same kind of atoms with i and j as one, in place i

    def log_likelihood(self) -> float: ...  # in total, standardised units or not


@dataclass(frozen=True)
class Dendrogram:
    """The merges of an over-specified measure.

    Attributes
    ----------
    stages : dict of int to atoms
        The merged measure by its number of atoms, from that of the fit down to 1.
    heights : dict of int to float
        Height of the merge from kappa to kappa - 1 atoms.
    pairs : tuple of (int, int)
        Nodes that each merge joins: 0 .. K - 1 are the fit's atoms, K + i is made by merge i.
    log_likelihoods : dict of int to float
        Mean log-likelihood per row of each merged measure.
    dsc : dict of int to float
    k : int
        The chosen number of experts: at least 2, the criterion has no value at 1.
    """

    stages: dict[int, Any]
    heights: dict[int, float]
    pairs: tuple[tuple[int, int], ...]
    log_likelihoods: dict[int, float]
    dsc: dict[int, float]
    k: int

    def table(self) -> Table:
        """One row a number of atoms."""
        ks = sorted(self.dsc)
        return Table(
            {
                "k": ks,
                "height": [self.heights[k] for k in ks],
                "mean_log_likelihood": [self.log_likelihoods[k] for k in ks],
                "dsc": [self.dsc[k] for k in ks],
                "chosen": [k == self.k for k in ks],
            }
        )

    def linkage(self) -> np.ndarray:
        """The merges as SciPy's dendrograms want them, shape (K - 1, 4), heights made increasing."""
        K = max(self.stages)
        sizes = {i: 1 for i in range(K)}
        out, top = [], 0.0
        for step, (a, b) in enumerate(self.pairs):
            top = max(top, self.heights[K - step])
            sizes[K + step] = sizes[a] + sizes[b]
            out.append([a, b, top, sizes[K + step]])
        return np.array(out)


def dissimilarities(atoms: Atoms) -> np.ndarray:
    """d(i, j) = s_i s_j / (s_i + s_j) gap(i, j), s the shares of the rows, shape (k, k)."""
    s = atoms.shares
    return s[:, None] * s / np.maximum(s[:, None] + s, 1e-300) * atoms.gaps()


def dendrogram(atoms: Atoms, n: float) -> Dendrogram:
    """Merge the closest pair until one atom is left; n is the sum of the weights of the rows."""
    current = atoms
    K = len(current.shares)
    if K < 2:
        raise DataError("a dendrogram needs a fit with at least 2 experts")
    stages: dict[int, Any] = {K: current}
    heights, levels = {}, {K: current.log_likelihood() / n}
    nodes, pairs = list(range(K)), []
    for kappa in range(K, 1, -1):
        d = dissimilarities(current)
        d[np.tril_indices(kappa)] = np.inf
        i, j = (int(v) for v in np.unravel_index(np.argmin(d), d.shape))
        heights[kappa] = float(d[i, j])
        pairs.append((nodes[i], nodes[j]))
        current = current.merged(i, j)
        nodes[i] = 2 * K - kappa
        del nodes[j]
        stages[kappa - 1] = current
        levels[kappa - 1] = current.log_likelihood() / n
    dsc = {k: -(heights[k] + np.log(n) * levels[k]) for k in range(2, K + 1)}
    return Dendrogram(stages, heights, tuple(pairs), levels, dsc, min(dsc, key=lambda k: (dsc[k], k)))

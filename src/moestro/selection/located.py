"""Located models over numbers of experts, degrees, covariances and learned blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedFit, Specification
from ..located.data import Data
from ..located.fit import fit_data
from ..search import Options, seed_sequence
from .atoms import LocatedAtoms
from .sweep import Finished, Started, check_ks

PATH_BLOCKS = 8  # partitions tried for each k where blocks are learned within a sweep
CONTRASTS = ("joint", "conditional")


@dataclass(frozen=True)
class LocatedModels:
    """Every specification for every k, each k also from splits of the one before: candidates of a sweep.

    Attributes
    ----------
    x, y, weights : as in `fit_located`
    ks : sequence of int
    specifications : sequence of Specification
        Where one learns its blocks, each partition of its path is a candidate.
    contrast : {"joint", "conditional"}
        What slope heuristics penalise: minus the joint log-likelihood, or minus that of y given x (as GLoME
        does).
    """

    x: Any
    y: Any
    ks: Sequence[int]
    specifications: Sequence[Specification]
    weights: Any = None
    contrast: str = "joint"

    def __post_init__(self) -> None:
        if self.contrast not in CONTRASTS:
            raise DataError(f"contrast={self.contrast!r} is unknown: choose joint or conditional")
        if not len(self.specifications):
            raise DataError("there is no model to fit: give at least one specification")
        w = None if self.weights is None else np.asarray(self.weights, dtype=float)
        read = {"ks": check_ks(self.ks), "x": np.asarray(self.x), "y": np.asarray(self.y), "weights": w}
        for name, value in read.items():
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        return len(self.x)

    def _data(self, spec: Specification, ks: Sequence[int], options: Options, at: Any = slice(None)) -> Data:
        w = None if self.weights is None else self.weights[at]
        return Data.read(self.x[at], self.y[at], w, spec, max(ks), options.threads)

    def fits(self, options: Options, started: Started, finished: Finished) -> list[LocatedFit]:
        out: list[LocatedFit] = []
        branches = seed_sequence(options.seed).spawn(len(self.specifications))
        for spec, branch in zip(self.specifications, branches, strict=True):
            own = replace(options, seed=branch)
            out += fit_data(
                self._data(spec, self.ks, options), spec, self.ks, own, started, finished, PATH_BLOCKS
            )
        return out

    def refits(self, at: np.ndarray, fits: Sequence[LocatedFit], options: Options) -> list[LocatedFit]:
        """Learned partitions are kept as they are, so that every fold has the same candidates."""
        out = list(fits)
        every = [f.specification for f in fits]
        for spec in [s for i, s in enumerate(every) if s not in every[:i]]:
            own = [i for i, s in enumerate(every) if s == spec]
            ks = [fits[i].k for i in own]
            again = fit_data(self._data(spec, ks, options, at), spec, ks, options)
            for i, fit in zip(own, again, strict=True):
                out[i] = fit
        return out

    def score(self, fit: LocatedFit, at: Any) -> float:
        value = fit.measure.log_density(self.x[at], self.y[at])
        return float(value.sum() if self.weights is None else self.weights[at] @ value)

    def contrasts(self, fits: Sequence[LocatedFit]) -> np.ndarray | None:
        if self.contrast == "joint":
            return None
        return np.array([-self.score(f, slice(None)) for f in fits])

    def widest(self, options: Options, started: Started, finished: Finished) -> LocatedFit:
        spec, k = self.specifications[0], self.ks[-1]
        if len(self.specifications) > 1:
            raise DataError("a dendrogram starts from one model: give one specification")
        if spec.learns_blocks:
            raise DataError("a dendrogram needs given blocks, or another covariance")
        return fit_data(self._data(spec, [k], options), spec, [k], options, started, finished)[0]

    def atoms(self, fit: LocatedFit) -> LocatedAtoms:
        return LocatedAtoms.of(fit, self._data(fit.specification, [fit.k], Options()))

    def settled(self, widest: LocatedFit, atoms: LocatedAtoms, options: Options) -> LocatedFit:
        k = len(atoms.shares)
        if k == widest.k:
            return widest
        spec = widest.specification
        data = self._data(spec, [widest.k], options)
        start = data.responsibilities(atoms.in_user_units())
        near = replace(options, initial=(start,), only_initial=True)
        return fit_data(data, spec, [k], near)[0]


def with_options(spec: Specification, **options: Any) -> list[Specification]:
    """`spec` for every combination of lists: with_options(spec, degree=[1, 2], covariance=["full",
    "diagonal"])."""
    out = [spec]
    for name, values in options.items():
        out = [replace(s, **{name: v}) for s in out for v in values]
    return out

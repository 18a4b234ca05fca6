"""Located models over numbers of experts, degrees, covariances and learned blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedFit, Specification
from ..located.data import Data
from ..located.fit import fit_data, fit_partitions
from ..search import Options, seed_sequence
from .atoms import LocatedAtoms
from .cross_validation import positive
from .sweep import Finished, Started

PATH_BLOCKS = 8  # partitions tried for each k where blocks are learned within a sweep
CONTRASTS = ("joint", "conditional")


@dataclass(frozen=True)
class LocatedModels:
    """Located models of every specification, as a sweep fits them.

    Attributes
    ----------
    x : ndarray of shape (n, d)
    y : ndarray of shape (n,) or (n, q)
    specifications : sequence of Specification
        Where one learns its blocks, each partition of its path is a model.
    weights : ndarray of shape (n,) or None
    names : sequence of str
        What the columns of x and y are called.
    contrast : {"joint", "conditional"}
        What slope heuristics penalise: minus the joint log-likelihood, or minus that of y given x (as GLoME
        does).
    """

    x: np.ndarray
    y: np.ndarray
    specifications: Sequence[Specification]
    weights: np.ndarray | None = None
    contrast: str = "joint"
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.contrast not in CONTRASTS:
            raise DataError(f"contrast={self.contrast!r} is unknown: choose joint or conditional")
        if not len(self.specifications):
            raise DataError("there is no model to fit: give at least one specification")

    @property
    def present(self) -> np.ndarray:
        return positive(self.weights, len(self.x))

    def _data(self, spec: Specification, k: int, options: Options, at: Any = slice(None)) -> Data:
        w = None if self.weights is None else self.weights[at]
        return Data.read(self.x[at], self.y[at], w, spec, k, options.threads, self.names)

    def fits(
        self, ks: Sequence[int], options: Options, started: Started, finished: Finished
    ) -> list[LocatedFit]:
        out: list[LocatedFit] = []
        branches = seed_sequence(options.seed).spawn(len(self.specifications))
        for spec, branch in zip(self.specifications, branches, strict=True):
            data, own = self._data(spec, max(ks), options), replace(options, seed=branch)
            out += fit_data(data, spec, ks, own, started, finished, PATH_BLOCKS)
        return out

    def refits(self, at: np.ndarray, fits: Sequence[LocatedFit], options: Options) -> list[LocatedFit]:
        """Learned partitions are kept as they are, so that every fold has the same models, and each path is
        walked again."""
        out = list(fits)
        for spec, own in self._searches(fits):
            ks = sorted({fits[i].k for i in own})
            data = self._data(spec, max(ks), options, at)
            if spec.learns_blocks:

                def path(k: int, _: LocatedFit, own: Sequence[int] = own) -> list[Any]:
                    return [fits[i].specification.blocks for i in own if fits[i].k == k]

                again = fit_partitions(data, ks, spec, options, path)
            else:
                again = fit_data(data, spec, ks, options)
            for i, fit in zip(own, again, strict=True):
                out[i] = fit
        return out

    def _searches(self, fits: Sequence[LocatedFit]) -> Iterator[tuple[Specification, list[int]]]:
        """Each specification as it was given, and the places of its fits."""
        given = [
            spec if spec in self.specifications else replace(spec, blocks=None)
            for spec in (fit.specification for fit in fits)
        ]
        for i, spec in enumerate(given):
            if spec not in given[:i]:
                yield spec, [j for j, other in enumerate(given) if other == spec]

    def held_out(self, fit: LocatedFit, at: Any) -> float:
        value = fit.measure.log_density(self.x[at], self.y[at])
        return float(value.sum() if self.weights is None else self.weights[at] @ value)

    def contrasts(self, fits: Sequence[LocatedFit]) -> np.ndarray | None:
        if self.contrast == "joint":
            return None
        return np.array([-self.held_out(f, slice(None)) for f in fits])

    def widest(
        self, k: int, options: Options, started: Started, finished: Finished
    ) -> tuple[LocatedFit, LocatedAtoms]:
        spec = self.specifications[0]
        if len(self.specifications) > 1:
            raise DataError("a dendrogram starts from one model: give one specification")
        if spec.missing == "marginal":
            raise DataError(
                "a dendrogram merges experts of complete rows: use missing='drop', or another criterion"
            )
        if spec.learns_blocks:
            raise DataError("a dendrogram needs given blocks, or another covariance")
        if spec.degree > 1 or spec.student:
            raise DataError("a dendrogram is defined for affine experts with Gaussian tails")
        data = self._data(spec, k, options)
        fit = fit_data(data, spec, [k], options, started, finished)[0]
        return fit, LocatedAtoms.of(fit, data)

    def settled(self, widest: LocatedFit, atoms: LocatedAtoms, options: Options) -> LocatedFit:
        k = len(atoms.shares)
        if k == widest.k:
            return widest
        start = atoms.data.responsibilities(atoms.in_user_units())
        near = replace(options, initial=(start,), only_initial=True)
        return fit_data(atoms.data, widest.specification, [k], near)[0]


def specifications(blocks: Any = None, **words: Any) -> list[Specification]:
    """A specification for every combination of what is a list: specifications(degree=[1, 2],
    covariance=["full", "diagonal"]).

    Where several covariances are compared, `blocks` belong to "blocks" alone.
    """
    known = [f.name for f in fields(Specification)]
    for name in words:
        if name not in known:
            raise DataError(
                f"{name!r} is not an option of a located model: the options are {', '.join(known)}"
            )
    out: list[dict[str, Any]] = [{}]
    for name, value in words.items():
        listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        out = [{**s, name: v} for s in out for v in (value if listed else [value])]
    several = len({s.get("covariance") for s in out}) > 1
    return [
        Specification(**s, blocks=None if several and s["covariance"] != "blocks" else blocks) for s in out
    ]

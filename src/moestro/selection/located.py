"""Located models over a range of k, degrees, covariances and learned blocks, and the choice among all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedFit, Specification
from ..located.data import Data
from ..located.fit import fit_data
from ..search import Fit, Options, seed_sequence
from ..tables import Table
from .atoms import LocatedAtoms
from .choice import SLOPES, Choice, check_criterion, choose, scores
from .cross_validation import held_out
from .dendrogram import Dendrogram, dendrogram
from .sweep import FOLDS

PATH_BLOCKS = 8  # partitions tried for each k where blocks are learned within a sweep
CONTRASTS = ("joint", "conditional")


@dataclass(frozen=True)
class LocatedSweep:
    """Fits of located models and the chosen one.

    Attributes
    ----------
    fits : tuple of LocatedFit
    choice : Choice
    tree : Dendrogram or None
    """

    fits: tuple[LocatedFit, ...]
    choice: Choice
    tree: Dendrogram | None = None

    @property
    def chosen(self) -> LocatedFit:
        """The fit that the criterion chose."""
        return self.fits[self.choice.index]

    def table(self) -> Table:
        """One row a fit: model, k, degree, blocks, dimension, log-likelihood, every criterion, status, chosen."""
        specs = [f.specification for f in self.fits]
        return Table(
            {
                "model": [s.label for s in specs],
                "k": [f.k for f in self.fits],
                "degree": [s.degree for s in specs],
                "blocks": [s.block_counts for s in specs],
                "df": [f.n_parameters for f in self.fits],
                "log_likelihood": [f.log_likelihood for f in self.fits],
                **self.choice.columns,
                "status": [str(f.status.kind) for f in self.fits],
                "chosen": [i == self.choice.index for i in range(len(self.fits))],
            }
        )


def sweep_located(
    x: Any,
    y: Any,
    ks: Sequence[int],
    specifications: Sequence[Specification],
    options: Options,
    criterion: str = "bic",
    *,
    contrast: str = "joint",
    weights: Any = None,
    n_folds: int = FOLDS,
    finished: Callable[[Fit], None] | None = None,
) -> LocatedSweep:
    """Fit every specification for every k, each k also from splits of the one before, and choose by `criterion`.

    Parameters
    ----------
    x, y, weights : as in `fit_located`
    ks : sequence of int
    specifications : sequence of Specification
        Where one learns its blocks, each partition of its path is a candidate.
    options : Options
    criterion : one of `choice.EVERY`
    contrast : {"joint", "conditional"}
        What slope heuristics penalise: minus the joint log-likelihood, or minus that of y given x (as GLoME does).
    """
    criterion = check_criterion(criterion)
    if contrast not in CONTRASTS:
        raise DataError(f"contrast={contrast!r} is unknown: choose joint or conditional")
    if not len(ks) or min(ks) < 1:
        raise DataError("the numbers of experts to try must be at least 1")
    if not len(specifications):
        raise DataError("there is no model to fit: give at least one specification")
    ordered = sorted({int(k) for k in ks})
    x, y = np.asarray(x), np.asarray(y)
    w = None if weights is None else np.asarray(weights, dtype=float)
    root = seed_sequence(options.seed)
    options = replace(options, seed=root)
    if criterion == "dendrogram":
        if len(specifications) > 1:
            raise DataError("a dendrogram starts from one model: give one specification")
        return _merged(x, y, w, ordered[-1], specifications[0], options, finished)
    fits: list[LocatedFit] = []
    branches = root.spawn(len(specifications))
    for spec, branch in zip(specifications, branches, strict=True):
        data = Data.read(x, y, w, spec, ordered[-1], options.threads)
        fits += fit_data(
            data, spec, ordered, replace(options, seed=branch), finished=finished, most=PATH_BLOCKS
        )
    gamma = left_out = None
    if contrast == "conditional" and criterion in SLOPES:
        gamma = np.array([-_score(f, x, y, w, slice(None)) for f in fits])
    if criterion == "cv":
        draw, inner = root.spawn(2)
        left_out = held_out(
            len(x),
            n_folds,
            np.random.default_rng(draw),
            lambda at: _refits(x, y, w, at, fits, replace(options, seed=inner, progress=None)),
            lambda fit, at: _score(fit, x, y, w, at),
        )
    names = [f.k if len(fits) == len(ordered) else f"{f.specification.label}, k={f.k}" for f in fits]
    return LocatedSweep(tuple(fits), choose(fits, criterion, contrast=gamma, held_out=left_out, names=names))


def _refits(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    at: np.ndarray,
    fits: Sequence[LocatedFit],
    options: Options,
) -> list[LocatedFit]:
    """The same models on some rows; learned partitions are kept as they are, so that every fold has the same candidates."""
    part = None if w is None else w[at]
    out: list[LocatedFit] = list(fits)
    for spec in [
        f.specification
        for i, f in enumerate(fits)
        if f.specification not in [g.specification for g in fits[:i]]
    ]:
        own = [i for i, f in enumerate(fits) if f.specification == spec]
        ks = [fits[i].k for i in own]
        data = Data.read(x[at], y[at], part, spec, max(ks), options.threads)
        for i, fit in zip(own, fit_data(data, spec, ks, options), strict=True):
            out[i] = fit
    return out


def _score(fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None, at: Any) -> float:
    """log p(y | x) of some rows."""
    value = fit.measure.log_density(x[at], y[at])
    return float(value.sum() if w is None else w[at] @ value)


def _merged(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    largest: int,
    spec: Specification,
    options: Options,
    finished: Callable[[Fit], None] | None,
) -> LocatedSweep:
    """One fit of the largest k, its dendrogram, and the fit that starts from the merged measure of the chosen k."""
    if spec.learns_blocks:
        raise DataError("a dendrogram needs given blocks, or another covariance")
    data = Data.read(x, y, w, spec, largest, options.threads)
    widest = fit_data(data, spec, [largest], options, finished=finished)[0]
    tree = dendrogram(LocatedAtoms.of(widest, data), widest.weight_sum)
    fits = [widest]
    if tree.k < largest:
        atoms: LocatedAtoms = tree.stages[tree.k]
        near = replace(options, initial=(data.responsibilities(atoms.in_user_units()),), only_initial=True)
        fits = [*fit_data(data, spec, [tree.k], near, finished=finished), widest]
    return LocatedSweep(tuple(fits), Choice(0, "dendrogram", scores(fits)), tree)


def with_options(spec: Specification, **options: Any) -> list[Specification]:
    """`spec` for every combination of lists: with_options(spec, degree=[1, 2], covariance=["full", "diagonal"])."""
    out = [spec]
    for name, values in options.items():
        out = [replace(s, **{name: v}) for s in out for v in values]
    return out

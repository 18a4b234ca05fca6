"""Fits of related models and the choice among them: over k, and for located models over degrees, covariances
and blocks too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from ..search import Fit, Options, seed_sequence
from ..tables import Table
from .choice import SLOPES, Choice, check_criterion, choose, criteria_of
from .criteria import SHOWN, entropy_r2
from .cross_validation import held_out
from .dendrogram import Atoms, Dendrogram, dendrogram

FOLDS = 5

Started = Callable[[int], None] | None
Finished = Callable[[Fit], None] | None


class Models(Protocol):
    """A model class on rows: one model, or several that differ in degree, covariance, blocks."""

    @property
    def present(self) -> np.ndarray: ...  # units (rows, or groups that share an expert) of positive weight

    def fits(
        self, ks: Sequence[int], options: Options, started: Started, finished: Finished
    ) -> Sequence[Any]: ...

    def refits(self, at: np.ndarray, fits: Sequence[Any], options: Options) -> Sequence[Any]: ...

    # the models of `fits` on the units `at`, in the same order

    def held_out(self, fit: Any, at: np.ndarray) -> float: ...  # log-likelihood of the units `at`

    def contrasts(self, fits: Sequence[Any]) -> np.ndarray | None: ...

    # what slope heuristics penalise, where it is not minus the log-likelihood

    def widest(self, k: int, options: Options, started: Started, finished: Finished) -> tuple[Any, Atoms]: ...

    # the fit that a dendrogram begins with, and its atoms

    def settled(self, widest: Any, atoms: Any, options: Options) -> Any: ...

    # the fit that starts from merged atoms, or from all of them


@dataclass(frozen=True)
class Sweep:
    """Fits, in increasing order of k within a model, and the chosen one.

    Attributes
    ----------
    fits : tuple of Fit
    choice : Choice
    tree : Dendrogram or None
        For criterion "dendrogram": the merges of the largest fit; `fits` are then the chosen number of
        experts, fitted from the merged measure, and that largest fit.
    """

    fits: tuple[Any, ...]
    choice: Choice
    tree: Dendrogram | None = None

    @property
    def chosen(self) -> Any:
        """The fit that the criterion chose."""
        return self.fits[self.choice.index]

    @property
    def criterion(self) -> str:
        """What chose."""
        return self.choice.criterion

    def table(self) -> Table:
        """One row a fit: what tells it from the others, parameters, log-likelihood, every criterion, entropy
        R², the smallest expert's share, how often the search found the fit, status."""
        labels = [f.labels() for f in self.fits]
        columns: dict[str, list] = {
            **{name: [own[name] for own in labels] for name in labels[0]},
            "df": [f.n_parameters for f in self.fits],
            "log_likelihood": [f.log_likelihood for f in self.fits],
            **self.choice.columns,
        }
        columns |= {name: [criterion(f) for f in self.fits] for name, criterion in SHOWN.items()}
        columns["entropy_r2"] = [entropy_r2(f, f.k) for f in self.fits]
        columns["smallest_share"] = [float(f.mass.min() / f.mass.sum()) for f in self.fits]
        columns["found"] = [None if f.evidence is None or f.k == 1 else f.evidence.found for f in self.fits]
        columns["status"] = [str(f.status.kind) for f in self.fits]
        columns["chosen"] = [i == self.choice.index for i in range(len(self.fits))]
        return Table(columns)


def sweep(
    models: Models,
    ks: Sequence[int],
    options: Options,
    criterion: str = "bic",
    started: Started = None,
    finished: Finished = None,
    n_folds: int = FOLDS,
) -> Sweep:
    """Fit `models` for every k and choose by `criterion`, one of `choice.EVERY`."""
    criterion = check_criterion(criterion)
    if not len(ks) or min(ks) < 1:
        raise DataError("the numbers of experts to try must be at least 1")
    ordered = sorted({int(k) for k in ks})
    root = seed_sequence(options.seed)
    options = replace(options, seed=root)
    if criterion == "dendrogram":
        return _merged(models, ordered[-1], options, started, finished)
    fits = models.fits(ordered, options, started, finished)
    left_out = None
    if criterion == "cv":
        draw, inner = root.spawn(2)
        quiet = replace(options, progress=None, seed=inner)
        left_out = held_out(
            models.present,
            n_folds,
            np.random.default_rng(draw),
            lambda at: models.refits(at, fits, quiet),
            models.held_out,
        )
    contrast = models.contrasts(fits) if criterion in SLOPES else None
    return Sweep(
        tuple(fits), choose(fits, criterion, contrast=contrast, held_out=left_out, names=_names(fits))
    )


def _names(fits: Sequence[Any]) -> list[Any]:
    ks = [f.k for f in fits]
    return ks if len(set(ks)) == len(ks) else [f"{f.labels()['model']}, k={f.k}" for f in fits]


def _merged(models: Models, largest: int, options: Options, started: Started, finished: Finished) -> Sweep:
    """One fit of the largest k, its dendrogram, and the fit from the merged measure of the chosen k."""
    if largest < 2:
        raise DataError("a dendrogram needs a largest number of experts of at least 2")
    widest, atoms = models.widest(largest, options, started, finished)
    tree = dendrogram(atoms, widest.weight_sum)
    fit = models.settled(widest, tree.stages[tree.k], options)
    fits = [fit]
    if tree.k < largest:
        fits.append(widest)
        if finished is not None:
            finished(fit)
    return Sweep(tuple(fits), Choice(0, "dendrogram", criteria_of(fits)), tree)

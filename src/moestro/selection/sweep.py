"""Fits over a range of k, each started also from the one before it, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..engine import Order, make_engine
from ..errors import DataError
from ..model import Model
from ..problems import MixtureFit, fit_mixture, fit_mixtures
from ..rows import Rows
from ..search import Fit, Options, seed_sequence
from ..tables import Table
from .atoms import SoftmaxAtoms
from .choice import Choice, check_criterion, choose, scores
from .cross_validation import held_out
from .dendrogram import Dendrogram, dendrogram

FOLDS = 5
# The over-specified fit lies in a compact set, as in the theory. Without one, atoms that nobody needs take gates as steep as a step, and
# no formula merges those well. A slope of 12 a standard deviation takes a gate from 1 % to 99 % within 0.8 of them.
OVER_BOX = 12.0


@dataclass(frozen=True)
class Sweep:
    """Fits in increasing order of k and the chosen one.

    Attributes
    ----------
    fits : tuple of Fit
    choice : Choice
    tree : Dendrogram or None
        For criterion "dendrogram": the merges of the largest fit; `fits` are then the chosen number of experts, fitted also from
        the merged measure, and that largest fit (in its compact set).
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
        """One row a fit: number of experts, parameters, log-likelihood, every criterion, status."""
        columns: dict[str, list] = {
            "k": [f.model.k for f in self.fits],
            "df": [f.n_parameters for f in self.fits],
            "log_likelihood": [f.log_likelihood for f in self.fits],
            **self.choice.columns,
        }
        columns["status"] = [str(f.status.kind) for f in self.fits]
        columns["chosen"] = [i == self.choice.index for i in range(len(self.fits))]
        return Table(columns)


def sweep(
    model: Model,
    rows: Rows,
    ks: Sequence[int],
    options: Options,
    criterion: str = "bic",
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
    n_folds: int = FOLDS,
) -> Sweep:
    """Fit `model` for every k and choose by `criterion`, one of `choice.EVERY`."""
    criterion = check_criterion(criterion)
    if not len(ks) or min(ks) < 1:
        raise DataError("the numbers of experts to try must be at least 1")
    root = seed_sequence(options.seed)
    ordered = sorted({int(k) for k in ks})
    if criterion == "dendrogram":
        return _merged(model, rows, ordered[-1], replace(options, seed=root), started, finished)
    options = replace(options, seed=root)
    fits = fit_mixtures(model, rows, ordered, options, started, finished)
    left_out = None
    if criterion == "cv":
        draw, inner = root.spawn(2)
        left_out = held_out(
            rows.n,
            n_folds,
            np.random.default_rng(draw),
            lambda at: fit_mixtures(
                model, rows.take(at), ordered, replace(options, progress=None, seed=inner)
            ),
            lambda fit, at: _value(fit, rows.take(at)),
        )
    return Sweep(tuple(fits), choose(fits, criterion, held_out=left_out, names=ordered))


def _value(fit: MixtureFit, rows: Rows) -> float:
    return make_engine(fit.model, rows).evaluate(fit.theta, Order.VALUE).value


def _merged(
    model: Model,
    rows: Rows,
    largest: int,
    options: Options,
    started: Callable[[int], None] | None,
    finished: Callable[[Fit], None] | None,
) -> Sweep:
    """One fit of the largest k, its dendrogram, and the fit that starts from the merged measure of the chosen k."""
    if largest < 2:
        raise DataError("a dendrogram needs a largest number of experts of at least 2")
    if started is not None:
        started(largest)
    widest = fit_mixture(replace(model, k=largest), rows, replace(options, box=OVER_BOX))
    if finished is not None:
        finished(widest)
    tree = dendrogram(SoftmaxAtoms.of(widest, rows), rows.weight_sum)
    if tree.k == largest:
        whole = fit_mixture(widest.model, rows, replace(options, initial=(widest.theta,)))
        return Sweep((whole,), Choice(0, "dendrogram", scores([whole])), tree)
    merged: SoftmaxAtoms = tree.stages[tree.k]
    fit = fit_mixture(merged.model, rows, replace(options, initial=(merged.theta,)))
    if finished is not None:
        finished(fit)
    fits = (fit, widest)
    return Sweep(fits, Choice(0, "dendrogram", scores(fits)), tree)

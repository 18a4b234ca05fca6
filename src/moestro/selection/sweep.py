"""Fits over a range of k, each started also from the one before it, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import Rows
from ..solvers import Fit, Options, StatusKind, fit_mixture
from ..tables import Table
from .criteria import CRITERIA


@dataclass(frozen=True)
class Sweep:
    """Fits in increasing order of k and the chosen one.

    Attributes
    ----------
    fits : tuple of Fit
    chosen : Fit
        The usable fit with the smallest criterion.
    criterion : str
    """

    fits: tuple[Fit, ...]
    chosen: Fit
    criterion: str

    def table(self) -> Table:
        """One row a k: parameters, log-likelihood, every criterion, status."""
        columns: dict[str, list] = {
            "k": [f.model.k for f in self.fits],
            "df": [f.n_parameters for f in self.fits],
            "log_likelihood": [f.log_likelihood for f in self.fits],
        }
        for name, criterion in CRITERIA.items():
            columns[name] = [criterion(f) for f in self.fits]
        columns["status"] = [str(f.status.kind) for f in self.fits]
        columns["chosen"] = [f is self.chosen for f in self.fits]
        return Table(columns)


def sweep(
    model: Model,
    rows: Rows,
    ks: Sequence[int],
    options: Options,
    criterion: str = "bic",
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> Sweep:
    """Fit `model` for every k and choose by `criterion` ("aic", "bic" or "icl")."""
    if criterion not in CRITERIA:
        raise DataError(f"criterion={criterion!r} is unknown: choose one of {', '.join(CRITERIA)}")
    if not len(ks) or min(ks) < 1:
        raise DataError("the numbers of experts to try must be at least 1")
    root = (
        options.seed
        if isinstance(options.seed, np.random.SeedSequence)
        else np.random.SeedSequence(options.seed)
    )
    fits: list[Fit] = []
    ordered = sorted({int(k) for k in ks})
    for k, seed in zip(ordered, root.spawn(len(ordered)), strict=True):
        if started is not None:
            started(k)
        initial = (
            tuple(_split(fits[-1], e) for e in range(fits[-1].model.k))
            if fits and fits[-1].model.k == k - 1
            else ()
        )
        fit = fit_mixture(replace(model, k=k), rows, replace(options, seed=seed, initial=initial))
        fits.append(fit)
        if finished is not None:
            finished(fit)
    usable = [f for f in fits if f.status.kind not in (StatusKind.COLLAPSED, StatusKind.NOT_FINITE)]
    best = min(usable or fits, key=CRITERIA[criterion])
    return Sweep(tuple(fits), best, criterion)


def _split(fit: Fit, e: int) -> np.ndarray:
    """theta for k + 1 experts: expert e twice, its halves pushed apart along its largest gate or expert slope."""
    small = fit.model
    wide = replace(small, k=small.k + 1)
    gate = small.gate_rows(fit.theta)
    experts, nuisances = small.expert_coefficients(fit.theta), small.nuisances(fit.theta)
    gate, experts, nuisances = (np.concatenate([a[e : e + 1], a]) for a in (gate, experts, nuisances))
    gate, experts = gate.copy(), experts.copy()
    gate[[0, e + 1], 0] -= np.log(2.0)
    push = 0.5 if small.p > 1 else 0.0
    j = 1 + int(np.argmax(np.abs(experts[0][:, 1:]).sum(axis=0))) if small.p > 1 else 0
    experts[0, :, j] += push
    experts[e + 1, :, j] -= push
    experts[0, :, 0] += 0.25
    experts[e + 1, :, 0] -= 0.25
    return wide.pack(wide.free_rows(gate), experts, nuisances, small.gate_shared(fit.theta))

"""The last gate of every fit: are its numbers finite, and those that its rows have under it?

The solvers sum scaled rows in the order of the machine; what people ask afterwards is computed from the
frozen parameters, in the user's units. The two are one number unless double precision ran out: counts of
1e15, columns a billion standard deviations from zero, an expert on a few rows that it fits exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..engine.base import IMPOSSIBLE
from ..solvers.status import Status, StatusKind
from .fit import Fit

AGREE = 1e-9  # difference of the two sums, per row and per unit of |log-density|, that is rounding

F = TypeVar("F", bound=Fit)
Said = tuple[np.ndarray | None, np.ndarray, np.ndarray]


def audited(fit: F, said: Iterable[Said]) -> F:
    """`fit`, with a status that says how many digits hold where `said` does not agree with it.

    Parameters
    ----------
    said : iterable of (w, log_density, responsibilities)
        What the frozen parameters say of the rows in the user's units, a block at a time: weights (u,) or
        None, log p (u,), posterior shares of the experts (u, k).

    Returns
    -------
    Fit
        Unchanged where sum w log p is `fit.log_likelihood` within `AGREE` (sum w + sum w |log p|), and the
        shares sum to one within `AGREE`. Otherwise its status is "imprecise", or what it was where that is
        no estimate either, and its sentence says what does not hold.
    """
    total, reach, apart, least = 0.0, 0.0, 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for w, density, r in said:
            w = np.ones(len(density)) if w is None else w
            total += float(w @ density)
            least = float(density[w > 0].min(initial=least))
            reach += float(w.sum() + w @ np.abs(density))
            apart = float(np.maximum(apart, np.abs(r.sum(axis=1) - 1.0).max(initial=0.0)))
    numbers = (fit.log_likelihood, fit.entropy, *fit.mass.tolist())
    if not np.isfinite(numbers).all():
        return _with(
            fit, StatusKind.NOT_FINITE, "the log-likelihood or the experts' rows are not finite numbers"
        )
    if not np.isfinite(total) or least <= 0.5 * IMPOSSIBLE:  # the sums stop there, with digits of the bound
        return _with(fit, StatusKind.NOT_FINITE, "some rows have no finite density under the fit")
    if not apart <= AGREE:
        return _with(fit, StatusKind.IMPRECISE, f"responsibilities sum to one only within {apart:.1e}")
    error = abs(total - fit.log_likelihood)
    if error <= AGREE * reach:
        return fit
    digits = max(0, int(np.floor(-np.log10(error / max(abs(fit.log_likelihood), 1e-300)))))
    sentence = (
        f"{digits} digit{'s' * (digits != 1)} of the log-likelihood hold{'s' * (digits == 1)}: the densities "
        f"of the rows sum to {total:.10g}. Centre and rescale the columns, or use fewer experts"
    )
    return _with(fit, StatusKind.IMPRECISE, sentence)


def _with(fit: F, kind: StatusKind, sentence: str) -> F:
    """`fit` with one more finding; a status that says that this is no estimate keeps its kind."""
    before = fit.status
    if before.usable:
        return replace(fit, status=Status(kind, f"{sentence} ({before})", before.experts))
    return replace(fit, status=replace(before, sentence=f"{before.sentence}; {sentence}"))

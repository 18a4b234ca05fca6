"""Bootstrap likelihood-ratio tests of k - 1 experts against k along a sweep of softmax-gated mixtures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..problems import MixtureFit
from ..rows import Rows
from ..solvers import StatusKind
from .bootstrap_test import bootstrap_test, mixture_ratio


def check_stepwise(n_replicates: int, weighted: bool, grouped: bool) -> None:
    """Refuse what has no such test before anything is fitted."""
    if not isinstance(n_replicates, int | np.integer) or isinstance(n_replicates, bool) or n_replicates < 1:
        raise DataError(f"blrt must be a number of replicates of at least 1, got {n_replicates!r}")
    if weighted or grouped:
        raise DataError(
            "the bootstrap test draws single rows without weights: leave out blrt, or weights and groups"
        )


def stepwise_p(
    fits: Sequence[MixtureFit],
    rows: Rows,
    n_replicates: int,
    seed: int | None,
    threads: int,
    engine: str = "auto",
) -> list[float | None]:
    """The p value of k - 1 against k for each fit, as `bootstrap_test` of the two has it with this seed; None
    where the sweep has no fit of k - 1 experts, or one of the two is not usable."""
    if not all(fit.model.constraints.symmetric for fit in fits):
        raise DataError(
            "numbers of experts are tested where all experts are alike: leave out blrt, or values fixed for "
            "one expert"
        )
    by_k = {fit.model.k: fit for fit in fits if _comparable(fit)}
    out: list[float | None] = []
    for fit in fits:
        below = by_k.get(fit.model.k - 1)
        if below is None or fit.model.k not in by_k:
            out.append(None)
            continue
        ratio = mixture_ratio(below, fit, rows, engine)
        found = bootstrap_test(below, fit, ratio, n_replicates=n_replicates, seed=seed, threads=threads)
        out.append(found.p)
    return out


def _comparable(fit: MixtureFit) -> bool:
    return fit.status.usable or fit.status.kind == StatusKind.THIN

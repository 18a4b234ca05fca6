"""Bootstrap likelihood-ratio tests of k - 1 experts against k along a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedFit
from ..problems import MixtureFit
from ..solvers import StatusKind
from ..tables import Table
from .bootstrap_test import bootstrap_test, located_ratio, mixture_ratio


def check_stepwise(n_replicates: int, weighted: bool) -> None:
    """Refuse what has no such test before anything is fitted."""
    if not isinstance(n_replicates, int | np.integer) or isinstance(n_replicates, bool) or n_replicates < 1:
        raise DataError(f"blrt must be a number of replicates of at least 1, got {n_replicates!r}")
    if weighted:
        raise DataError("the bootstrap test draws rows without weights: leave out blrt, or weights")


def with_p(
    table: Table,
    fits: Sequence[MixtureFit] | Sequence[LocatedFit],
    rows: Any,
    n_replicates: int | None,
    seed: int | None,
    threads: int,
    engine: str = "auto",
) -> Table:
    """The table of a sweep's fits, with `stepwise_p` as a column where replicates are asked for."""
    if n_replicates is None:
        return table
    p = stepwise_p(fits, rows, n_replicates, seed, threads, engine)
    return Table({**table.columns, "blrt_p": p})


def stepwise_p(
    fits: Sequence[MixtureFit] | Sequence[LocatedFit],
    rows: Any,
    n_replicates: int,
    seed: int | None,
    threads: int,
    engine: str = "auto",
) -> list[float | None]:
    """The p value of k - 1 against k for each fit on its `rows`, as `bootstrap_test` of the two has it with
    this seed; None where the sweep has no fit of k - 1 experts of the same model, or one of the two is not
    usable."""
    if not all(isinstance(fit, LocatedFit) or fit.model.constraints.symmetric for fit in fits):
        raise DataError(
            "the number of experts is tested only where all experts are alike: leave out blrt, or values "
            "fixed for one expert"
        )
    out: list[float | None] = []
    for fit in fits:
        below: list[Any] = [
            f for f in fits if f.k == fit.k - 1 and _model(f) == _model(fit) and _comparable(f)
        ]
        if not below or not _comparable(fit):
            out.append(None)
            continue
        if isinstance(fit, LocatedFit):
            ratio = located_ratio(below[0], fit, rows.x, rows.y)
        else:
            ratio = mixture_ratio(below[0], fit, rows, engine)
        found = bootstrap_test(below[0], fit, ratio, n_replicates=n_replicates, seed=seed, threads=threads)
        out.append(found.p)
    return out


def _model(fit: MixtureFit | LocatedFit) -> Any:
    """What fits of a sweep share but for their number of experts."""
    return fit.specification if isinstance(fit, LocatedFit) else None


def _comparable(fit: MixtureFit | LocatedFit) -> bool:
    return fit.status.usable or fit.status.kind == StatusKind.THIN

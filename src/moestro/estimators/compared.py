"""Tests and tables of several fitted estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel
from ..inference.bootstrap_test import BootstrapTest, located_ratio, mixture_ratio
from ..inference.bootstrap_test import bootstrap_test as drawn_test
from ..rows import Rows
from ..solvers import StatusKind
from ..threads import thread_count


def bootstrap_test(
    smaller: Any,
    larger: Any,
    *,
    n_replicates: int = 199,
    enough: int | None = 20,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> BootstrapTest:
    """Parametric bootstrap likelihood-ratio test of k experts against more, both fitted to the same data.

    Parameters
    ----------
    smaller, larger : MoEClassifier, MoERegressor or LocatedMoERegressor
        Without weights and penalties.
    n_replicates : int
        The smallest p is 1 / (n_replicates + 1).
    enough : int or None
        Replicates at least as large as the observed ratio after which no more are drawn; None draws all.
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.

    Examples
    --------
    >>> from moestro import MoERegressor, bootstrap_test, load_dataset
    >>> tone = load_dataset("tone")
    >>> how = {"data": tone, "random_state": 0}
    >>> one, two = (MoERegressor.from_formula("tuned ~ stretchratio", n_experts=k, **how) for k in (1, 2))
    >>> bootstrap_test(one, two, n_replicates=19, random_state=0).p
    0.05
    """
    a, b = smaller._fitted(), larger._fitted()
    _comparable(smaller, larger)
    rows, other = smaller._found.rows, larger._found.rows
    if rows is None or other is None:
        raise DataError(
            "the bootstrap needs the training data, which a file or a pickle does not carry: fit again"
        )
    if not all(map(np.array_equal, _data(rows), _data(other))):
        raise DataError("both estimators must be fitted to the same data and columns")
    if rows.w is not None or other.w is not None:
        raise DataError("weighted rows cannot be drawn: fit without weights")
    if isinstance(a, FittedModel):
        if rows.groups is not None or other.groups is not None:
            raise DataError("the bootstrap draws single rows: fit without groups")
        ratio = mixture_ratio(a.fit, b.fit, rows, smaller._found.engine)
    else:
        ratio = located_ratio(a.fit, b.fit, len(rows.y))
    return drawn_test(
        a.fit, b.fit, ratio,
        n_replicates=n_replicates, enough=enough, seed=random_state, threads=thread_count(n_jobs),
    )  # fmt: skip


def _data(rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the experts, columns of the gate, response."""
    x = rows.inputs if isinstance(rows, Rows) else rows.x
    return x, x if rows.z is None else rows.z, rows.y


def _comparable(smaller: Any, larger: Any) -> None:
    """Refuse models of which the first is not the second with fewer experts."""
    a, b = smaller._fitted(), larger._fitted()
    if type(a) is not type(b):
        raise DataError("both estimators must be of one kind")
    if smaller._found.penalised is not None or larger._found.penalised is not None:
        raise DataError("penalised fits have no likelihood-ratio test")
    if isinstance(a, FittedModel):
        m, o = a.fit.model, b.fit.model
        same = (m.gate, m.family, m.q, m.p) == (o.gate, o.family, o.q, o.p)
    else:
        same = a.fit.specification == b.fit.specification
    if not same:
        raise DataError("both estimators must be the same but for n_experts")
    if a.fit.k >= b.fit.k:
        raise DataError(f"the first has {a.fit.k} experts, the second {b.fit.k}: it must have more")
    for fit in (a.fit, b.fit):
        if not (fit.status.usable or fit.status.kind == StatusKind.THIN):
            raise DataError(
                f"the fit of {fit.k} experts is not usable ({fit.status.kind}): no test compares it"
            )

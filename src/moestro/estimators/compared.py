"""Tests and tables of several fitted estimators."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel
from ..inference.bootstrap_test import WAVES, BootstrapTest, located_ratio, mixture_ratio
from ..inference.bootstrap_test import bootstrap_test as drawn_test
from ..inference.vuong import VuongTest
from ..inference.vuong import vuong_test as vuong_of
from ..rows import Rows
from ..solvers import StatusKind
from ..summary import Comparison, comparison
from ..summary.comparison import refuse_different
from ..threads import thread_count
from .trust import Trust


def bootstrap_test(
    smaller: Any,
    larger: Any,
    *,
    n_replicates: int = 199,
    enough: int | None = 20,
    level: float | None = None,
    waves: int = WAVES,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> BootstrapTest:
    """Parametric bootstrap likelihood-ratio test of k experts against more, both fitted to the same data.

    Responses are drawn from the smaller fit, and both models are fitted to them by a short search. Its ratio
    2 (L1 - L0) is compared with the one that the same search finds on the data themselves: that of the two
    fits, which were searched for longer, would be too large beside it.

    Parameters
    ----------
    smaller, larger : MoEClassifier, MoERegressor or LocatedMoERegressor
        Without weights and penalties.
    n_replicates : int
        The smallest p is 1 / (n_replicates + 1).
    enough : int or None
        Replicates at least as large as the ratio of the data after which no more are drawn; None draws all.
    level : float or None
        No more replicates are drawn either once they tell p from this level, such as 0.05, however small p
        is: with an error of one in a thousand (Davidson and MacKinnon). None looks for p itself.
    waves : int
        How long both are searched after their starts, in waves of moves; more of them raise the power where
        the larger model is hard to find.
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.

    References
    ----------
    G. J. McLachlan, On bootstrapping the likelihood ratio test statistic for the number of components in a
    normal mixture, Applied Statistics 36, 1987.
    R. Davidson and J. G. MacKinnon, Bootstrap tests: how many bootstraps?, Econometric Reviews 19, 2000.

    Examples
    --------
    >>> from moestro import MoERegressor, bootstrap_test, load_dataset
    >>> tone = load_dataset("tone")
    >>> how = {"data": tone, "random_state": 0}
    >>> one, two = (MoERegressor.from_formula("tuned ~ stretchratio", n_experts=k, **how) for k in (1, 2))
    >>> bootstrap_test(one, two, n_replicates=19, random_state=0).p
    0.05
    """
    a, b, rows, _ = _tested(smaller, larger, "the bootstrap")
    if not isinstance(waves, Integral) or isinstance(waves, bool) or waves < 1:
        raise DataError(f"waves must be a whole number of at least 1, got {waves!r}")
    if isinstance(a, FittedModel):
        ratio = mixture_ratio(a.fit, b.fit, rows, smaller._found.engine, int(waves))
    else:
        ratio = located_ratio(a.fit, b.fit, rows.x, rows.y, int(waves))
    return drawn_test(
        a.fit, b.fit, ratio,
        n_replicates=n_replicates, enough=enough, level=level, seed=random_state,
        threads=thread_count(n_jobs),
    )  # fmt: skip


def vuong_test(smaller: Any, larger: Any) -> VuongTest:
    """Vuong-Lo-Mendell-Rubin test of k experts against more, as Mplus and Stata print it, of softmax-gated
    experts; its law is not proved for mixtures, and `bootstrap_test` is to be preferred.

    Parameters
    ----------
    smaller, larger : MoEClassifier or MoERegressor
        Fitted to the same data, without weights and penalties.

    References
    ----------
    Q. H. Vuong, Likelihood ratio tests for model selection and non-nested hypotheses, Econometrica 57, 1989.
    Y. Lo, N. R. Mendell and D. B. Rubin, Testing the number of components in a normal mixture, Biometrika 88,
    2001.
    """
    a, b, rows, other = _tested(smaller, larger, "the test")
    if not isinstance(a, FittedModel):
        raise DataError("located experts have no Vuong test: use bootstrap_test")
    engine, threads = smaller._found.engine, thread_count(smaller.n_jobs)
    return vuong_of(a.fit, b.fit, (rows, other), engine, threads)


def _tested(smaller: Any, larger: Any, what: str) -> tuple[Any, Any, Any, Any]:
    """Both models and their rows; refuses fits of other data, and weighted ones."""
    a, b = _models((smaller, larger))
    _comparable(smaller, larger)
    rows, other = smaller._found.rows, larger._found.rows
    if rows is None or other is None:
        raise DataError(f"{what} needs the training data, which a file or a pickle does not carry: fit again")
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_data(rows), _data(other), strict=True)):
        raise DataError("both estimators must be fitted to the same data and columns")
    if isinstance(rows, Rows) and not np.array_equal(_group_of(rows), _group_of(other)):
        raise DataError("both estimators must be fitted to the same groups")
    if rows.w is not None or other.w is not None:
        raise DataError(f"{what} takes no weights: fit without them")
    return a, b, rows, other


def compare(
    *fits: Any,
    names: Sequence[str] | None = None,
    cov: str | None = "auto",
    below: str = "std_error",
) -> Comparison:
    """Several fits of the same rows side by side: coefficients by expert, log-likelihood, AIC, BIC.

    Parameters
    ----------
    *fits : estimators
        Fitted on the same rows, responses and weights.
    names : sequence of str, optional
        What they are called; "(1)", "(2)", ... unless told.
    cov : str or None
        As in `summary`.
    below : {"std_error", "p", "none"}
        What stands below an estimate, whose stars say how small p is.

    Returns
    -------
    Comparison
        As text one table of at most a hundred columns; ``coefficients`` and ``fits`` are tables.

    Examples
    --------
    >>> from moestro import MoERegressor, compare, load_dataset
    >>> tone = load_dataset("tone")
    >>> how = {"data": tone, "random_state": 0}
    >>> one, two = (MoERegressor.from_formula("tuned ~ stretchratio", n_experts=k, **how) for k in (1, 2))
    >>> compare(one, two).fits["df"]
    [3, 8]
    """
    names = [f"({i})" for i in range(1, len(fits) + 1)] if names is None else list(names)
    models = _models(fits)
    refuse_different(models, names)
    return comparison(models, [fit._trusted(cov)[0] for fit in fits], names, below)


def _models(fits: Sequence[Any]) -> list[Any]:
    for fit in fits:
        if not isinstance(fit, Trust):
            raise DataError(f"only fitted estimators can be compared, got {type(fit).__name__}")
    return [fit._fitted() for fit in fits]


def _data(rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the experts, columns of the gate, response."""
    x = rows.inputs if isinstance(rows, Rows) else rows.x
    return x, x if rows.z is None else rows.z, rows.y


def _group_of(rows: Rows) -> np.ndarray:
    """The group of each row, or the row itself."""
    return np.arange(rows.n) if rows.groups is None else rows.groups.of_rows


def _comparable(smaller: Any, larger: Any) -> None:
    """Refuse models of which the first is not the second with fewer experts."""
    a, b = smaller._fitted(), larger._fitted()
    if type(a) is not type(b):
        raise DataError("both estimators must be of one kind")
    if smaller._found.penalised is not None or larger._found.penalised is not None:
        raise DataError("penalised fits have no likelihood-ratio test")
    if isinstance(a, FittedModel):
        m, o = a.fit.model, b.fit.model
        if not (m.constraints.symmetric and o.constraints.symmetric):
            raise DataError(
                "numbers of experts are compared where all experts are alike: fit without known experts and "
                "without values fixed for one expert"
            )
        held, other = ((c.common, c.held, c.variances) for c in (m.constraints, o.constraints))
        same = (m.gate, m.family, m.q, m.p, held) == (o.gate, o.family, o.q, o.p, other)
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

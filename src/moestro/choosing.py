"""Fits of several numbers of experts, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .api import WORDS, fit_formula, fit_located_design
from .design.by_formula import Given, read_formula
from .errors import DataError
from .gates import make_gate
from .inference.stepwise import check_stepwise, with_p
from .located import LocatedFit
from .search import Options
from .selection import CRITERIA, Choice, Dendrogram
from .selection.choice import numbers_of_experts
from .selection.located import specifications
from .summary import sweep_text
from .threads import thread_count


@dataclass(frozen=True)
class Selection:
    """What `select_experts` returns.

    Attributes
    ----------
    table : Table
        One row a fit: number of experts, parameters, log-likelihood, every criterion, status, chosen; for
        located models also the model, its degree and its blocks.
    best : FittedModel or LocatedFit
        The chosen fit.
    models : dict of int to FittedModel or LocatedFit
        Fits by their number of experts; of several located models the one with the smallest BIC.
    choice : Choice
        The criterion, and the account of a slope heuristic.
    tree : Dendrogram or None
    """

    table: Any
    best: Any
    models: dict[int, Any]
    choice: Choice
    tree: Dendrogram | None = None

    def __str__(self) -> str:
        return sweep_text(self.table)


def select_experts(
    formula: str,
    data: Any,
    *,
    model: str = "softmax",
    family: str = "gaussian",
    n_experts: Sequence[int] = range(1, 7),
    criterion: str = "bic",
    random_state: int | None = None,
    n_jobs: int | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    gate_at: str = "constant",
    offset: str | None = None,
    missing: str = "error",
    blrt: int | None = None,
    **how: Any,
) -> Selection:
    """Fit a range of numbers of experts, each also from the fit before it, and choose one.

    Parameters
    ----------
    formula : str
        "y ~ x1 + x2 | z1": experts' part, gate's part (left out: the same).
    data : frame or mapping of columns
    model : {"softmax", "located"}
        Experts behind a softmax gate (or another one, by ``gate``), or Gaussian-gated experts of
        `moestro.located`.
    family : str
        Of softmax-gated experts, as in `MoERegressor`, or "multinomial"; located ones are Gaussian.
    n_experts : sequence of int
    criterion : {"bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"}
        "dendrogram" fits the largest number only, and merges.
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.
    sample_weight : str or array-like of shape (n,), optional
    groups : str or array-like of shape (n,), optional
        Of softmax-gated models: the column, or the ids, of rows that share their expert.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group, as in `MoERegressor`.
    offset : str, optional
        Of softmax-gated models: the column of an offset, the same as ``+ offset(column)`` in the formula.
    missing : {"error", "drop", "marginal"}
        Rows with a missing value are refused, left out, or, of located models, taken with what they have.
    blrt : int or None
        Without weights: replicates of the parametric bootstrap likelihood-ratio test of k - 1
        experts against k, whose p value is a column of the table; see `bootstrap_test`. None where the sweep
        has no usable fit of k - 1 experts of the same model.
    **how
        For softmax ``shared_variance``, ``gate``, ``top_k``, ``rank_on``, ``common``, ``fixed``,
        ``order_by``, ``reference_expert``, ``variances`` of `MoERegressor`; for located models ``direction``,
        ``covariance``, ``gate_covariance``, ``tied``, ``degree``, ... of `LocatedMoERegressor`: of lists,
        every combination is fitted.

    Returns
    -------
    Selection

    Examples
    --------
    >>> from moestro import load_dataset, select_experts
    >>> tone = load_dataset("tone")
    >>> chosen = select_experts("tuned ~ stretchratio", tone, n_experts=range(1, 4), random_state=0)
    >>> chosen.best.fit.model.k
    3
    >>> ethanol = load_dataset("ethanol")
    >>> how = {"model": "located", "degree": [1, 2], "n_experts": range(1, 4), "random_state": 0}
    >>> located = select_experts("nox ~ equivalence", ethanol, **how)
    >>> located.best.k, located.best.specification.degree
    (3, 2)
    """
    ks, options = numbers_of_experts(n_experts), Options(seed=random_state, threads=thread_count(n_jobs))
    if blrt is not None:
        if criterion == "dendrogram":
            raise DataError("blrt tests the fits of a sweep, and a dendrogram makes none: leave it out")
        check_stepwise(blrt, sample_weight is not None)
    given = Given(sample_weight, groups, offset, missing, gate_at=gate_at)
    if model == "located":
        if family != "gaussian":
            raise DataError(f"located experts are Gaussian: family={family!r} needs model='softmax'")
        search = {n: how.pop(n) for n in ("n_starts", "tol", "max_iter", "rank_by") if n in how}
        chosen = {n: how.pop(n) for n in ("contrast", "n_folds") if n in how}
        rows = read_formula(formula, data, given, located=True)
        how["missing"] = missing if missing == "marginal" else "error"
        found = fit_located_design(
            rows, specifications(**how), ks, replace(options, **search), criterion=criterion, **chosen
        )
        best: dict[int, Any] = {}
        for fit in found.sweep.fits:
            if fit.k not in best or _better(fit, best[fit.k]):
                best[fit.k] = fit
        table = with_p(found.sweep.table(), found.sweep.fits, found.rows, blrt, random_state, options.threads)
        return Selection(table, found.sweep.chosen, best, found.sweep.choice, found.sweep.tree)
    if model != "softmax":
        raise DataError(f"model={model!r} is unknown: choose softmax or located")
    known = ("shared_variance", "gate", "top_k", "rank_on", *WORDS)
    unknown = sorted(set(how) - set(known))
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is not an option of select_experts: the options are {', '.join(known)}"
        )
    shared = how.pop("shared_variance", False)
    held = {name: how.pop(name) for name in WORDS if name in how}
    result = fit_formula(
        formula, data, family, ks, options, given, shared_variance=shared,
        gate=make_gate(**{"gate": "softmax", **how}), criterion=criterion, constraints=held,
    )  # fmt: skip
    models: dict[int, Any] = {
        f.model.k: replace(result.model, fit=f, covariances={}) for f in result.sweep.fits
    }
    table = with_p(result.sweep.table(), result.sweep.fits, result.rows, blrt, random_state, options.threads)
    return Selection(table, result.model, models, result.sweep.choice, result.sweep.tree)


def _better(a: LocatedFit, b: LocatedFit) -> bool:
    return (a.status.usable, -CRITERIA["bic"](a)) > (b.status.usable, -CRITERIA["bic"](b))

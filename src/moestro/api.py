"""From a design and its data to a fitted model: what the estimators and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .design import Design, FormulaDesign
from .design.groups import group_ids, refuse_groups
from .design.response import check_weights, encode_classes, numeric_response
from .errors import DataError
from .experts import Family, make_family
from .fitted import FittedModel
from .gates import Gate, make_gate
from .located import LocatedFit, Specification
from .model import Model
from .rows import Rows, read
from .search import Fit, Options
from .selection import CRITERIA, Choice, Dendrogram, LocatedModels, Mixtures, Sweep, sweep
from .selection.choice import SLOPES, check_criterion
from .selection.located import with_options
from .selection.sweep import FOLDS
from .threads import thread_count


@dataclass(frozen=True)
class Result:
    """A fitted model, the rows it was fitted on, and the sweep over k that chose it."""

    model: FittedModel
    rows: Rows
    sweep: Sweep


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
        return str(self.table)


def fit_design(
    design: Design,
    x: np.ndarray,
    z: np.ndarray | None,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Family,
    ks: Sequence[int],
    options: Options,
    *,
    gate: str | Gate = "softmax",
    top_k: int | None = None,
    rank_on: str = "score",
    criterion: str = "bic",
    response: str = "y",
    classes: tuple = (),
    groups: Any = None,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> Result:
    """Fit every k in `ks` and choose by `criterion`. Arrays and groups as in `rows.read`."""
    made = make_gate(gate, top_k, rank_on)
    rows, units = read(design, x, z, y, w, family, response, classes, made.scaling, groups)
    largest = Model(made, family, max(ks, default=1), rows.q, rows.p)
    found = sweep(Mixtures(largest, rows), ks, options, criterion, started, finished)
    return Result(FittedModel(design, units, found.chosen), rows, found)


def number_of_experts(n_experts: Any, max_experts: Any) -> tuple[list[int], str]:
    """Numbers of experts to fit and the criterion among them, from what an estimator was given.

    `max_experts` None is 6, or 12 for slope heuristics, which learn the penalty from models that are clearly
    too large.
    """
    if isinstance(n_experts, str):
        n_experts = check_criterion(n_experts, "n_experts")
        if max_experts is None:
            max_experts = 12 if n_experts in SLOPES else 6
        return list(range(1, int(max_experts) + 1)), n_experts
    if not isinstance(n_experts, int | np.integer) or isinstance(n_experts, bool) or n_experts < 1:
        raise DataError(f"n_experts must be a whole number of at least 1, or a criterion, got {n_experts!r}")
    return [int(n_experts)], "bic"


def fit_formula(
    formula: str,
    data: Any,
    family: str,
    ks: Sequence[int],
    options: Options,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    shared_variance: bool = False,
    **how: Any,
) -> Result:
    """Fit "y ~ experts | gate" on a frame; `groups` is a column's name or ids (n,)."""
    design = FormulaDesign.learn(formula, data)
    x, z = design.matrices(data)
    design, raw = design.learn_response(data)
    classes: tuple = ()
    if family == "multinomial":
        y, classes = encode_classes(raw)
    else:
        y = numeric_response(raw, design.response)
    w = check_weights(sample_weight, len(y))
    made = make_family(family, classes=len(classes), shared_variance=shared_variance)
    ids = group_ids(groups, data)
    return fit_design(
        design, x, z, y, w, made, ks, options, response=design.response, classes=classes, groups=ids, **how
    )


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
    family : {"gaussian", "multinomial", "poisson"}
        Of softmax-gated experts; located ones are Gaussian.
    n_experts : sequence of int
    criterion : {"bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"}
        "dendrogram" fits the largest number only, and merges.
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.
    sample_weight : array-like of shape (n,), optional
    groups : str or array-like of shape (n,), optional
        Of softmax-gated models: the column, or the ids, of rows that share their expert.
    **how
        For softmax ``shared_variance``, ``gate``, ``top_k``, ``rank_on``; for located models ``direction``,
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
    if model == "located":
        if family != "gaussian":
            raise DataError(f"located experts are Gaussian: family={family!r} needs model='softmax'")
        refuse_groups(groups, "a located model")
        return _select_located(
            formula, data, list(n_experts), criterion, random_state, thread_count(n_jobs), sample_weight, how
        )
    if model != "softmax":
        raise DataError(f"model={model!r} is unknown: choose softmax or located")
    known = ("shared_variance", "gate", "top_k", "rank_on")
    unknown = sorted(set(how) - set(known))
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is not an option of select_experts: the options are {', '.join(known)}"
        )
    options = Options(seed=random_state, threads=thread_count(n_jobs))
    result = fit_formula(
        formula,
        data,
        family,
        list(n_experts),
        options,
        sample_weight=sample_weight,
        groups=groups,
        criterion=criterion,
        **how,
    )
    design, units = result.model.design, result.model.units
    models: dict[int, Any] = {f.model.k: FittedModel(design, units, f) for f in result.sweep.fits}
    return Selection(result.sweep.table(), result.model, models, result.sweep.choice, result.sweep.tree)


def _select_located(
    formula: str,
    data: Any,
    ks: list[int],
    criterion: str,
    seed: int | None,
    threads: int,
    sample_weight: Any,
    how: dict[str, Any],
) -> Selection:
    design = FormulaDesign.learn(formula, data)
    x, z = design.matrices(data)
    if z is not None:
        raise DataError("located experts have one set of columns: leave out the gate's part after '|'")
    y = numeric_response(design.read_response(data), design.response)
    contrast, n_folds = how.pop("contrast", "joint"), how.pop("n_folds", FOLDS)
    fitting = {n: how.pop(n) for n in ("n_starts", "tol", "max_iter", "rank_by") if n in how}
    options = Options(seed=seed, threads=threads, **fitting)
    known = {f.name for f in fields(Specification)}
    unknown = sorted(set(how) - known)
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is not an option of a located model: the options are {', '.join(sorted(known))}"
        )
    blocks = {"blocks": how.pop("blocks")} if "blocks" in how else {}
    lists = {n: list(v) if isinstance(v, list | tuple) else [v] for n, v in how.items()}
    specifications = [replace(s, **blocks) for s in with_options(Specification(), **lists)]
    w = check_weights(sample_weight, len(y))
    models = LocatedModels(x, y, specifications, w, contrast)
    found = sweep(models, ks, options, criterion, n_folds=n_folds)
    best: dict[int, Any] = {}
    for fit in found.fits:
        if fit.k not in best or _better(fit, best[fit.k]):
            best[fit.k] = fit
    return Selection(found.table(), found.chosen, best, found.choice, found.tree)


def _better(a: LocatedFit, b: LocatedFit) -> bool:
    return (a.status.usable, -CRITERIA["bic"](a)) > (b.status.usable, -CRITERIA["bic"](b))

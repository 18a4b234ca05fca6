"""Estimators that choose the strength, its ratio between gate and experts, and the number of experts
together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..design import Observations
from ..errors import DataError
from ..penalised import N_ALPHAS
from ..penalties import Penalty, make_penalty
from ..selection.choice import numbers_of_experts
from ..tables import Table
from .found import Found
from .helpers import seed_of
from .kinds import Classifier, SoftmaxRegressor
from .penalised import fit_at, found_of


def choose_together(estimator: Any, data: Observations) -> Found:
    """Every number of experts and every ratio has a path, and one criterion chooses among all fits."""
    criterion, seed = estimator.criterion, seed_of(estimator.random_state)
    tried = _candidates(estimator.n_experts, estimator.gate_ratios, make_penalty(estimator.penalty))
    cv = list(estimator.cv) if isinstance(estimator.cv, Iterator) else estimator.cv  # read by every path
    results = [
        fit_at(estimator, data, k, p, seed, alphas=estimator.alphas, criterion=criterion, folds=cv)
        for k, p in tried
    ]
    fits = [found for _, found in results]
    values = [float(f.table[criterion][f.index]) for f in fits]
    best = min(range(len(fits)), key=lambda i: (not fits[i].fit.status.usable, values[i]))
    selection = Table(
        {
            "k": [k for k, _ in tried],
            "gate_ratio": [getattr(p, "gate_ratio", None) for _, p in tried],
            "alpha": [f.alpha for f in fits],
            "columns": [f.table["columns"][f.index] for f in fits],
            "df": [f.fit.n_parameters for f in fits],
            "log_likelihood": [f.fit.log_likelihood for f in fits],
            criterion: values,
            "status": [str(f.fit.status.kind) for f in fits],
            "chosen": [i == best for i in range(len(fits))],
        }
    )
    return replace(found_of(*results[best]), selection=selection)


def _candidates(n_experts: Any, gate_ratios: Any, penalty: Penalty) -> list[tuple[int, Penalty]]:
    ks, ratios = numbers_of_experts(n_experts), [float(r) for r in np.atleast_1d(gate_ratios)]
    if not ratios:
        raise DataError("gate_ratios needs at least one value")
    if hasattr(penalty, "gate_ratio"):
        return [(k, replace(penalty, **{"gate_ratio": r})) for k in ks for r in ratios]
    if len(ratios) > 1:
        raise DataError(f"{type(penalty).__name__} has no gate_ratio: leave gate_ratios out")
    return [(k, penalty) for k in ks]


class MoERegressorCV(SoftmaxRegressor):
    """`MoERegressor` with a penalty whose strength, ratio and number of experts are chosen.

    Parameters
    ----------
    n_experts : int or sequence of int, default=(1, 2, 3)
    penalty : str or Penalty, default="l1"
        As in `MoERegressor`; a penalty with a strength of its own keeps it.
    alphas : int or sequence of float, default=50
        Strengths, or how many from the smallest one at which all is zero.
    gate_ratios : sequence of float, default=(1.0,)
        Ratios of the gate's strength to the experts' to try.
    criterion : {"cv", "ebic", "bic", "aic"}, default="cv"
        Held-out log-likelihood, or a criterion of the fits; "bic" counts slopes that are not zero (the
        modified BIC), "ebic" also how many there were to choose from.
    cv : int, splitter or iterable of (train, test), default=5
        Folds; a number draws them at random.
    formula, family, shared_variance, gate_transform, gate_features, expert_features
    tol, random_state, n_jobs, verbose, missing
        As in `MoERegressor`.

    Attributes
    ----------
    alpha_, n_experts_, path_, selected_, support_
        What was chosen.
    selection_ : Table
        One row a number of experts and a ratio, each at its best strength.

    Examples
    --------
    >>> from moestro import MoERegressorCV, load_dataset
    >>> tone = load_dataset("tone")
    >>> how = {"n_experts": (1, 2), "criterion": "bic", "random_state": 0}
    >>> moe = MoERegressorCV.from_formula("tuned ~ stretchratio", tone, **how)
    >>> moe.n_experts_
    2
    """

    def __init__(
        self,
        n_experts: Any = (1, 2, 3),
        *,
        formula: str | None = None,
        penalty: Any = "l1",
        alphas: Any = N_ALPHAS,
        gate_ratios: Any = (1.0,),
        criterion: str = "cv",
        cv: Any = 5,
        family: Any = "gaussian",
        shared_variance: bool = False,
        gate_transform: Any = None,
        gate_features: Any = None,
        expert_features: Any = None,
        tol: float | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        missing: str = "error",
    ):
        self.n_experts = n_experts
        self.formula = formula
        self.penalty = penalty
        self.alphas = alphas
        self.gate_ratios = gate_ratios
        self.criterion = criterion
        self.cv = cv
        self.family = family
        self.shared_variance = shared_variance
        self.gate_transform = gate_transform
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.missing = missing

    def _estimate(self, data: Observations) -> Found:
        return choose_together(self, data)


class MoEClassifierCV(Classifier):
    """`MoEClassifier` with a penalty whose strength, ratio and number of experts are chosen: parameters as in
    `MoERegressorCV`.

    Examples
    --------
    >>> from moestro import MoEClassifierCV, load_dataset
    >>> voters = load_dataset("voters")
    >>> formula = "party ~ left_right + income + age + education"
    >>> moe = MoEClassifierCV.from_formula(formula, voters, n_experts=1, criterion="bic", random_state=0)
    >>> moe.selected_
    ['left_right', 'income', 'education']
    """

    def __init__(
        self,
        n_experts: Any = (1, 2, 3),
        *,
        formula: str | None = None,
        penalty: Any = "l1",
        alphas: Any = N_ALPHAS,
        gate_ratios: Any = (1.0,),
        criterion: str = "cv",
        cv: Any = 5,
        gate_transform: Any = None,
        gate_features: Any = None,
        expert_features: Any = None,
        tol: float | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        missing: str = "error",
    ):
        self.n_experts = n_experts
        self.formula = formula
        self.penalty = penalty
        self.alphas = alphas
        self.gate_ratios = gate_ratios
        self.criterion = criterion
        self.cv = cv
        self.gate_transform = gate_transform
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.missing = missing

    def _estimate(self, data: Observations) -> Found:
        return choose_together(self, data)

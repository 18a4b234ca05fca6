"""Estimators that choose the strength, its ratio between gate and experts, and the number of experts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..api import PenalisedResult
from ..errors import DataError
from ..penalised import N_ALPHAS
from ..penalties import Penalty
from ..tables import Table
from .classifier import MoEClassifier
from .regressor import MoERegressor


class ChosenTogether:
    """Mixin: every number of experts and every ratio has a path, and one criterion chooses among all fits."""

    n_experts: Any
    gate_ratios: Sequence[float]
    alphas: Any
    criterion: str
    cv: Any
    # What a penalised fit has no use for.
    max_experts = None
    gate = "softmax"
    top_k = None
    rank_on = "score"
    solver = "auto"
    engine = "auto"
    n_starts = "auto"
    max_iter = None

    def _choose_penalised(self, penalty: Penalty, fit: Callable[..., PenalisedResult]) -> PenalisedResult:
        ks = [self.n_experts] if np.ndim(self.n_experts) == 0 else list(self.n_experts)
        for k in ks:
            if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
                raise DataError(f"n_experts must be whole numbers of at least 1, got {k!r}")
        ratios = [float(r) for r in np.atleast_1d(self.gate_ratios)]
        if not ks or not ratios:
            raise DataError("n_experts and gate_ratios need at least one value each")
        if not hasattr(penalty, "gate_ratio"):
            if len(ratios) > 1:
                raise DataError(f"{type(penalty).__name__} has no gate_ratio: leave gate_ratios out")
            ratios = []
        tried = (
            [(int(k), replace(penalty, **{"gate_ratio": r})) for k in ks for r in ratios]
            if ratios
            else [(int(k), penalty) for k in ks]
        )
        results = [fit(k, p, alphas=self.alphas, criterion=self.criterion, folds=self.cv) for k, p in tried]
        values = [float(r.found.table[self.criterion][r.found.index]) for r in results]
        usable = [r.found.fit.status.usable for r in results]
        best = min(range(len(results)), key=lambda i: (not usable[i], values[i]))
        self._tried = Table(
            {
                "k": [k for k, _ in tried],
                "gate_ratio": [getattr(p, "gate_ratio", None) for _, p in tried],
                "alpha": [r.found.alpha for r in results],
                "columns": [r.found.table["columns"][r.found.index] for r in results],
                "df": [r.found.fit.n_parameters for r in results],
                "log_likelihood": [r.found.fit.log_likelihood for r in results],
                self.criterion: values,
                "status": [str(r.found.fit.status.kind) for r in results],
                "chosen": [i == best for i in range(len(results))],
            }
        )
        return results[best]

    def _store_penalised(self, result: PenalisedResult) -> None:
        super()._store_penalised(result)  # type: ignore[misc]
        self.selection_ = self._tried


class MoERegressorCV(ChosenTogether, MoERegressor):
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
        Held-out log-likelihood, or a criterion of the fits; "bic" counts slopes that are not zero (the modified BIC), "ebic" also how many
        there were to choose from.
    cv : int, splitter or iterable of (train, test), default=5
        Folds; a number draws them at random.
    family, shared_variance, gate_transform, gate_features, expert_features, random_state, n_jobs, verbose
        As in `MoERegressor`.

    Attributes
    ----------
    alpha_, n_experts_, path_, selected_
        What was chosen.
    selection_ : Table
        One row a number of experts and a ratio, each at its best strength.

    Examples
    --------
    >>> from moestro import MoERegressorCV, load_dataset
    >>> tone = load_dataset("tone")
    >>> moe = MoERegressorCV.from_formula("tuned ~ stretchratio", tone, n_experts=(1, 2), criterion="bic", random_state=0)
    >>> moe.n_experts_
    2
    """

    def __init__(
        self,
        n_experts: Any = (1, 2, 3),
        *,
        penalty: Any = "l1",
        alphas: Any = N_ALPHAS,
        gate_ratios: Any = (1.0,),
        criterion: str = "cv",
        cv: Any = 5,
        family: str = "gaussian",
        shared_variance: bool = False,
        gate_transform: Any = None,
        gate_features: Any = None,
        expert_features: Any = None,
        tol: float = 1e-9,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_experts = n_experts
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


class MoEClassifierCV(ChosenTogether, MoEClassifier):
    """`MoEClassifier` with a penalty whose strength, ratio and number of experts are chosen: parameters as in `MoERegressorCV`.

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
        penalty: Any = "l1",
        alphas: Any = N_ALPHAS,
        gate_ratios: Any = (1.0,),
        criterion: str = "cv",
        cv: Any = 5,
        gate_transform: Any = None,
        gate_features: Any = None,
        expert_features: Any = None,
        tol: float = 1e-9,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_experts = n_experts
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

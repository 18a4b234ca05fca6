"""What the estimators share: validate, call, store. No numerics here."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from ..api import Result, check_weights, fit_design, number_of_experts
from ..design import ArrayDesign, FormulaDesign
from ..errors import DataError
from ..experts import Family
from ..fitted import FittedModel
from ..inference import KINDS, Covariance, bootstrap, covariance
from ..measure import MixingMeasure
from ..search import Evidence, Options
from ..selection import Dendrogram
from ..solvers import Status
from ..summary import glance, summary_text, tidy
from ..tables import Table
from ..threads import thread_count
from .helpers import printer, refuse_columns_beside_a_formula, refuse_text, seed_of, warn_if_weak
from .penalised import PenalisedFits


class MoEBase(PenalisedFits, BaseEstimator, metaclass=ABCMeta):
    """Mixture of experts behind scikit-learn's interface."""

    n_experts: int | str
    max_experts: int | None
    gate: Any
    top_k: int | None
    rank_on: str
    gate_transform: Any
    gate_features: Any
    expert_features: Any
    penalty: Any
    solver: str
    engine: str
    n_starts: int | str
    rank_by: str
    tol: float
    max_iter: int | None
    random_state: Any
    n_jobs: int | None
    verbose: int
    n_features_in_: int

    @abstractmethod
    def _encode(self, y: np.ndarray, fitting: bool, name: str = "y") -> np.ndarray:
        """y (n,) as floats the family understands; learns classes when fitting."""

    @abstractmethod
    def _family(self, y: np.ndarray) -> Family:
        """Family of experts for the encoded y."""

    @property
    def _classes(self) -> tuple:
        return ()

    # Fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
            Real-valued, at least 0: weight 0 is a deleted row, weight 2 a row written twice.

        Returns
        -------
        self
        """
        refuse_text(X)
        X, y = self._validate(X, y)
        names = getattr(self, "feature_names_in_", None)
        labels = [f"x{j}" for j in range(X.shape[1])] if names is None else [str(n) for n in names]
        encoded = self._encode(y, fitting=True)
        design = ArrayDesign.learn(X, labels, self.expert_features, self.gate_features, self.gate_transform)
        x, z = design.matrices(X)
        return self._fit(design, x, z, encoded, sample_weight, "y")

    def _validate(self, X: Any, y: Any) -> Any:
        return validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=not self._is_classifier(),
            accept_sparse=self._accepts(),
        )  # fmt: skip

    def _accepts(self) -> Any:
        """Sparse formats that fit and predict take: a penalised fit never makes them dense."""
        return False if self.penalty is None else ["csc", "csr"]

    def _is_classifier(self) -> bool:
        return getattr(self, "_estimator_type", "") == "classifier" or hasattr(self, "predict_proba")

    @classmethod
    def from_formula(cls, formula: str, data: Any, *, sample_weight: Any = None, **parameters: Any) -> Self:
        """Fit "y ~ experts' columns | gate's columns" on a frame, and return the fitted estimator.

        Parameters
        ----------
        formula : str
            As in R: ``y ~ x1 + log(x2) + C(region) | z1``. Without ``|`` the gate has the experts' columns;
            ``| 1`` makes it constant.
        data : frame (pandas, polars, pyarrow, ...) or mapping of columns
        sample_weight : array-like of shape (n,), optional
        **parameters
            Of the estimator. `predict` and the others then take frames with the same columns.
        """
        self = cls(**parameters)
        refuse_columns_beside_a_formula(self)
        design = FormulaDesign.learn(formula, data)
        x, z = design.matrices(data)
        y = self._encode(design.read_response(data), fitting=True, name=design.response)
        self.n_features_in_ = len(
            set(design.experts.variables) | set(design.gate_side.variables if design.gate_side else ())
        )
        return self._fit(design, x, z, y, sample_weight, design.response)

    def _fit(
        self,
        design: ArrayDesign | FormulaDesign,
        x: np.ndarray,
        z: np.ndarray | None,
        y: np.ndarray,
        sample_weight: Any,
        response: str,
    ) -> Self:
        w = check_weights(sample_weight, len(y))
        if self.penalty is not None:
            return self._fit_penalised(design, x, z, y, w, response)
        ks, criterion = number_of_experts(self.n_experts, self.max_experts)
        options = Options(
            solver=self.solver,
            engine=self.engine,
            n_starts=self.n_starts,
            rank_by=self.rank_by,
            tol=self.tol,
            max_iter=self.max_iter,
            seed=seed_of(self.random_state),
            threads=thread_count(self.n_jobs),
            progress=printer() if self.verbose else None,
        )
        family = self._family(y)
        family.check_response(y if w is None else y[w > 0])
        result = fit_design(
            design, x, z, y, w, family, ks, options, gate=self.gate, top_k=self.top_k, rank_on=self.rank_on, criterion=criterion, response=response,
            classes=self._classes,
        )  # fmt: skip
        self._store(result)
        return self

    def _store(self, result: Result) -> None:
        fit = result.model.fit
        self._model, self._rows = result.model, result.rows
        self.n_experts_ = fit.model.k
        self.n_iter_ = max(fit.n_iter, 1)
        self.selection_ = result.sweep.table()
        self.slope_ = result.sweep.choice.slope
        self._tree = result.sweep.tree
        if self.n_starts == "auto":
            warn_if_weak(fit.evidence)

    # What was found

    @property
    def measure_(self) -> MixingMeasure:
        """Mixing measure in the user's units."""
        return self._fitted().measure

    @property
    def log_likelihood_(self) -> float:
        """Maximised total log-likelihood in the user's units."""
        return self._fitted().fit.log_likelihood

    @property
    def n_parameters_(self) -> int:
        """Free parameters."""
        return self._fitted().fit.n_parameters

    @property
    def status_(self) -> Status:
        """How the fit ended."""
        return self._fitted().fit.status

    @property
    def history_(self) -> Table:
        """One row an iteration of the final polish."""
        return self._fitted().fit.history

    @property
    def starts_(self) -> Table:
        """One row a start: strategy, rows, log-likelihood, iterations, status."""
        return self._fitted().fit.starts

    @property
    def search_(self) -> Evidence | None:
        """How sure the search is of its best optimum; None for penalised fits."""
        return self._fitted().fit.evidence

    @property
    def dendrogram_(self) -> Dendrogram | None:
        """The merges of the over-specified fit, with its measures in the user's units, for n_experts="dendrogram"."""
        fitted = self._fitted()
        return None if self._tree is None else fitted.in_user_units(self._tree)

    @property
    def aic_(self) -> float:
        return self._fitted().criterion("aic")

    @property
    def bic_(self) -> float:
        return self._fitted().criterion("bic")

    @property
    def icl_(self) -> float:
        return self._fitted().criterion("icl")

    def _fitted(self) -> FittedModel:
        check_is_fitted(self, "_model")
        return self._model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    # Prediction

    def _matrices(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        model = self._fitted()
        if isinstance(model.design, FormulaDesign):
            return model.design.matrices(X)
        refuse_text(X)
        checked: Any = validate_data(self, X, dtype=np.float64, reset=False, accept_sparse=self._accepts())
        return model.design.matrices(checked)

    def _with_response(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        x, z = self._matrices(X)
        y = np.asarray(y)
        if y.shape != (x.shape[0],):
            raise DataError(f"y has shape {y.shape}, expected ({x.shape[0]},)")
        return x, z, self._encode(y, fitting=False)

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        return np.exp(self._fitted().log_gate(*self._matrices(X)))

    def responsibilities(self, X: Any, y: Any) -> np.ndarray:
        """Posterior probability of each expert given (x, y), shape (n, k)."""
        joint = self._fitted().log_joint(*self._with_response(X, y))
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def log_density(self, X: Any, y: Any) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,)."""
        return np.logaddexp.reduce(self._fitted().log_joint(*self._with_response(X, y)), axis=1)

    # Trust

    def inference(
        self, cov: str = "observed", *, n_bootstrap: int = 100, random_state: int | None = None
    ) -> Table:
        """Coefficient table with standard errors and 95 % intervals, computed from the training data.

        Parameters
        ----------
        cov : {"observed", "sandwich", "bootstrap"}
            Inverse observed information; robust to a wrong model; refits with random weights.
        n_bootstrap : int
        random_state : int or None
            Of the bootstrap.

        Returns
        -------
        Table
            component, part, (outcome,) term, estimate, se, z, p, low, high, note. Where the information is
            singular there is no number, and ``note`` says so.
        """
        return tidy(self._fitted(), self._covariance(cov, n_bootstrap, random_state))

    def _covariance(self, cov: str, n_bootstrap: int = 100, random_state: int | None = None) -> Covariance:
        model = self._fitted()
        if self.penalty is not None:
            raise DataError(
                "a penalised fit has no standard errors: its slopes are shrunk and were chosen from the same data"
            )
        if getattr(self, "_rows", None) is None:
            raise DataError(
                "standard errors need the training data, which a saved estimator does not carry: fit again"
            )
        if cov not in KINDS:
            raise DataError(f"cov={cov!r} is unknown: choose one of {', '.join(KINDS)}")
        threads = thread_count(self.n_jobs)
        if cov == "bootstrap":
            return bootstrap(model.fit, self._rows, n_bootstrap, random_state, self.engine, threads)
        return covariance(model.fit, self._rows, cov, self.engine, threads)

    def summary(self, cov: str | None = None) -> str:
        """The fit as text; with `cov` the coefficients have standard errors."""
        return summary_text(self._fitted(), None if cov is None else self._covariance(cov))

    def tidy(self) -> Table:
        """One row a coefficient, in the user's units."""
        return tidy(self._fitted())

    def glance(self) -> Table:
        """One row about the fit."""
        return glance(self._fitted())

    # File

    def save(self, path: Any) -> None:
        """Write the fitted model as JSON; `moestro.load_model` and `moestro predict` read it."""
        self._fitted().save(path)

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {k: v for k, v in state.items() if k != "_rows"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.penalty is not None
        return tags

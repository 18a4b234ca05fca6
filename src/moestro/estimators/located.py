"""Gaussian-gated experts behind scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..api import number_of_experts
from ..design import FormulaDesign
from ..design.response import check_weights, numeric_response
from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..located import LocatedFit, LocatedLaw, LocatedMeasure, Specification
from ..search import Options
from ..selection import CRITERIA, Dendrogram, sweep_located
from ..selection.located import with_options
from ..solvers import Status
from ..tables import Table
from ..threads import thread_count
from .helpers import refuse_text, seed_of


class LocatedMoERegressor(RegressorMixin, BaseEstimator):
    """Gaussian-gated (located) experts, by maximum joint likelihood.

    .. math:: p(x, y) = \\sum_i \\pi_i N(x; c_i, \\Gamma_i) N(y; A_i x + b_i, \\Sigma_i)

    One or several responses; prediction in both directions.

    Parameters
    ----------
    n_experts : int or {"bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"}, default=2
        Number of experts, or the criterion that chooses it from 1 to `max_experts`.
    direction : {"direct", "inverse"}, default="direct"
        "inverse" fits experts of x located by y, which have few parameters where x has many columns, and inverts them exactly.
    covariance : {"full", "diagonal", "isotropic", "blocks", "factors"} or a list of them, default="full"
        Of an expert; "blocks" learns its blocks unless `blocks` states them. Of a list the criterion chooses (BIC where `n_experts` is a number).
    gate_covariance : {"full", "diagonal", "isotropic"}, default="full"
    tied, gate_tied : bool, default=False
        One covariance for all experts, for all gates.
    degree : int or a list of int, default=1
        Of the experts' means in x.
    rank : int, default=1
        Latent factors of covariance="factors".
    blocks : list of lists of int, or one such list an expert, or None
    student : bool, default=False
        Student tails.
    max_experts : int or None
        None is 6, or 12 for slope heuristics, which need models that are clearly too large.
    n_starts : int or "auto"
    tol : float, default=1e-8
        Largest mismatch between a moment of the data and of the model, per row, in standardised columns.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads; None means all cores. Results are the same for any number.

    Attributes
    ----------
    measure_ : LocatedMeasure
        From x to y, in the user's units.
    inverse_measure_ : LocatedMeasure
        From y to x: the same joint law.
    fit_ : LocatedFit
    log_likelihood_ : float
        Joint: sum of log p(x, y).
    status_ : Status
    starts_, selection_ : Table
    n_experts_, n_parameters_, n_iter_, n_features_in_ : int
    aic_, bic_, icl_ : float
    dendrogram_ : Dendrogram or None
    slope_ : Djump, DDSE or None
        The account of a slope heuristic.

    Examples
    --------
    >>> from moestro import LocatedMoERegressor, load_dataset
    >>> ethanol = load_dataset("ethanol")
    >>> moe = LocatedMoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts="bic", random_state=0)
    >>> moe.n_experts_
    4
    """

    n_features_in_: int

    def __init__(
        self,
        n_experts: int | str = 2,
        *,
        direction: str = "direct",
        covariance: Any = "full",
        gate_covariance: str = "full",
        tied: bool = False,
        gate_tied: bool = False,
        degree: Any = 1,
        rank: int = 1,
        blocks: Any = None,
        student: bool = False,
        max_experts: int | None = None,
        n_starts: int | str = "auto",
        tol: float = 1e-8,
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.n_experts = n_experts
        self.direction = direction
        self.covariance = covariance
        self.gate_covariance = gate_covariance
        self.tied = tied
        self.gate_tied = gate_tied
        self.degree = degree
        self.rank = rank
        self.blocks = blocks
        self.student = student
        self.max_experts = max_experts
        self.n_starts = n_starts
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    # Fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit by maximum joint likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        self
        """
        refuse_text(X)
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True, multi_output=True
        )
        self._design = None
        return self._fit(X, np.asarray(y, dtype=float), sample_weight)

    @classmethod
    def from_formula(cls, formula: str, data: Any, *, sample_weight: Any = None, **parameters: Any) -> Self:
        """Fit "y ~ x1 + x2" on a frame, and return the fitted estimator. Gate and experts are located by the same columns."""
        self = cls(**parameters)
        design = FormulaDesign.learn(formula, data)
        x, z = design.matrices(data)
        if z is not None:
            raise DataError("located experts have one set of columns: leave out the gate's part after '|'")
        y = numeric_response(design.read_response(data), design.response)
        self._design = design
        self.n_features_in_ = len(set(design.experts.variables))
        return self._fit(x, y, sample_weight)

    def _fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any) -> Self:
        w = check_weights(sample_weight, len(y))
        ks, criterion = number_of_experts(self.n_experts, self.max_experts)
        specifications = self._specifications()
        self._single = y.ndim == 1
        options = Options(
            n_starts=self.n_starts,
            tol=self.tol,
            seed=seed_of(self.random_state),
            threads=thread_count(self.n_jobs),
        )
        found = sweep_located(X, y, ks, specifications, options, criterion, weights=w)
        self.fit_: LocatedFit = found.chosen
        self.selection_: Table = found.table()
        self.dendrogram_: Dendrogram | None = found.tree
        self.slope_ = found.choice.slope
        self.n_experts_ = self.fit_.k
        self.n_iter_ = max(self.fit_.n_iter, 1)
        return self

    def _specifications(self) -> list[Specification]:
        def several(value: Any) -> list[Any]:
            return (
                list(value)
                if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
                else [value]
            )

        out = []
        for covariance in several(self.covariance):
            spec = Specification(
                self.direction, covariance, self.gate_covariance, self.tied, self.gate_tied, 1, self.rank,
                self.blocks if covariance == "blocks" or isinstance(self.covariance, str) else None, self.student,
            )  # fmt: skip
            out += with_options(spec, degree=several(self.degree))
        return out

    # What was found

    @property
    def measure_(self) -> LocatedMeasure:
        """From x to y, in the user's units."""
        return self._fitted().measure

    @property
    def inverse_measure_(self) -> LocatedMeasure:
        """From y to x: the same joint law."""
        fit = self._fitted()
        return fit.fitted if fit.specification.direction == "inverse" else fit.measure.inverse()

    @property
    def log_likelihood_(self) -> float:
        """Maximised joint log-likelihood in the user's units."""
        return self._fitted().log_likelihood

    @property
    def n_parameters_(self) -> int:
        """Free parameters."""
        return self._fitted().n_parameters

    @property
    def status_(self) -> Status:
        """How the fit ended."""
        return self._fitted().status

    @property
    def starts_(self) -> Table:
        """One row a polished start: strategy, log-likelihood, iterations, status."""
        return self._fitted().starts

    @property
    def aic_(self) -> float:
        return CRITERIA["aic"](self._fitted())

    @property
    def bic_(self) -> float:
        return CRITERIA["bic"](self._fitted())

    @property
    def icl_(self) -> float:
        return CRITERIA["icl"](self._fitted())

    def _fitted(self) -> LocatedFit:
        check_is_fitted(self, "fit_")
        return self.fit_

    def glance(self) -> Table:
        """One row about the fit."""
        fit = self._fitted()
        return Table(
            {
                "model": [fit.specification.label],
                "k": [fit.k],
                "n": [fit.weight_sum],
                "log_likelihood": [fit.log_likelihood],
                "df": [fit.n_parameters],
                **{name: [score(fit)] for name, score in CRITERIA.items()},
                "status": [str(fit.status.kind)],
            }
        )

    # Prediction

    def _columns(self, X: Any) -> np.ndarray:
        self._fitted()
        if self._design is not None:
            return self._design.matrices(X)[0]
        refuse_text(X)
        checked: Any = validate_data(self, X, dtype=np.float64, reset=False)
        return checked

    def _response(self, y: Any, n: int) -> np.ndarray:
        y = np.asarray(y, dtype=float)
        q = self.measure_.q
        if y.shape != ((n,) if self._single else (n, q)):
            raise DataError(f"y has shape {y.shape}, expected {(n,) if self._single else (n, q)}")
        return y

    def predict(self, X: Any) -> np.ndarray:
        """E[Y | x], shape (n,) or (n, q)."""
        mean = self._law(self._columns(X)).mean()
        return mean[:, 0] if self._single else mean

    def predict_distribution(self, X: Any) -> PredictiveDistribution | LocatedLaw:
        """The law of Y at each row: with quantiles for a single response, with covariances for several."""
        law = self._law(self._columns(X))
        return law.single() if self._single else law

    def predict_inverse(self, y: Any) -> np.ndarray:
        """E[X | y], shape (n, d)."""
        return self.inverse_distribution(y).mean()

    def inverse_distribution(self, y: Any) -> LocatedLaw:
        """The law of X at each response: mean, covariance, log-density, sample. For experts of degree 1."""
        self._fitted()
        y = np.asarray(y, dtype=float)
        return self.inverse_measure_.law(self._response(y, len(y)).reshape(len(y), -1))

    def _law(self, x: np.ndarray) -> LocatedLaw:
        return self.measure_.law(x)

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        return np.exp(self.measure_.log_gate(self._columns(X)))

    def responsibilities(self, X: Any, y: Any) -> np.ndarray:
        """Posterior probability of each expert given (x, y), shape (n, k)."""
        x = self._columns(X)
        joint = self.measure_.log_joint(x, self._response(y, len(x)))
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def log_density(self, X: Any, y: Any) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        x = self._columns(X)
        return self.measure_.log_density(x, self._response(y, len(x)))

    def joint_log_density(self, X: Any, y: Any) -> np.ndarray:
        """log p(x, y), shape (n,): what the fit maximises the sum of."""
        x = self._columns(X)
        return self.measure_.joint_log_density(x, self._response(y, len(x)))

    def sample(self, X: Any, random_state: Any = None) -> np.ndarray:
        """One response drawn for each row, shape (n,) or (n, q)."""
        draw = self._law(self._columns(X)).sample(random_state)
        return draw[:, 0] if self._single else draw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

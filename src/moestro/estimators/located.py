"""Gaussian-gated experts behind scikit-learn's interface."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from ..api import number_of_experts
from ..design import ArrayDesign, Design, FormulaDesign
from ..design.frames import frame_names
from ..design.groups import refuse_groups
from ..design.response import check_weights, numeric_response
from ..errors import DataError
from ..fitted import LocatedModel
from ..located import Specification
from ..search import Options
from ..selection import Dendrogram, LocatedModels, sweep
from ..selection.located import with_options
from ..tables import Table
from ..threads import thread_count
from .helpers import read_formula, refuse_text, seed_of, warn_if_weak
from .located_fitted import LocatedFitted


class LocatedMoERegressor(RegressorMixin, LocatedFitted):
    """Gaussian-gated (located) experts, by maximum joint likelihood.

    .. math:: p(x, y) = \\sum_i \\pi_i N(x; c_i, \\Gamma_i) N(y; A_i x + b_i, \\Sigma_i)

    One or several responses; prediction in both directions.

    Parameters
    ----------
    n_experts : int or {"bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"}, default=2
        Number of experts, or the criterion that chooses it from 1 to `max_experts`.
    direction : {"direct", "inverse"}, default="direct"
        "inverse" fits experts of x located by y, which have few parameters where x has many columns, and
        inverts them exactly.
    covariance : {"full", "diagonal", "isotropic", "blocks", "factors"} or a list of them, default="full"
        Of an expert; "blocks" learns its blocks unless `blocks` states them. Of a list the criterion chooses
        (BIC where `n_experts` is a number).
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
        "auto" searches until the best optimum was found again and again, or a budget is spent; `search_` says
        which.
    rank_by : {"usable", "likelihood"}, default="usable"
        What chooses among local maxima: the likelihood of fits in which every component has rows enough for
        its parameters, or the likelihood alone.
    tol : float, default=1e-8
        Largest mismatch between a moment of the data and of the model, per row, in standardised columns.
    max_iter : int or None
        Iterations of the final polish; None is 5000 of EM, or 500 of Newton's method.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads; None means all cores. Results are the same for any number.
    verbose : int, default=0
        1 says on the standard error what each fit found.
    formula : str or None
        "y ~ columns": `fit` and `predict` then take frames, see `from_formula`.

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
    starts_, history_, selection_ : Table
        One row a start; one row an iteration of the final climb; one row a model that was compared.
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
    feature_names_in_: np.ndarray

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
        rank_by: str = "usable",
        tol: float = 1e-8,
        max_iter: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        formula: str | None = None,
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
        self.rank_by = rank_by
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.formula = formula

    # Fitting

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit by maximum joint likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
        y : array-like of shape (n,) or (n, q)
            With a `formula` it may be left out: the frame has the response.
        sample_weight : array-like of shape (n,), optional
        groups : None
            Rows that share their expert are not known to located models yet: refused.

        Returns
        -------
        self
        """
        refuse_groups(groups, "a located model")
        if self.formula is not None:
            design, x, z, response = read_formula(self, X, y)
            if z is not None:
                raise DataError(
                    "located experts have one set of columns: leave out the gate's part after '|'"
                )
            return self._fit(
                design, x, numeric_response(response, design.response), sample_weight, [design.response]
            )
        refuse_text(X)
        responses = frame_names(y)
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True, multi_output=True
        )
        y = np.asarray(y, dtype=float)
        names = getattr(self, "feature_names_in_", None)
        labels = [f"x{j}" for j in range(X.shape[1])] if names is None else [str(n) for n in names]
        if y.ndim == 1 or not responses:
            responses = ["y"] if y.ndim == 1 else [f"y{j}" for j in range(y.shape[1])]
        return self._fit(ArrayDesign(tuple(labels)), X, y, sample_weight, responses)

    @classmethod
    def from_formula(cls, formula: str, data: Any, *, sample_weight: Any = None, **parameters: Any) -> Self:
        """Fit "y ~ x1 + x2" on a frame, and return the fitted estimator. Gate and experts are located by the
        same columns."""
        return cls(**{"formula": formula, **parameters}).fit(data, sample_weight=sample_weight)

    def _fit(
        self, design: Design, X: np.ndarray, y: np.ndarray, sample_weight: Any, responses: Sequence[str]
    ) -> Self:
        w = check_weights(sample_weight, len(y))
        ks, criterion = number_of_experts(self.n_experts, self.max_experts)
        specifications = self._specifications()
        options = Options(
            n_starts=self.n_starts,
            rank_by=self.rank_by,
            tol=self.tol,
            max_iter=self.max_iter,
            seed=seed_of(self.random_state),
            threads=thread_count(self.n_jobs),
        )
        models = LocatedModels(X, y, specifications, w)
        found = sweep(models, ks, options, criterion, finished=_say if self.verbose else None)
        self._model = LocatedModel(design, tuple(responses), y.ndim == 1, found.chosen)
        self._rows = (X, y, w)
        self.selection_: Table = found.table()
        self.dendrogram_: Dendrogram | None = found.tree
        self.slope_ = found.choice.slope
        self.n_experts_ = found.chosen.k
        self.n_iter_ = max(found.chosen.n_iter, 1)
        if self.n_starts == "auto":
            warn_if_weak(found.chosen.evidence)
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
                self.blocks if covariance == "blocks" or isinstance(self.covariance, str) else None,
                self.student,
            )  # fmt: skip
            out += with_options(spec, degree=several(self.degree))
        return out

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R² of `predict`; y as in `fit`."""
        given = y if y is not None or self.formula is None else self._response(None, len(self._columns(X)), X)
        return super().score(X, given, sample_weight)

    @classmethod
    def of(cls, model: LocatedModel) -> Self:
        """A fitted estimator from what a file keeps: its standard errors too, not what it was chosen from."""
        spec, fit = model.fit.specification, model.fit
        self = cls(fit.k, **vars(spec))
        self._model = model
        self.n_experts_, self.n_iter_ = fit.k, max(fit.n_iter, 1)
        if isinstance(model.design, FormulaDesign):
            self.formula = model.design.text
            self.n_features_in_ = len(model.design.variables)
            self.feature_names_in_ = np.array(model.design.variables, dtype=object)
        else:
            names = model.design.names
            self.n_features_in_ = len(names)
            if names != tuple(f"x{j}" for j in range(len(names))):  # else the columns had no names
                self.feature_names_in_ = np.array(names, dtype=object)
        return self


def _say(fit: Any) -> None:
    experts = f"{fit.k} expert{'s' if fit.k > 1 else ''}"
    label = fit.specification.label
    sys.stderr.write(
        f"{experts} ({label}): log-likelihood {fit.log_likelihood:.4f}, "
        f"{fit.status} after {fit.n_iter} iterations\n"
    )

"""Gaussian-gated experts behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api import fit_located_design
from ..design import Observations
from ..design.holes import MARGINAL
from ..located import LocatedLaw, LocatedMeasure
from ..selection.choice import number_of_experts
from ..selection.located import specifications
from .found import Found
from .helpers import options_of
from .kinds import Regressor
from .plain import TOL


class LocatedMoERegressor(Regressor):
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
        Iterations of the final polish; None is 5000 of EM (500 where rows are too few for any usable fit), or
        500 of Newton's method.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads; None means all cores. Results are the same for any number.
    verbose : int, default=0
        Above 0 shows progress, with the best log-likelihood so far and how often it was found.
    formula : str or None
        "y ~ columns": `fit` and `predict` then take frames, see `from_formula`.
    missing : {"error", "drop", "marginal"}, default="error"
        Rows with a missing value in a column that is read are refused, or left out of the fit (`dropped_`
        counts them and names the columns) and of averages, and predictions are NaN there. "marginal" takes
        them with what they have, in fit and predictions: the likelihood is that of what was seen (values
        missing at random), for experts of degree 1 without Student tails.

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
        One row a start; one row an iteration of the final run; one row a model that was compared.
    n_experts_, n_parameters_, n_iter_, n_features_in_ : int
    aic_, bic_, icl_ : float
    dendrogram_ : Dendrogram or None
    slope_ : Djump, DDSE or None
        The account of a slope heuristic.

    References
    ----------
    L. Xu, M. I. Jordan and G. E. Hinton, An alternative model for mixtures of experts, NIPS 7, 1995.
    A. Deleforge, F. Forbes and R. Horaud, High-dimensional regression with Gaussian mixtures and
    partially-latent response variables, Statistics and Computing 25, 2015.

    Examples
    --------
    >>> from moestro import LocatedMoERegressor, load_dataset
    >>> ethanol = load_dataset("ethanol")
    >>> moe = LocatedMoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts=2, random_state=0)
    >>> round(moe.log_likelihood_, 3)
    -10.811
    """

    _has_law_of_x = True

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
        missing: str = "error",
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
        self.missing = missing

    def _estimate(self, data: Observations) -> Found:
        ks, criterion = number_of_experts(self.n_experts, self.max_experts)
        models = specifications(
            direction=self.direction, covariance=self.covariance, gate_covariance=self.gate_covariance,
            tied=self.tied, gate_tied=self.gate_tied, degree=self.degree, rank=self.rank,
            student=self.student, blocks=self.blocks, missing=MARGINAL if self._holes else "error",
        )  # fmt: skip
        result = fit_located_design(data, models, ks, options_of(self, TOL), criterion=criterion)
        return Found.of(result, "auto", self.n_starts == "auto")

    @property
    def inverse_measure_(self) -> LocatedMeasure:
        """From y to x: the same joint law."""
        return self._fitted().inverse_measure

    def predict_inverse(self, y: Any) -> np.ndarray:
        """E[X | y], shape (n, d)."""
        return self.inverse_distribution(y).mean()

    def inverse_distribution(self, y: Any) -> LocatedLaw:
        """The law of X at each response: mean, covariance, log-density, sample. For experts of degree 1."""
        n = len(np.atleast_1d(y))
        response = self._response(np.asarray(y), n).reshape(n, -1)
        return self.inverse_measure_.law(response)

    def joint_log_density(self, X: Any, y: Any = None) -> np.ndarray:
        """log p(x, y), shape (n,): what the fit maximises the sum of."""
        seen = self._complete(X, y, response=True)
        x, _, y = self._with_response(seen.take(X), seen.take(y))
        return seen.restore(self.measure_.joint_log_density(x, y))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

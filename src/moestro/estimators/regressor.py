"""Mixture of experts of numbers and counts."""

from __future__ import annotations

from typing import Any

from ..design import Observations
from .found import Found
from .kinds import SoftmaxRegressor
from .penalised import fit_one_penalty
from .plain import fit_plain


class MoERegressor(SoftmaxRegressor):
    """Softmax-gated mixture of experts of numbers or counts, by maximum likelihood.

    .. math:: p(y | x) = \\sum_i g_i(x) \\, f(y | a_i + b_i^\\top x, \\sigma_i)

    Parameters
    ----------
    n_experts : int or {"bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"}, default=2
        Number of experts, or the criterion that chooses it from 1 to `max_experts` ("djump": dimension jump;
        "ddse": slope estimation; "cv": held-out log-likelihood of 5 folds; "dendrogram": merges of one fit of
        `max_experts` experts, at least 2).
    family : str, Family or list of these, default="gaussian"
        Law of the response given the expert: of numbers "gaussian", "student", "skew-t", "censored[0:]" (or
        other limits: "censored[:5]", "censored[0:5]"), "interval" (two columns of y, its ends; so with
        "weibull", for survival times; in a formula ``interval(lower, upper)``, ``cens(time, status)``); of
        counts "poisson", "negative-binomial", "truncated-poisson"; of 0 and 1 "binomial", "binomial-probit",
        "binomial-cloglog"; of positive numbers "gamma", "inverse-gaussian", "lognormal", "weibull"; of
        proportions "beta". Or an object with the methods of `moestro.experts.Family`. A list has one for each
        expert, with "zero" and "one" for a response that is always this number: ["zero", "poisson"] is a
        zero-inflated count.
    shared_variance : bool, default=False
        One variance for all Gaussian experts.
    formula : str or None
        "y ~ experts' columns | gate's columns": `fit` and `predict` then take frames, see `from_formula`.
    max_experts : int or None
        None is 6, or 12 for slope heuristics, which need models that are clearly too large.
    gate : str or Gate, default="softmax"
        "softmax", "sigmoid", "laplace", "temperature", "activated-temperature", "cosine", "perturbed-cosine",
        or an object of `moestro.gates`. Scores of gates other than softmax and top-K come from NumPy.
    top_k : int or None
        Sparse softmax gate: the number of experts selected at each input.
    rank_on : {"score", "logit"}, default="score"
        What the sparse gate ranks on: beta_1' x as defined, or beta_0 + beta_1' x.
    gate_transform : str, callable, transformer or None
        M of the modified gate: "tanh", "sin", "cube", "sigmoid", or an object that maps (n, e) to (n, e').
    gate_features, expert_features : list of str or int, or None
        Columns of the gate and of the experts; None for all, an empty list for a constant.
    penalty : str, Penalty or None
        "l1", "elastic_net", "group", "adaptive_l1", "ridge", "oracle", or an object of `moestro.penalties`:
        slopes of gate and experts are penalised, and where the penalty leaves its strength open a path is
        fitted and the extended BIC chooses. Sparse matrices are then welcome. `n_experts` must then be a
        number, and `solver`, `engine`, `rank_by` and `rank_on` are refused.
    solver : {"auto", "newton", "em", "lbfgs"}, default="auto"
    engine : {"auto", "native", "array", "torch"}, default="auto"
        What sums over the rows. "torch:cuda:0" does on that device of torch, "torch" on torch's CPU, for
        softmax gates with multinomial, Gaussian or Poisson experts and without groups.
    n_starts : int or "auto"
        "auto" searches until the best optimum was found again and again, or a budget is spent; `search_` says
        which.
    rank_by : {"usable", "likelihood"}, default="usable"
        What chooses among local maxima: the likelihood of fits in which every expert has rows enough for its
        parameters, or the likelihood alone.
    tol : float or None
        Largest gradient entry per row, in scaled coordinates; None is 1e-8. With a penalty: largest violation
        of its optimality condition; None is 1e-9.
    max_iter : int or None
        Iterations of the final polish; None leaves it to the solver, which ends early where rows are too few
        for any usable fit, or where coefficients run off and there is nothing left to gain.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads; None means all cores. Results are the same for any number.
    verbose : int, default=0
    missing : {"error", "drop"}, default="error"
        Rows with a missing value in a column that is read are refused, or left out of the fit (`dropped_`
        counts them and names the columns) and of averages, and predictions are NaN there.
    common : list of str or None
        Columns of the experts with the same coefficient in every expert, "(intercept)" among them; in a
        formula ``common(x1)``.
    fixed : dict of str to float, or None
        Coefficients held at a value in the user's units: "x1" in every expert, "2:x1" in expert 2, "2:B:x1"
        of its class B, "gate:1:z" of the gate; names as in `parameter_names_`.
    order_by : {"share", "mean"}, str or None
        Experts are numbered by decreasing share (None is that too), by increasing mean at the average input,
        or by increasing coefficient of this column.
    reference_expert : int or None
        The expert, from 1, that tables tell the gate's coefficients against; None is the last one, which
        `measure_` always takes.
    variances : "equal", list of lists of int, or None
        Experts, from 1, that share their variance, or what the family has for one, the first of its own
        parameters: [[1, 2], [3]], where an expert that is not named has its own; "equal" is all of them, of
        any number. Experts of groups keep their numbers, so `order_by` goes with "equal" alone.
    gate_at : {"constant", "first", "mean"}, default="constant"
        Where the gate reads the columns of a group of rows (`groups` of `fit`): "constant" refuses columns
        that vary within one, "first" reads the group's first row as given, "mean" the mean of its rows.
    memory_limit : str, float or None
        Of the process, "2GB", where `fit` reads rows that are elsewhere: how many are read together, and how
        many are kept at hand for the search.
    cache : bool, str or path, default=None
        Rows that are elsewhere are read twice, and kept for the later passes as numbers, in a file without a
        name in this folder, or in that of temporary files (True): for text, formulas and files that are slow
        to read, where the disk is larger than the memory.

    Attributes
    ----------
    measure_ : MixingMeasure
    log_likelihood_ : float
    status_ : Status
    starts_, history_, selection_ : Table
    search_ : Evidence or None
        How often the best optimum was found.
    n_experts_, n_parameters_, n_iter_, n_features_in_ : int
    aic_, bic_, icl_ : float
    dendrogram_ : Dendrogram or None
    slope_ : Djump, DDSE or None
    alpha_, path_, selected_, support_
        Of a penalised fit: the strength, the `RegularizationPath`, the names of the columns with a slope, and
        which columns these are.

    References
    ----------
    R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, Adaptive mixtures of local experts, Neural
    Computation 3, 1991. M. I. Jordan and R. A. Jacobs, Hierarchical mixtures of experts and the EM algorithm,
    Neural Computation 6, 1994.

    Examples
    --------
    >>> from moestro import MoERegressor, load_dataset
    >>> tone = load_dataset("tone")
    >>> moe = MoERegressor.from_formula("tuned ~ stretchratio", tone, n_experts=2, random_state=0)
    >>> round(moe.log_likelihood_, 3)
    145.65
    """

    def __init__(
        self,
        n_experts: int | str = 2,
        *,
        formula: str | None = None,
        family: Any = "gaussian",
        shared_variance: bool = False,
        max_experts: int | None = None,
        gate: Any = "softmax",
        top_k: int | None = None,
        rank_on: str = "score",
        gate_transform: Any = None,
        gate_features: Any = None,
        expert_features: Any = None,
        penalty: Any = None,
        solver: str = "auto",
        engine: str = "auto",
        n_starts: int | str = "auto",
        rank_by: str = "usable",
        tol: float | None = None,
        max_iter: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        missing: str = "error",
        common: Any = None,
        fixed: Any = None,
        order_by: str | None = None,
        reference_expert: int | None = None,
        variances: Any = None,
        gate_at: str = "constant",
        memory_limit: str | float | None = None,
        cache: Any = None,
    ):
        self.n_experts = n_experts
        self.formula = formula
        self.family = family
        self.shared_variance = shared_variance
        self.max_experts = max_experts
        self.gate = gate
        self.top_k = top_k
        self.rank_on = rank_on
        self.gate_transform = gate_transform
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.penalty = penalty
        self.solver = solver
        self.engine = engine
        self.n_starts = n_starts
        self.rank_by = rank_by
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.missing = missing
        self.common = common
        self.fixed = fixed
        self.order_by = order_by
        self.reference_expert = reference_expert
        self.variances = variances
        self.gate_at = gate_at
        self.memory_limit = memory_limit
        self.cache = cache

    def _estimate(self, data: Observations) -> Found:
        return fit_plain(self, data) if self.penalty is None else fit_one_penalty(self, data)

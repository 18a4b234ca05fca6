"""What a family of experts states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

Terms = tuple[np.ndarray | None, ...]


def trigamma(x: np.ndarray) -> np.ndarray:
    """psi'(x) = zeta(2, x), whose function of SciPy's computes psi(x) beside it."""
    from scipy.special import zeta

    return zeta(2.0, x)


class Family(Protocol):
    """A conditional density f(y | eta), eta the linear predictors of one expert.

    The last `nuisances` entries of eta are nuisance parameters (a log-variance): predictors whose only
    feature is the constant. Arrays have shape (..., predictors + nuisances) in eta and (...) in y. What
    holds of most families stands in `Facts`.
    """

    @property
    def name(self) -> str:
        """Name of the family."""
        ...

    @property
    def nuisances(self) -> int:
        """Nuisance parameters of an expert."""
        ...

    @property
    def predictors(self) -> int:
        """Linear predictors of an expert, nuisances not counted."""
        ...

    @property
    def nuisance_names(self) -> tuple[str, ...]:
        """What each nuisance is called in tables: "log(variance)"."""
        ...

    @property
    def nuisance_units(self) -> tuple[float, ...]:
        """Each nuisance in the user's units is that of the scaled response plus so many times log(scale)."""
        ...

    @property
    def boundaries(self) -> tuple[tuple[str, str], ...]:
        """What an expert has become with a nuisance at its lower and at its upper bound, in words; "" at a
        lower one where the density has no bound, and where there is nothing to say."""
        ...

    @property
    def tied_nuisances(self) -> bool:
        """Whether all experts share their nuisance parameters."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether y is a whole number."""
        ...

    @property
    def labels(self) -> int:
        """Number of classes, with a softmax over predictors and zero where they have no order; 0 where y is
        a number."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether classes have an order, and one predictor for all."""
        ...

    @property
    def has_variance(self) -> bool:
        """Whether the one nuisance is the log-variance of y about its predictor."""
        ...

    @property
    def scales_response(self) -> bool:
        """Whether y may be centred and scaled (with the Jacobian put back)."""
        ...

    @property
    def takes_offset(self) -> bool:
        """Whether a known number may be added to its one linear predictor."""
        ...

    @property
    def takes_trials(self) -> bool:
        """Whether y counts successes in known numbers of trials, which may stand after eta's nuisances."""
        ...

    @property
    def takes_bounds(self) -> bool:
        """Whether of y may be known only that it lies between two numbers: y is then one of them, and the
        other stands after eta's nuisances, in the user's units, beyond `OPEN` where there is none."""
        ...

    @property
    def lowest(self) -> float:
        """The number that every y is above."""
        ...

    @property
    def points(self) -> tuple[float, ...]:
        """Numbers, in the user's units, that have a probability, of a y that is continuous but for them."""
        ...

    @property
    def members(self) -> tuple[Family, ...]:
        """The families of the experts, one each, where these differ; eta ends with the expert's number."""
        ...

    def on(self, center: float, scale: float) -> Family:
        """The family of a response (y - center) / scale, where it knows numbers in y's units."""
        ...

    def check_response(self, y: np.ndarray) -> None:
        """Raise DataError if y, in the user's units, cannot come from this family, each by itself."""
        ...

    def check_variety(self, y: np.ndarray) -> None:
        """Raise DataError if all rows' y, or those of `telling`, are too much alike to be fitted."""
        ...

    def telling(self, y: np.ndarray) -> np.ndarray:
        """The y that have to differ: of these, the smallest and the largest say as much as all."""
        ...

    def supports(self, y: np.ndarray) -> np.ndarray:
        """Boolean, of y's shape: what an expert can have beside others of which each has but a part."""
        ...

    def possible(self, y: np.ndarray) -> np.ndarray | None:
        """Boolean (..., k): experts that can have y; None where all experts are of one law."""
        ...

    def log_base(self, y: np.ndarray) -> np.ndarray | float:
        """The part of log f that depends on y alone."""
        ...

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log f(y | eta) less `log_base`."""
        ...

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """d log f / d eta, shape (..., m)."""
        ...

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """d2 log f / d eta d eta', shape (..., m, m)."""
        ...

    def information(self, eta: np.ndarray) -> np.ndarray:
        """Fisher information of eta, shape (..., m, m): the curvature that EM's M-step uses, so zero
        between predictors and nuisances; of a nuisance it may be an upper bound."""
        ...

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """E[y | eta]; class probabilities (..., K) for a classification family."""
        ...

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """Var[y | eta]."""
        ...

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw of y for each row of eta."""
        ...

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """P(Y <= y | eta)."""
        ...

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """Linear predictors (m,), and nuisances where they do not begin at zero, of the weighted marginal
        law of y beside the offset: where every start begins."""
        ...

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        """y (n,) on the scale on which linear predictors move it, for starts that cut or cluster it."""
        ...

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of (intercept, slope, nuisances) in scaled coordinates, each of shape (2 + nuisances,), or
        (3,) where all nuisances have the same."""
        ...

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        """log(s / sigma) of experts with nuisances (..., nu), s^2 the variance of the scaled response, one;
        zero without a variance."""
        ...

    @property
    def nuisance_step(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None:
        """Exact M-step of one nuisance (k,), from itself, the mass, its gradient and the means' quadratic
        gain (k,); None where EM takes a scoring step."""
        ...

    @property
    def terms(self) -> Callable[[np.ndarray, np.ndarray, int], Terms] | None:
        """(`log_density`, `score`, `information`, `curvature`) of eta and y, None beyond the order 0, 1, 2 or
        3 that is asked for; None where these have no work in common."""
        ...


class Facts:
    """What holds of most families; one of which something else holds says so."""

    predictors: int = 1
    nuisances: int = 0
    nuisance_names: tuple[str, ...] = ()
    nuisance_units: tuple[float, ...] = ()
    boundaries: tuple[tuple[str, str], ...] = ()
    tied_nuisances: bool = False
    discrete: bool = False
    labels: int = 0
    ordered: bool = False
    has_variance: bool = False
    scales_response: bool = False
    takes_offset: bool = True
    takes_trials: bool = False
    takes_bounds: bool = False
    lowest: float = -np.inf
    points: tuple[float, ...] = ()
    members: tuple[Family, ...] = ()
    nuisance_step = None
    terms = None

    def on(self, center: float, scale: float) -> Self:
        """Itself: most families know no number in y's units."""
        return self

    def check_response(self, y: np.ndarray) -> None:
        """Any number, if nothing else is said."""

    def check_variety(self, y: np.ndarray) -> None:
        """Equal responses are fitted by most families."""

    def telling(self, y: np.ndarray) -> np.ndarray:
        """All."""
        return y

    def supports(self, y: np.ndarray) -> np.ndarray:
        """All that `check_response` lets in."""
        return np.ones(np.shape(y), dtype=bool)

    def possible(self, y: np.ndarray) -> np.ndarray | None:
        """None: all experts are of this law."""
        return None

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        """y itself."""
        return y

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        """Zero: most families have no variance."""
        return np.zeros(nuisances.shape[:-1])

    @classmethod
    def make(cls, name: str, classes: int, shared_variance: bool) -> Self:
        """From the options that a user gives, of which none concerns most families."""
        return cls()


def predictor_bounds(
    slope: float, low: float = -np.inf, high: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of (intercept, slope, nuisances): a slope within +-`slope`, an intercept ten times as far."""
    most = np.array([10 * slope, slope])
    return np.append(-most, low), np.append(most, high)

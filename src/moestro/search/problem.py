"""What the search asks of a problem: a model class on rows whose likelihood has many maxima."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..solvers.pool import Pool
from ..solvers.status import Status
from .fit import Fit
from .starts import ROTATION, auto_starts

# Passes over the searched rows that a search may take, where rows x parameters make a pass dear; it may
# always take LEAST.
WORK, LEAST = 8e8, 400
SAME_VALUE = 0.02  # runs stop a little below an optimum
# Rows of the first subsample: so many that rows x parameters is SEARCH_SIZE, within these limits.
SEARCH_SIZE, SEARCH_ROWS = 480_000, (5000, 12_000)
DENSE = 100.0  # parameters from which a Hessian is what makes a pass dear
FEW_STEPS = 5  # Newton steps: most problems have an exact Hessian
REFUSED = 500  # iterations of an optimum that is refused: Newton's own limit
HOPELESS = 4.0  # times fewer passes where no fit can be usable: which one is shown matters little
ALL = 10**6  # runs, more than there are
WIDE = 2_000_000  # rows x parameters from which one fit uses all threads


def budget_of(problem: Problem, passes: float) -> float:
    """Passes over its rows that the search of `problem` may take: so many `passes` an expert, or fewer where
    they are dear, or where it is `hopeless`."""
    if problem.k == 1:
        return np.inf
    passes = passes / HOPELESS if problem.hopeless else passes
    return float(min(max(WORK / price(problem), LEAST), passes * problem.k))


def price(problem: Problem) -> float:
    """Rows x parameters that a pass costs as much as; of many parameters the Hessian is what it costs."""
    n, size = problem.n, problem.size
    return max(n * max(size, 1), (n * size**2 + size**3 / 3) / DENSE)  # a pass reads the rows of no parameter


@dataclass(frozen=True)
class End:
    """Where a run stopped.

    Attributes
    ----------
    point : object
        Of the problem: whatever its parameters are.
    value : float
        Log-likelihood of its rows.
    mass : ndarray of shape (k,)
        Sums of the responsibilities.
    iterations : int
    passes : float
        Passes over the rows that it took.
    outcome : object
        What the solver says, for `Problem.diagnose`.
    counts : tuple of int
        Passes over all rows by the end of each iteration, those before it included.
    """

    point: Any
    value: float
    mass: np.ndarray
    iterations: int
    passes: float = 0.0
    outcome: Any = None
    counts: tuple[int, ...] = ()


class Problem(Protocol):
    """A model of k experts on rows.

    Problems share a language, the memberships (u, k) of its units, which are rows or groups of rows that
    share their expert: starts and moves guess them, `begin` turns them into points, `rowwise` gives them
    back. Points are opaque to the search.
    """

    @property
    def k(self) -> int: ...  # experts

    @property
    def n(self) -> int: ...  # rows

    @property
    def at_hand(self) -> int: ...  # rows in memory, a random sample where they are fewer

    @property
    def size(self) -> int: ...  # free parameters

    @property
    def weight_sum(self) -> float: ...  # of the units

    @property
    def weights(self) -> np.ndarray | None: ...  # (u,); None: one each

    @property
    def rotation(self) -> Sequence[str]: ...  # names of the starts' strategies, in turn

    @property
    def at_once(self) -> int: ...  # runs whose matrices are held together

    @property
    def wide(self) -> bool: ...  # one fit keeps all threads busy

    @property
    def n_starts(self) -> int: ...  # how many starts the search begins with

    @property
    def search_rows(self) -> int: ...  # of the first subsample; up to twice as many rows are searched whole

    @property
    def budget(self) -> float: ...  # passes over these rows that a search may take

    @property
    def hopeless(self) -> bool: ...  # too few rows for so many experts, however they are shared out

    @property
    def few_steps(self) -> int: ...  # steps that tell finalists of a subsample apart on all rows

    @property
    def refused_steps(self) -> int: ...  # of an optimum that is refused, beside one that was polished

    @property
    def same_value(self) -> float: ...  # log-likelihood within which two ends may be one optimum

    def guess(
        self, strategy: str, rng: np.random.Generator
    ) -> np.ndarray: ...  # memberships (u, k) to start from

    def view(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]: ...

    # scaled columns (u, d) and one response (u,), what moves look at; of several responses a combination
    # drawn by rng

    def begin(self, memberships: Sequence[np.ndarray], pool: Pool) -> Sequence[Any]: ...

    # points of memberships whose borders are sharp, nearer to them; passes over the rows that each took
    def follow(
        self, points: Sequence[Any], memberships: Sequence[np.ndarray], pool: Pool
    ) -> tuple[Sequence[Any], float]: ...

    def pooled(self) -> Any: ...  # the point at which all experts are one

    def given(self, initial: Any) -> Any: ...  # the point of what a caller gave

    def settle(self, points: Sequence[Any], pool: Pool) -> Sequence[End]: ...

    # runs to near an optimum, near enough to tell optima apart

    def sharpen(self, point: Any, tol: float, pool: Pool) -> Any: ...

    # a point at an optimum, or the same where `advance` is as quick

    def advance(
        self, point: Any, *, tol: float, max_iter: int | None, cancel: threading.Event | None
    ) -> End: ...  # to an optimum

    def values(self, points: Sequence[Any], pool: Pool) -> Sequence[tuple[float, np.ndarray]]: ...

    # log-likelihood and masses

    def rowwise(self, point: Any) -> tuple[np.ndarray, np.ndarray]: ...

    # responsibilities (u, k) and log-density (u,)

    def key(self, point: Any, value: float, mass: np.ndarray) -> tuple[int, float]: ...

    # larger is better: (2 usable, 1 thin, 0 collapsed, -1 not finite; log-likelihood)

    def by_mass(self, point: Any) -> Any: ...  # the same density, experts in decreasing order of mass

    def diagnose(self, end: End) -> Status: ...

    def is_usable(self, end: End) -> bool: ...  # what `diagnose` says, without the reasons

    def nested(
        self, below: Fit
    ) -> Sequence[Any]: ...  # points from a fit of one expert less, one of them split

    def duplicated(self, below: Fit) -> Sequence[Any]: ...  # points with its density, to rounding

    def simpler(self) -> Problem | None: ...  # a model within this one whose optimum is a start

    # a random order (u,) of the units at hand, of which the first `most` are in their place
    def shuffled(self, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray: ...

    def subset(self, rows: np.ndarray) -> Problem: ...  # of these units at hand

    # the same, polished with what these growing random parts of it say of its curvature, where that pays
    def beside(self, samples: Sequence[Any]) -> Problem: ...

    def fit(self, end: End, **common: Any) -> Fit: ...  # frozen, in the user's units


class Defaults:
    """What most problems answer: the usual starts, and no points or models from elsewhere."""

    @property
    def rotation(self) -> Sequence[str]:
        return ROTATION

    @property
    def at_hand(self: Problem) -> int:
        return self.n

    @property
    def n_starts(self: Problem) -> int:
        return auto_starts(self.k)

    @property
    def search_rows(self: Problem) -> int:
        return int(np.clip(SEARCH_SIZE / max(self.size, 1), *SEARCH_ROWS))

    @property
    def hopeless(self) -> bool:
        return False

    @property
    def few_steps(self) -> int:
        return FEW_STEPS

    @property
    def refused_steps(self) -> int:
        return REFUSED

    @property
    def same_value(self) -> float:
        return SAME_VALUE

    @property
    def at_once(self) -> int:
        return ALL

    @property
    def wide(self: Problem) -> bool:
        return self.n * self.size > WIDE

    def is_usable(self: Problem, end: End) -> bool:
        return self.diagnose(end).usable

    def follow(
        self, points: Sequence[Any], memberships: Sequence[np.ndarray], pool: Pool
    ) -> tuple[Sequence[Any], float]:
        return points, 0.0

    def sharpen(self, point: Any, tol: float, pool: Pool) -> Any:
        return point

    def nested(self, below: Fit) -> Sequence[Any]:
        return ()

    def duplicated(self, below: Fit) -> Sequence[Any]:
        return ()

    def simpler(self) -> Problem | None:
        return None

    def beside(self, samples: Sequence[Any]) -> Any:
        return self

"""How many experts: the parametric bootstrap likelihood-ratio test of k against more (McLachlan, 1987).

The ratio 2 (L1 - L0) has no chi-squared law where k is the truth, since the larger model is not identified
there. So its law is simulated: responses are drawn from the fit of k experts, and both models are fitted to
them.

The observed ratio comes from a search that went on until its evidence ended it, and the law of ratios from
shorter searches lies too low: the test would reject too often. Only whether a replicate reaches the observed
ratio counts, so each is searched until it does, or until it falls short by more than a search still gains, or
for so many waves of moves that the ratios are those of the whole search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from ..errors import DataError
from ..located import LocatedFit, fit_measured
from ..problems import MixtureFit, fit_above, fit_mixture
from ..rows import Rows
from ..search import Options, Until
from .estimates import p_text
from .refits import in_parallel
from .refitted import simulated

# Uninformed starts of a larger refit, beside its estimate and the smaller refit with an expert in two, and
# waves of moves after them at most: of 76 replicates (n = 600 and 1,000, three columns, two experts against
# three) the ratios are then those of the whole search, at a fifth of its price.
STARTS, WAVES = 8, 6
REACH = 24.0  # of the ratio: what moves may still gain after w waves is this over 1 + w
TOL = 1e-6
WAVE = 16  # replicates that are simulated before it is asked whether enough are


@dataclass(frozen=True)
class BootstrapTest:
    """A test of k experts against more.

    Attributes
    ----------
    k, more : int
    statistic : float
        2 (L1 - L0).
    p : float
    draws : ndarray of shape (B,)
        The statistic of each replicate that was used.
    exceeded : int
        How many were at least as large.
    stopped : bool
        Whether so many exceeded that no more were drawn.
    """

    k: int
    more: int
    statistic: float
    p: float
    draws: np.ndarray
    exceeded: int
    stopped: bool

    def __str__(self) -> str:
        how = f"{self.exceeded} of {len(self.draws)} replicates at least as large"
        how += ", stopped early" if self.stopped else ""
        return (
            f"Bootstrap likelihood-ratio test of {self.k} experts against {self.more}: "
            f"2 log ratio {self.statistic:.3f}, {p_text(self.p)} ({how})"
        )


def bootstrap_test(
    smaller: MixtureFit | LocatedFit,
    larger: MixtureFit | LocatedFit,
    ratio: Callable[[np.random.SeedSequence], float],
    *,
    n_replicates: int = 199,
    enough: int | None = 20,
    seed: int | None = None,
    threads: int = 1,
) -> BootstrapTest:
    """Draw `ratio`s until `enough` of them exceed the observed one, or all are drawn.

    p = (1 + exceeded) / (B + 1); where B replicates were enough, p = exceeded / B (Besag and Clifford, 1991).
    Neither depends on the number of threads.
    """
    counts = (n_replicates,) if enough is None else (n_replicates, enough)
    if not all(isinstance(count, Integral) and count >= 1 for count in counts):
        raise DataError("n_replicates and enough must be whole numbers of at least 1")
    observed = likelihood_ratio(smaller, larger)
    seeds = np.random.SeedSequence(seed).spawn(n_replicates)
    draws: list[float] = []
    exceeded, stopped = 0, False
    for start in range(0, n_replicates, WAVE):
        for value in list(in_parallel(ratio, seeds[start : start + WAVE], threads)):
            draws.append(value)
            exceeded += value >= observed
            if enough is not None and exceeded >= enough:
                stopped = True
                break
        if stopped:
            break
    B = len(draws)
    p = exceeded / B if stopped else (1 + exceeded) / (B + 1)
    return BootstrapTest(smaller.k, larger.k, observed, p, np.array(draws), int(exceeded), stopped)


def mixture_ratio(
    smaller: MixtureFit, larger: MixtureFit, rows: Rows, engine: str = "auto"
) -> Callable[[np.random.SeedSequence], float]:
    """The statistic on responses drawn from `smaller` at the columns of the rows.

    The smaller model is refitted from the parameters that the responses were drawn from.
    """
    observed = likelihood_ratio(smaller, larger)

    def ratio(own: np.random.SeedSequence) -> float:
        draw, search = own.spawn(2)
        fresh = simulated(smaller, rows, np.random.default_rng(draw))
        options = Options(engine=engine, n_starts=STARTS, tol=TOL, seed=search, nested=False)
        low = fit_mixture(smaller.model, fresh, replace(options, initial=(smaller.theta,), only_initial=True))
        above = replace(options, initial=(larger.theta,), until=_decided(observed, low))
        return likelihood_ratio(low, fit_above(low, larger.model, fresh, above))

    return ratio


def located_ratio(
    smaller: LocatedFit, larger: LocatedFit, n: int
) -> Callable[[np.random.SeedSequence], float]:
    """The statistic on n rows drawn from the joint law of `smaller`."""
    observed = likelihood_ratio(smaller, larger)

    def ratio(own: np.random.SeedSequence) -> float:
        draw, search = own.spawn(2)
        x, y, _ = smaller.measure.sample(n, np.random.default_rng(draw))
        options = Options(n_starts=STARTS, tol=TOL, seed=search, nested=False)
        low = fit_measured(x, y, smaller, replace(options, initial=(smaller.measure,), only_initial=True))
        above = replace(options, initial=(larger.measure,), until=_decided(observed, low))
        return likelihood_ratio(low, fit_measured(x, y, larger, above, low))

    return ratio


def likelihood_ratio(smaller: MixtureFit | LocatedFit, larger: MixtureFit | LocatedFit) -> float:
    """2 (L1 - L0)."""
    return 2.0 * (larger.log_likelihood - smaller.log_likelihood)


def _decided(observed: float, low: MixtureFit | LocatedFit) -> Until:
    """Whether a search above `low` says enough of its ratio, from its best log-likelihood and its waves."""

    def until(best: float | None, waves: int) -> bool:
        if waves >= WAVES or best is None:
            return waves >= WAVES
        ratio = 2.0 * (best - low.log_likelihood)
        return ratio >= observed or ratio <= observed - REACH / (1 + waves)

    return until

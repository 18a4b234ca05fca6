"""How many experts: the parametric bootstrap likelihood-ratio test of k against more (McLachlan, 1987).

The ratio 2 (L1 - L0) has no chi-squared law where k is the truth, since the larger model is not identified
there. So its law is simulated: responses are drawn from the fit of k experts, and both models are fitted to
them.

The ratio of the two fits is the end of a search that goes on until its evidence ends it. Ratios of
replicates that are searched less lie below it, and the test rejects too often: where an expert is not
needed the optima are those of chance, and moves go on finding higher ones. So one statistic is compared, of
the data as of each replicate: the ratio that a short search finds, from the smaller fit with an expert in
two and from uninformed starts. Under the smaller model it has one law, however good the search is. Where
the larger model is needed, its optimum is found at once, and the ratio of the data is that of the two fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Protocol

import numpy as np
from scipy.special import bdtr, bdtrc

from ..errors import DataError
from ..located import LocatedFit, fit_measured
from ..problems import MixtureFit, fit_above, fit_mixture
from ..rows import Rows
from ..search import Options, Until
from .estimates import experts, p_text
from .refits import in_parallel
from .refitted import simulated

# Uninformed starts of the larger model and waves of moves after them: of 60 data sets of two experts (n =
# 1,000, three columns) the ratio of three against two is then 28.0 on average, and 28.8 after a search that
# ends by itself, in five times the time; of 30 with a third expert the starts find all.
STARTS, WAVES = 8, 8
# What falls short of the ratio by so much and by two thirds is not searched on: in those 60 the waves after
# the first one gained 20 at most, and no ratio grew to 2.4 times what it was.
REACH = 40.0
TOL = 1e-6
SAME = 1e-3  # relative difference of two ratios of the data that is not told
FAR = 0.001  # probability below which so few, or so many, replicates tell p from a level
WAVE = 16  # replicates that are simulated before it is asked whether enough are


class Ratio(Protocol):
    """2 (L1 - L0) of the data where `reached` is None; otherwise of a replicate, whose search ends when it is
    `reached`."""

    def __call__(self, own: np.random.SeedSequence, reached: float | None) -> float: ...


@dataclass(frozen=True)
class BootstrapTest:
    """A test of k experts against more.

    Attributes
    ----------
    k, more : int
    statistic : float
        2 (L1 - L0) of the two fits.
    searched : float
        2 (L1 - L0) of the same data, searched as replicates are: what they are compared with.
    p : float
    draws : ndarray of shape (B,)
        The ratio of each replicate that was used; the search of one that reaches `searched` ends there.
    exceeded : int
        How many were at least as large as `searched`.
    stopped : bool
        Whether so many exceeded that no more were drawn.
    """

    k: int
    more: int
    statistic: float
    searched: float
    p: float
    draws: np.ndarray
    exceeded: int
    stopped: bool

    def __str__(self) -> str:
        how = f"{self.exceeded} of {len(self.draws)} replicates at least as large"
        how += ", stopped early" if self.stopped else ""
        short = f" ({self.searched:.3f} when searched as replicates are)"
        if abs(self.searched - self.statistic) <= SAME * max(1.0, abs(self.statistic)):
            short = ""
        return (
            f"Bootstrap likelihood-ratio test of {experts(self.k)} against {self.more}: "
            f"2 log ratio {self.statistic:.3f}{short}, {p_text(self.p)} ({how})"
        )


def bootstrap_test(
    smaller: MixtureFit | LocatedFit,
    larger: MixtureFit | LocatedFit,
    ratio: Ratio,
    *,
    n_replicates: int = 199,
    enough: int | None = 20,
    level: float | None = None,
    seed: int | None = None,
    threads: int = 1,
) -> BootstrapTest:
    """Draw `ratio`s until `enough` of them reach that of the data, or until they tell p from `level`, or all
    are drawn.

    p = (1 + exceeded) / (B + 1); where B replicates were enough, p = exceeded / B (Besag and Clifford, 1991).
    p is told from a level when the number that exceeded would be as far from B times it in one of a thousand
    tests (Davidson and MacKinnon, 2000). Nothing depends on the number of threads.
    """
    counts = (n_replicates,) if enough is None else (n_replicates, enough)
    if not all(isinstance(count, Integral) and count >= 1 for count in counts):
        raise DataError("n_replicates and enough must be whole numbers of at least 1")
    if level is not None and not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, got {level!r}")
    own, *seeds = np.random.SeedSequence(seed).spawn(1 + n_replicates)
    searched = ratio(own, None)
    drawn = partial(ratio, reached=searched)
    draws: list[float] = []
    exceeded, stopped, told = 0, False, False
    for start in range(0, n_replicates, WAVE):
        for value in list(in_parallel(drawn, seeds[start : start + WAVE], threads)):
            draws.append(value)
            exceeded += value >= searched
            if enough is not None and exceeded >= enough:
                stopped = True
                break
        told = level is not None and len(draws) < n_replicates and _told(exceeded, len(draws), level)
        if stopped or told:
            break
    B = len(draws)
    p = exceeded / B if stopped else (1 + exceeded) / (B + 1)
    return BootstrapTest(
        smaller.k, larger.k, likelihood_ratio(smaller, larger), searched, p, np.array(draws), int(exceeded),
        stopped or told,
    )  # fmt: skip


def mixture_ratio(
    smaller: MixtureFit, larger: MixtureFit, rows: Rows, engine: str = "auto", waves: int = WAVES
) -> Ratio:
    """The ratio of the rows, or of responses drawn from `smaller` at their columns, after so many `waves`.

    The smaller model is fitted from the parameters of `smaller`, those that responses are drawn from.
    """

    def ratio(own: np.random.SeedSequence, reached: float | None) -> float:
        draw, search = own.spawn(2)
        given = rows if reached is None else simulated(smaller, rows, np.random.default_rng(draw))
        options = Options(engine=engine, n_starts=STARTS, tol=TOL, seed=search, nested=False)
        near = replace(options, initial=(smaller.theta,), only_initial=True)
        low = fit_mixture(smaller.model, given, near)
        above = replace(options, until=_decided(reached, low, waves))
        high = fit_above(low, larger.model, given, above)
        return likelihood_ratio(low, high)

    return ratio


def located_ratio(
    smaller: LocatedFit, larger: LocatedFit, x: np.ndarray, y: np.ndarray, waves: int = WAVES
) -> Ratio:
    """The ratio of columns x (n, d) and responses y (n, q), or of as many rows drawn from the joint law of
    `smaller`, without what the data lack."""

    def ratio(own: np.random.SeedSequence, reached: float | None) -> float:
        draw, search = own.spawn(2)
        u, v = x, y
        if reached is not None:
            new, response, _ = smaller.measure.sample(len(y), np.random.default_rng(draw))
            u = np.where(np.isnan(x), np.nan, new)
            v = np.where(np.isnan(y), np.nan, response.reshape(y.shape))
        options = Options(n_starts=STARTS, tol=TOL, seed=search, nested=False)
        near = replace(options, initial=(smaller.measure,), only_initial=True)
        low = fit_measured(u, v, smaller, near)
        above = replace(options, until=_decided(reached, low, waves))
        return likelihood_ratio(low, fit_measured(u, v, larger, above, low))

    return ratio


def _told(exceeded: int, B: int, level: float) -> bool:
    """Whether so many of B are too few, or too many, for a probability of `level`."""
    return min(bdtr(exceeded, B, level), bdtrc(exceeded - 1, B, level)) < FAR


def likelihood_ratio(smaller: MixtureFit | LocatedFit, larger: MixtureFit | LocatedFit) -> float:
    """2 (L1 - L0)."""
    return 2.0 * (larger.log_likelihood - smaller.log_likelihood)


def _decided(reached: float | None, low: MixtureFit | LocatedFit, most: int = WAVES) -> Until:
    """Whether a search above `low` is at its end, or says already whether its ratio is `reached`."""

    def until(best: float | None, waves: int) -> bool:
        if waves >= most or best is None or reached is None:
            return waves >= most
        ratio = 2.0 * (best - low.log_likelihood)
        hopeless = waves > 0 and reached - ratio > max(REACH, 2.0 / 3.0 * reached)
        return ratio >= reached or hopeless

    return until

"""The path: fits at strengths that fall geometrically from the smallest one at which every slope is zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError
from ..penalties import Penalty
from ..search import Options, auto_starts, fit_problem, seed_sequence
from .begin import null, one_expert
from .chains import STEPS, Chain, Found, rank
from .likelihood import Likelihood
from .mixture import PenalisedFit, PenalisedProblem
from .solve import Solution

N_ALPHAS = 50
TOL = 1e-9
SEARCHED = (0.4, 0.12)  # strengths, relative to the largest, at which starts are tried
FEW = 6  # starts there; a strength that is chosen is searched to the end
TOPS = 5  # searches for a fit with slopes at the largest strength, each above the one before
RIDGE_TOP = 1e3  # largest strength of a penalty that never gives zero, over the largest gradient at zero
# Of the tolerance, where a search ends: a penalised optimum is no maximum of the likelihood, so that what is
# left of the violation is lost or gained in the log-likelihood to first order, and a step squares it.
LAST = 1e-3
GAIN = 1e-9  # relative difference of objectives from which one fit is better


@dataclass(frozen=True)
class AlphaPath:
    """Fits along strengths.

    Attributes
    ----------
    chain : Chain
        The likelihood and the penalty at strength one.
    penalty : Penalty
    alphas : ndarray
        Decreasing; strengths that were not given end where more slopes than half the rows are needed, or no
        optimum is reached.
    points : tuple of Solution
    alpha_max : float
        The smallest strength at which no fit with slopes beats the one without; infinite for a penalty that
        never gives zero.
    strict : bool
        Whether the strengths were left open.
    roots : tuple of Solution
        Fits without slopes, the best one first.
    found : tuple of (strength, Solution)
        What searches found, where they were made.
    fits : tuple of PenalisedFit
        The best fits at strengths that were searched to the end.
    """

    chain: Chain
    penalty: Penalty
    alphas: np.ndarray
    points: tuple[Solution, ...]
    alpha_max: float
    strict: bool
    roots: tuple[Solution, ...]
    found: tuple[Found, ...]
    fits: tuple[PenalisedFit, ...]

    @property
    def likelihood(self) -> Likelihood:
        return self.chain.likelihood

    def fit_at(self, index: int) -> PenalisedFit:
        """What a search at the index-th strength found."""
        return next(f for f in self.fits[::-1] if f.alpha == self.alphas[index])

    def with_search(self, index: int, options: Options) -> tuple[AlphaPath, bool]:
        """The path with a search at its index-th strength, where there was none, and whether that changed
        it."""
        pr, alpha, known, fits = self.likelihood, float(self.alphas[index]), self.points[index], self.fits
        before = [f for f in fits if f.alpha == alpha]
        if not before or beats(pr, known, before[-1].solution):
            fits = (*fits, explore(self.chain, alpha, replace(options, initial=(known.point,))))
        best, points = [f for f in fits if f.alpha == alpha][-1].solution, list(self.points)
        found, changed = (*self.found, (alpha, best)), beats(pr, best, known)
        if changed:
            points = list(self.chain.run(self.roots, found, self.alphas, self.alpha_max, self.strict, quiet))
        if index < len(points) and not beats(pr, points[index], best):
            points[index] = best
        out = replace(self, points=tuple(points), alphas=self.alphas[: len(points)], found=found, fits=fits)
        return out, changed


def beats(likelihood: Likelihood, a: Solution, b: Solution) -> bool:
    """Whether a fit is better than another by more than rounding."""
    usable, value = rank(likelihood, b)
    return rank(likelihood, a) > (usable, value + GAIN * (1.0 + abs(value)))


def explore(chain: Chain, alpha: float, options: Options) -> PenalisedFit:
    """The search at one strength; its polish takes Newton's last step too, see `LAST`."""
    problem = PenalisedProblem(chain.likelihood, chain.terms.scaled(alpha), float(alpha))
    own = replace(options, progress=None, tol=LAST * options.tol)
    return fit_problem(problem, own)  # type: ignore[return-value]


def quiet(stage: str, done: int, total: int, note: str) -> None:
    """No progress."""


def fit_alphas(
    likelihood: Likelihood,
    penalty: Penalty,
    alphas: Sequence[float] | int = N_ALPHAS,
    options: Options | None = None,
    begin: Sequence[np.ndarray] = (),
) -> AlphaPath:
    """Fit along a path.

    Parameters
    ----------
    alphas : sequence of float or int
        Strengths, or how many from the largest down to 0.01 of it where there are fewer than ten rows a
        slope, else to 0.001.
    options : Options
        `n_starts`, `tol`, `max_iter`, `seed`, `threads` and `progress` are read.
    begin : sequence of points
        What searches begin at besides their own starts.
    """
    options = Options(tol=TOL) if options is None else options
    tell = options.progress or quiet
    strict = isinstance(alphas, int | np.integer)
    wanted = None if strict else _checked(alphas)
    if wanted is None and int(alphas) < 1:  # type: ignore[arg-type]
        raise DataError(f"the number of strengths must be at least 1, got {alphas!r}")
    terms = penalty.terms(likelihood.layout(penalty))
    chain = Chain(likelihood, terms, options.tol, options.max_iter or STEPS)
    roots = [null(likelihood, terms), *([one_expert(likelihood, terms)] if likelihood.k > 1 else [])]
    roots.sort(key=lambda p: rank(likelihood, p), reverse=True)
    first = (
        terms.strength(roots[0].gradient) if penalty.sparse else np.abs(roots[0].gradient).max(initial=0.0)
    )
    first = float(first) if first > 0 else 1.0  # no column goes with anything: the path is flat
    seeds = iter(seed_sequence(options.seed).spawn(TOPS + len(SEARCHED)))
    fits: list[PenalisedFit] = []

    def search(alpha: float, starts: int | str) -> Found:
        initial = (*(f.solution.point for f in fits[-1:]), *begin, *(root.point for root in roots))
        n_starts = starts if options.n_starts == "auto" else options.n_starts
        own = replace(options, initial=initial, seed=next(seeds), n_starts=n_starts)
        fits.append(explore(chain, alpha, own))
        return fits[-1].alpha, fits[-1].solution

    alpha_max = first if penalty.sparse else np.inf
    if likelihood.k > 1 and wanted is None and penalty.sparse:
        for number in range(TOPS):
            tell("largest strength", number, TOPS, "")
            found = search(alpha_max, auto_starts(likelihood.k))
            higher = chain.largest(roots[0], found, alpha_max)
            if higher <= alpha_max * (1.0 + GAIN):
                break
            alpha_max = higher
    levels = np.array(SEARCHED) * first
    if wanted is not None:
        levels = np.unique(np.clip(levels, wanted.min(), wanted.max()))[::-1]
    alone = len(levels) == 1
    for number, alpha in enumerate(levels if likelihood.k > 1 else ()):
        tell("search", number, len(levels), "")
        found = search(alpha, "auto" if alone else FEW)
        if penalty.sparse:
            alpha_max = chain.largest(roots[0], found, alpha_max)
    if wanted is None:
        high = alpha_max if penalty.sparse else RIDGE_TOP * first
        low = 1e-2 if 10 * likelihood.size > likelihood.rows.n else 1e-3
        count = int(alphas)  # type: ignore[arg-type]
        wanted = np.geomspace(high, low * high, count) if count > 1 else np.array([high])
    seen = tuple((f.alpha, f.solution) for f in fits)
    points = chain.run(roots, seen, wanted, alpha_max, strict, tell)
    whole = tuple(fits) if alone else ()
    args = wanted[: len(points)], points, alpha_max, strict, tuple(roots), seen, whole
    return AlphaPath(chain, penalty, *args)


def _checked(alphas: Sequence[float]) -> np.ndarray:
    out = np.asarray(alphas, dtype=float)
    if out.ndim != 1 or not len(out) or not np.isfinite(out).all() or (out < 0).any():
        raise DataError(f"alphas must be numbers of at least 0, got {alphas!r}")
    return np.unique(out)[::-1]

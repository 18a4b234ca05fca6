"""Chains along alpha: each fit begins at its neighbour's, downwards and back upwards, with the slopes at work
that the sequential strong rule does not discard. At each strength the best is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..penalties import Terms
from ..search import Progress
from .likelihood import Likelihood
from .screening import strong
from .solve import Solution, solve

ARRIVED = 1e-8  # optimality violation of an optimum
STEPS = 100  # proximal Newton steps of a link of a chain
# Optimality violation at which it is seen whether a chain that comes back upwards has found a better fit.
ROUGH_VIOLATION = 1e-5
REMEMBERED = 2000  # slopes up to which the fits of folds are kept
NO_GAIN = 1e-12  # difference of objectives that is none
CLOSE = 1e-9  # relative precision of the largest strength
MOVES = 20  # towards it: Newton needs a few, and fits in a long valley never arrive

Found = tuple[float, Solution]  # a strength, and a fit there


def rank(likelihood: Likelihood, a: Solution) -> tuple[int, float]:
    """As the search ranks, by the objective; larger is better."""
    return likelihood.rank(a.point, -a.objective, a.mass)


@dataclass(frozen=True)
class Chain:
    """Fits of a penalty at any strength, each from a neighbour.

    Attributes
    ----------
    likelihood : Likelihood
    terms : Terms
        At strength one.
    tol : float
    max_iter : int
        Of one fit.
    """

    likelihood: Likelihood
    terms: Terms
    tol: float
    max_iter: int = STEPS

    def at(self, alpha: float, start: Solution, before: float, tol: float | None = None) -> Solution:
        """The fit at `alpha` from `start`, a fit at `before`; to `tol` where one is given, else to the
        end."""
        screen = strong(self.terms, start.gradient, alpha, before) if np.isfinite(before) else None
        if screen is not None and screen.sum() > 4 * max(200, len(start.support)):
            screen = None
        tol = self.tol if tol is None else tol
        terms, limit = self.terms.scaled(alpha), self.max_iter
        return solve(self.likelihood, terms, start.point, tol=tol, screen=screen, max_iter=limit)

    def largest(self, null: Solution, found: Found, first: float) -> float:
        """The smallest strength from `first` at which the chain through `found` is not below the fit without
        slopes.

        F of a chain is concave in alpha, with the slope P: Newton's steps towards the objective of `null`
        stay on this side of the strength where both are equal. Where the chain ends before it, half a step is
        tried.
        """
        alpha, here = found
        part, moves = 1.0, 0
        while here.slopes.any() and part > CLOSE and moves < MOVES:
            gap = null.objective - here.objective
            if gap <= NO_GAIN * (1.0 + abs(null.objective)):
                break
            ahead = alpha + part * gap / self.terms.value(here.slopes)
            there = self.at(ahead, here, alpha)
            if there.slopes.any() and there.objective < null.objective:
                close = ahead - alpha <= CLOSE * alpha
                alpha, here, moves = ahead, there, moves + 1
                if close:
                    break
            else:
                part *= 0.5
        return max(alpha, first) if here.slopes.any() else first

    def follow(
        self, alphas: np.ndarray, path: Sequence[Solution], known: dict[tuple, Solution]
    ) -> Iterator[Solution]:
        """A path on these rows that begins at the fits of another: at each strength the better one of those
        from it and from the neighbour above. A fit that is `known` from the same point is not made again."""

        def at(alpha: float, start: Solution, before: float) -> Solution:
            if self.likelihood.size > REMEMBERED:
                return self.at(alpha, start, before)
            key = (float(alpha), float(before), start.point.tobytes())
            if key not in known:
                known[key] = self.at(alpha, start, before)
            return known[key]

        above: Solution | None = None
        for i, alpha in enumerate(alphas):
            own = path[min(i, len(path) - 1)]
            tries = [at(alpha, own, np.inf)]
            if above is not None and own.slopes.any():
                tries.append(at(alpha, above, alphas[i - 1]))
            above = max(tries, key=lambda a: rank(self.likelihood, a))
            yield above

    def run(
        self,
        roots: Sequence[Solution],
        found: Sequence[Found],
        alphas: np.ndarray,
        alpha_max: float,
        strict: bool,
        tell: Progress,
    ) -> tuple[Solution, ...]:
        """The best fit at each strength: downwards from the roots, which have no slopes, with what searches
        found where they did, and back upwards.

        A chain that needs too many slopes ends, and where `strict` one that no longer arrives at an optimum;
        the path ends where no chain is left.
        """
        pr, count = self.likelihood, len(alphas)
        sparse = bool(self.terms.l1.any() or len(self.terms.group_weight))
        limit = pr.most if sparse else pr.size

        def pick(candidates: Sequence[Solution | None]) -> Solution | None:
            small = [
                p
                for p in candidates
                if p is not None and len(p.support) <= limit and (not strict or p.violation <= ARRIVED)
            ]
            return max(small, key=lambda p: rank(pr, p)) if small else None

        def anew(alpha: float) -> list[Solution]:
            return [self.at(alpha, root, np.inf) for root in roots]

        best: list[Solution | None] = []
        above, before = None, np.inf
        for i, alpha in enumerate(alphas):
            tell("path", i, 2 * count, "")
            candidates = [self.at(alpha, p, max(at, alpha)) for at, p in found if _enters(at, i, alphas)]
            if alpha >= alpha_max:
                candidates = list(roots)
            elif above is not None:
                candidates.append(self.at(alpha, above, before))
            elif not best or best[-1] is not None:
                candidates += anew(alpha)
            here = pick(candidates)
            if above is not None and (here is None or pr.collapsed(here.u).any()):
                here = pick([*candidates, *anew(alpha)])
            if here is None and best and not any(at < alpha for at, _ in found):
                break
            best.append(here if here is not None or best else min(candidates, key=lambda p: len(p.support)))
            above, before = (here, float(alpha)) if here is not None and here.slopes.any() else (None, np.inf)
        for i in range(len(best) - 2, -1, -1):
            tell("path", 2 * count - 1 - i, 2 * count, "")
            alpha, below, here = float(alphas[i]), best[i + 1], best[i]
            if alpha >= alpha_max or below is None or pr.collapsed(below.u).any():
                continue
            other = self.at(alpha, below, alpha, ROUGH_VIOLATION)
            if here is None or rank(pr, other) > rank(pr, here):  # worth the end of the way
                best[i] = pick([here, self.at(alpha, other, alpha)]) or here
        whole = [p is not None for p in best]
        return tuple(p for p in best[: whole.index(False) if False in whole else len(best)] if p is not None)


def _enters(at: float, i: int, alphas: np.ndarray) -> bool:
    """Whether a fit found at `at` enters the path at its i-th strength: the first one not above it, or the
    last."""
    above = alphas[i - 1] if i else np.inf
    return bool(alphas[i] <= at < above or (i == len(alphas) - 1 and at < alphas[i]))

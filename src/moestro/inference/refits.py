"""Samples that a fit is repeated on: the bootstrap by weights, rows or groups, the parametric one, and the
jackknife."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from ..errors import DataError, quiet
from ..solvers.pool import quietly
from .clusters import Joint
from .request import Request

LEAST = 0.5  # of the refits, which must be usable
SEARCH = 8  # uninformed starts of a refit whose own basin was lost


def codes_of(request: Request, clusters: Joint | None, n: int) -> np.ndarray:
    """What is drawn, or left out, together, (n,)."""
    groupings = () if clusters is None else clusters.groupings
    if len(groupings) > 1:
        raise DataError(f"cov={request.kind!r} takes one-way clusters only")
    return groupings[0].codes if groupings else np.arange(n)


def weights_of(request: Request, w: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
    """Weights (n,) of each refit, from those of the fit.

    "weights" multiplies by exponential variables (Bayesian bootstrap, Rubin, 1981), "rows" by how often each
    is drawn with replacement (Efron, 1979); the jackknife leaves out each once.
    """
    used = np.unique(codes[w > 0])
    if request.kind == "jackknife":
        if len(used) < 2:
            raise DataError("the jackknife leaves out each row, group or cluster once, and there is one only")
        for code in used:
            yield np.where(codes == code, 0.0, w)
        return
    for rng in generators(request):
        factor = np.zeros(int(codes.max()) + 1)
        if request.resample == "rows":
            factor[used] = rng.multinomial(len(used), np.full(len(used), 1.0 / len(used)))
        else:
            factor = rng.exponential(size=len(factor))
        yield w * factor[codes]


def generators(request: Request) -> Iterator[np.random.Generator]:
    """Of each draw: it depends on the seed and its number alone."""
    if not isinstance(request.n_bootstrap, Integral) or request.n_bootstrap < 2:
        raise DataError(f"bootstrap needs at least 2 replicates, got {request.n_bootstrap!r}")
    for seed in np.random.SeedSequence(request.random_state).spawn(request.n_bootstrap):
        yield np.random.default_rng(seed)


def repeat(
    one: Callable[[Any], Any], samples: Iterator[Any], threads: int, request: Request
) -> tuple[Sequence[Any], int]:
    """What `one` makes of each sample, without the None of a refit that is not usable, and how many those
    are."""
    items, every = list(samples), []
    for found in in_parallel(one, items, threads):
        every.append(found)
        if request.progress is not None:
            request.progress(request.kind, len(every), len(items), "")
    draws = [found for found in every if found is not None]
    if len(draws) < max(LEAST * len(every), 2):
        raise DataError(
            f"only {len(draws)} of {len(every)} refits of the {request.kind} are usable: an expert collapses "
            "or has too few rows in the others. Use fewer experts"
        )
    return draws, len(every) - len(draws)


def in_parallel(function: Callable[[Any], Any], items: Sequence[Any], threads: int) -> Iterator[Any]:
    """`function` of every item, in their order, on threads, or wherever a joblib.parallel_config about the
    call says: on processes ("loky") or the workers of a cluster ("dask")."""
    run = Parallel(n_jobs=threads, prefer="threads", return_as="generator")
    yield from run(delayed(quietly)(function, item) for item in items)


def deviations(kind: str, draws: np.ndarray) -> np.ndarray:
    """R (m, G) with R R' the covariance of the refits' numbers (G, m): of jackknifed ones
    (G - 1) / G sum (d - mean)(d - mean)'."""
    G = len(draws)
    return (draws - draws.mean(axis=0)).T * np.sqrt((G - 1) / G if kind == "jackknife" else 1 / (G - 1))


def covariance_of(kind: str, draws: np.ndarray) -> np.ndarray:
    """Covariance (m, m) of the refits' numbers (G, m)."""
    with quiet():  # units of 1e150: a number beyond doubles is none, and is told so
        root = deviations(kind, draws)
        return root @ root.T

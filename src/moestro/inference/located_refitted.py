"""Covariance of a located fit from fits to other samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import DataError
from ..gates import log_sum_exp
from ..located import LocatedFit, LocatedMeasure, fit_located
from ..located.holes import has_holes
from ..solvers import StatusKind
from .located import ILL, LocatedCovariance, listed, located_covariance
from .refits import SEARCH, codes_of, covariance_of, generators, repeat, weights_of
from .request import Request, joint
from .terms import Terms


def located_refitted(
    fit: LocatedFit,
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    request: Request,
    threads: int = 1,
) -> LocatedCovariance:
    """Covariance over refits, each started at the estimate.

    Where its basin is lost the refit is searched, and its experts are matched to those of the estimate; where
    nothing usable is found it is left out and counted.
    """
    spec, terms = fit.specification, Terms.of(fit.measure, fit.specification)

    def one(sample: tuple[np.ndarray, np.ndarray, np.ndarray | None]) -> LocatedMeasure | None:
        own_x, own_y, weights = sample
        how: dict[str, Any] = {"weights": weights, "tol": 1e-6, "n_jobs": 1, **vars(spec)}
        again = fit_located(own_x, own_y, fit.k, initial=fit.measure, **how)
        if again.status.usable or not fit.status.usable:
            return again.measure
        again = fit_located(own_x, own_y, fit.k, n_starts=SEARCH, seed=0, **how)
        return located_matched(fit.measure, again.measure, x, y) if again.status.usable else None

    draws, failed = repeat(one, _samples(fit, x, y, w, request), threads, request)
    ill = ILL.get(fit.status.kind, "")
    notes = [ill if ill and t.component in fit.status.experts else "" for t in listed(terms)]
    if fit.status.kind == StatusKind.FLAT and not has_holes(x, y):
        notes = list(located_covariance(fit, x, y, w).notes)  # as of the information: see `refitted`
    matrix = covariance_of(request.kind, np.array([terms.values(measure) for measure in draws]))
    return LocatedCovariance(matrix, tuple(notes), request.kind, None, tuple(draws), failed=failed)


def located_matched(
    measure: LocatedMeasure, other: LocatedMeasure, x: np.ndarray, y: np.ndarray
) -> LocatedMeasure:
    """`other` with its atoms in the order of those of `measure` that claim the same rows x, y."""
    a, b = (m.log_joint(x, y) for m in (measure, other))
    shared = np.exp(a - log_sum_exp(a)).T @ np.exp(b - log_sum_exp(b))
    return other.permute(linear_sum_assignment(-shared)[1])


def _samples(
    fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None, request: Request
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    if request.resample != "parametric":
        codes = codes_of(request, joint(request, len(x), w), len(x))
        for new in weights_of(request, np.ones(len(x)) if w is None else w, codes):
            yield x, y, new
        return
    if has_holes(x, y):
        raise DataError(
            "the parametric bootstrap draws complete rows: resample='weights' keeps the missing values"
        )
    if w is not None or request.cluster is not None:
        raise DataError("the parametric bootstrap draws each row by itself: it takes no weights or clusters")
    for rng in generators(request):
        own_x, own_y, _ = fit.measure.sample(len(x), rng)
        yield own_x, own_y, None

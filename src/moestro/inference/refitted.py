"""Covariance of a softmax-gated fit from fits to other samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import DataError
from ..problems import MixtureFit, fit_mixture
from ..rows import Rows
from ..search import Options
from ..solvers import StatusKind
from .covariance import Covariance, covariance, joint_of
from .refits import SEARCH, codes_of, covariance_of, generators, repeat, weights_of
from .request import Request
from .shares import average_gate

UNIDENTIFIED = (StatusKind.SEPARATED, StatusKind.FLAT, StatusKind.BOUNDARY)


def refitted(
    fit: MixtureFit, rows: Rows, request: Request, engine: str = "auto", threads: int = 1
) -> Covariance:
    """Covariance over refits, each started at the estimate.

    Labels stay matched because a refit begins in the basin of the estimate. Where that basin is lost, an
    expert collapsing or left with too few rows, the refit is searched, and its experts are matched to those
    of the estimate; where nothing usable is found it is left out and counted. What is separated or lies in a
    direction without information has no standard error, as in the information: its refits end at the bound of
    the parameters, or anywhere.
    """
    near = Options(
        engine=engine, threads=1, n_starts=1, tol=1e-6, initial=(fit.theta,), only_initial=True, nested=False
    )

    def one(sample: Rows) -> np.ndarray | None:
        again = fit_mixture(fit.model, sample, near)
        if again.status.usable or not fit.status.usable:
            return again.theta
        wide = replace(near, n_starts=SEARCH, only_initial=False, seed=0)
        again = fit_mixture(fit.model, sample, wide)
        return matched(fit, again.theta) if again.status.usable else None

    draws, failed = repeat(one, _samples(fit, rows, request), threads, request)
    draws = np.array(draws)
    drawn = np.array([average_gate(fit.model, theta, rows) for theta in draws])
    errors = np.sqrt(np.diag(covariance_of(request.kind, drawn)))
    identified, experts = fit.coordinates.free, ()
    if fit.status.kind in UNIDENTIFIED:
        known = covariance(fit, rows, engine=engine, threads=threads)
        identified, experts = known.identified, known.experts
    return Covariance(
        covariance_of(request.kind, draws), identified, request.kind, experts, draws,
        np.stack([average_gate(fit.model, fit.theta, rows), errors]), failed,
    )  # fmt: skip


def _samples(fit: MixtureFit, rows: Rows, request: Request) -> Iterator[Rows]:
    if request.resample != "parametric":
        codes = codes_of(request, joint_of(rows, request), rows.n_units)
        w = np.ones(rows.n_units) if rows.w is None else rows.w
        for new in weights_of(request, w, codes):
            yield replace(rows, w=new)
        return
    if any(a is not None for a in (rows.w, rows.labels, request.cluster)):
        raise DataError(
            "the parametric bootstrap draws each row, or group, by itself: it takes no weights, clusters or "
            "known experts"
        )
    for rng in generators(request):
        yield simulated(fit, rows, rng)


def simulated(fit: MixtureFit, rows: Rows, rng: np.random.Generator) -> Rows:
    """The rows with responses that are drawn from the fit at their columns."""
    if fit.model.family.takes_bounds and rows.known is not None and rows.known.shape[1] > 1:
        raise DataError(
            "the parametric bootstrap does not know how new draws would be censored: use resample='rows' "
            "or 'weights'"
        )
    drawn = [fit.model.sample(fit.theta, b.z, b.x, rng, b.known, b.groups)[0] for b in rows.blocks()]
    return replace(rows, y=rows.y_center + rows.y_scale * np.concatenate(drawn))


def matched(fit: MixtureFit, theta: np.ndarray) -> np.ndarray:
    """theta with its experts in the order of those of the fit that they are nearest to."""
    m = fit.model
    if not m.constraints.symmetric:  # its experts are told apart already
        return theta
    a, b = (
        np.concatenate([m.expert_coefficients(t).reshape(m.k, -1), m.nuisances(t)], axis=1)
        for t in (fit.theta, theta)
    )
    gap = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    laws = [m.law(e) for e in range(m.k)]
    gap[[[own != other for other in laws] for own in laws]] = np.inf
    return m.permute(theta, linear_sum_assignment(gap)[1])

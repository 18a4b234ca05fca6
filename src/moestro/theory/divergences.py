"""Divergences between two conditional laws, averaged over rows of inputs.

Exact sums for classes and counts, Gauss-Legendre quadrature for a real response (pieces cut at every expert's
mean and multiples of its standard deviation), Monte Carlo with its error for anything that only samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..distribution import PredictiveDistribution
from ..errors import DataError, quiet
from .asked import number, reals

NODES = 12
CUTS = np.array([0.0, 0.7, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0])
POINTS = 400_000  # of (row, y) held at once


@dataclass(frozen=True)
class Divergence:
    """Mean over rows, and its Monte Carlo standard error (0 where the integral is exact or by quadrature).

    Attributes
    ----------
    value, error : float
    rows : ndarray of shape (n,)
        One number a row of inputs.
    """

    value: float
    error: float
    rows: np.ndarray

    def __float__(self) -> float:
        return self.value


def hellinger(p: PredictiveDistribution, q: PredictiveDistribution) -> Divergence:
    """h(p, q), h^2 = 1/2 int (sqrt p - sqrt q)^2 at each row, then the mean of h over rows."""

    def integrand(lp: np.ndarray, lq: np.ndarray) -> np.ndarray:
        return 0.5 * (np.exp(0.5 * lp) - np.exp(0.5 * lq)) ** 2

    return _finish(np.sqrt(np.maximum(_integrate(p, q, integrand), 0.0)))


def total_variation(p: PredictiveDistribution, q: PredictiveDistribution) -> Divergence:
    """V = 1/2 int |p - q|, averaged over rows."""
    return _finish(_integrate(p, q, lambda lp, lq: 0.5 * np.abs(np.exp(lp) - np.exp(lq))))


def kl(p: PredictiveDistribution, q: PredictiveDistribution) -> Divergence:
    """KL(p, q) = int p log(p / q), averaged over rows."""
    return _finish(_integrate(p, q, lambda lp, lq: np.exp(lp) * (lp - lq)))


def jensen_kl(p: PredictiveDistribution, q: PredictiveDistribution, rho: float = 0.5) -> Divergence:
    """JKL_rho(p, q) = KL(p, (1 - rho) p + rho q) / rho, averaged over rows; 0 < rho < 1 (arXiv
    2104.08959)."""
    a, b = _logs(rho)
    return _finish(_integrate(p, q, lambda lp, lq: np.exp(lp) * (lp - np.logaddexp(a + lp, b + lq)) / rho))


def monte_carlo(
    log_p: Callable[[np.ndarray], np.ndarray], log_q: Callable[[np.ndarray], np.ndarray], draws: np.ndarray,
    kind: str = "kl", rho: float = 0.5,
) -> Divergence:  # fmt: skip
    """A divergence from draws of p, for laws without quadrature (several responses), with its standard error.

    Parameters
    ----------
    log_p, log_q : callable
        Map draws to log-densities (n,).
    draws : array of n draws from p
    kind : {"kl", "jensen-kl", "hellinger", "total-variation"}
        "hellinger" estimates h^2.

    Raises
    ------
    DataError
        With less than two draws, and where log-densities are not one number a draw.
    """
    if not callable(log_p) or not callable(log_q):
        raise DataError("log_p and log_q must be callable: they map draws to log-densities")
    if len(np.atleast_1d(reals("draws", draws))) < 2:
        raise DataError("a mean with its error needs at least two draws")
    draws = np.asarray(draws)
    a, b = _logs(rho)
    lp, lq = (np.asarray(of(draws), dtype=float) for of in (log_p, log_q))
    if any(v.shape != draws.shape[:1] or np.isnan(v).any() for v in (lp, lq)):
        raise DataError(f"log_p and log_q must give a number for each of {len(draws)} draws")
    with quiet():  # a draw that q cannot give: the divergence may be infinite
        if kind == "kl":
            rows = lp - lq
        elif kind == "jensen-kl":
            rows = (lp - np.logaddexp(a + lp, b + lq)) / rho
        elif kind == "hellinger":
            rows = 1.0 - np.exp(0.5 * (lq - lp))
        elif kind == "total-variation":
            rows = np.maximum(1.0 - np.exp(lq - lp), 0.0)
        else:
            raise DataError(f"kind={kind!r} is unknown")
        return Divergence(float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows))), rows)


def _logs(rho: object) -> tuple[float, float]:
    """log(1 - rho) and log(rho)."""
    if not 0 < (rho := number("rho", rho)) < 1:
        raise DataError(f"rho must lie strictly between 0 and 1, got {rho}")
    return float(np.log1p(-rho)), float(np.log(rho))


def _finish(rows: np.ndarray) -> Divergence:
    return Divergence(float(rows.mean()), 0.0, rows)


def _integrate(
    p: PredictiveDistribution,
    q: PredictiveDistribution,
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """int f(log p, log q) dy at each row, shape (n,)."""
    for law in (p, q):
        if not isinstance(law, PredictiveDistribution) or not len(law):
            raise DataError("both laws must be those of `conditional` or `predict_distribution`, with a row")
    alike = p.family.name == q.family.name and p.family.labels == q.family.labels
    if len(p) != len(q) or not alike:
        raise DataError("both laws must be given at the same rows and for the same kind of response")
    if p.family.labels:
        y = np.arange(p.family.labels, dtype=float)
        return _sum(p, q, f, lambda at: (np.broadcast_to(y, (at.stop - at.start, len(y))), 1.0), len(y))
    if p.family.discrete:
        top = max(
            float((d.family.mean(d.eta) + 12 * np.sqrt(d.family.variance(d.eta))).max()) for d in (p, q)
        )
        y = np.arange(np.ceil(top) + 30)
        return _sum(p, q, f, lambda at: (np.broadcast_to(y, (at.stop - at.start, len(y))), 1.0), len(y))
    t, weight = np.polynomial.legendre.leggauss(NODES)
    cuts = np.concatenate([_cuts(p), _cuts(q)], axis=1)
    cuts.sort(axis=1)

    def grid(at: slice) -> tuple[np.ndarray, np.ndarray]:
        left, right = cuts[at, :-1, None], cuts[at, 1:, None]
        half = 0.5 * (right - left)
        y = 0.5 * (left + right) + half * t
        return y.reshape(len(y), -1), (half * weight).reshape(len(y), -1)

    return _sum(p, q, f, grid, (cuts.shape[1] - 1) * NODES)


def _cuts(p: PredictiveDistribution) -> np.ndarray:
    mean = p.center + p.scale * p.family.mean(p.eta)
    sd = p.scale * np.sqrt(p.family.variance(p.eta))
    offsets = np.concatenate([-CUTS[:0:-1], CUTS])
    return (mean[:, :, None] + sd[:, :, None] * offsets).reshape(len(mean), -1)


def _sum(
    p: PredictiveDistribution,
    q: PredictiveDistribution,
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
    grid: Callable[[slice], tuple[np.ndarray, np.ndarray | float]],
    width: int,
) -> np.ndarray:
    out = np.empty(len(p))
    step = max(1, POINTS // width)
    for start in range(0, len(p), step):
        at = slice(start, min(start + step, len(p)))
        y, weight = grid(at)
        out[at] = (f(p.at(at).log_pdf(y), q.at(at).log_pdf(y)) * weight).sum(axis=1)
    return out

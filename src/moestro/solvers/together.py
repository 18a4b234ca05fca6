"""Newton's method of many fits side by side: what a search of many starts spends its time on.

The steps are those of `newton`, (lam D - H) p = g with lam following the agreement of gain and prediction. A
fit leaves when its gradient has vanished, when no step is left, or at the limit. Saddles are not examined
here: the polish of the finalists leaves them. Where the model is compiled, so is the loop
(`core/newton.cpp`), each fit whole on one thread; else the fits go in step, values, gradients and Hessians of
all from one call of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _core
from ..engine import Evaluation, NativeEngine, Order
from . import damping
from .base import RIDGE, ROUNDING, ROUNDOFF, Cancelled
from .coordinates import Objective
from .damping import ENOUGH, HEAVIEST, after_refusal, after_step
from .newton import LEAST
from .pool import Pool

DAMPING = 0.1


@dataclass(frozen=True)
class Ends:
    """Where several fits stopped.

    Attributes
    ----------
    phi : ndarray of shape (S, P)
    value : ndarray of shape (S,)
    mass : ndarray of shape (S, k)
    iterations : ndarray of int, shape (S,)
    converged : ndarray of bool, shape (S,)
    """

    phi: np.ndarray
    value: np.ndarray
    mass: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


def newton_together(objective: Objective, phi: np.ndarray, tol: float, limit: int, pool: Pool) -> Ends:
    """Maximise from each of phi (S, P) until the projected gradient per weight is at most `tol`, in at most
    `limit` evaluations."""
    owner = objective.coordinates.map.owner
    if isinstance(objective.engine, NativeEngine) and owner is not None:
        return _compiled(objective.engine, objective, owner, phi, tol, limit, pool.threads)
    return in_step(objective, phi, tol, limit, pool)


def _compiled(
    engine: NativeEngine,
    objective: Objective,
    owner: np.ndarray,
    phi: np.ndarray,
    tol: float,
    limit: int,
    threads: int,
) -> Ends:
    c = objective.coordinates
    region = {
        "start": DAMPING, "least": LEAST, "floor": damping.FLOOR, "stuck": HEAVIEST,
        "enough": ENOUGH, "good": damping.GOOD, "poor": damping.POOR,
        "shrink": damping.SHRINK, "raise_": damping.RAISE, "growth": damping.GROWTH,
        "ridge": RIDGE, "roundoff": ROUNDOFF, "rounding": ROUNDING, "tol": tol, "limit": limit,
    }  # fmt: skip
    return Ends(*engine.newton(phi, owner, c.lower, c.upper, threads, **region))


def in_step(objective: Objective, phi: np.ndarray, tol: float, limit: int, pool: Pool) -> Ends:
    """The same, one evaluation of all fits after another: the readable twin, for any engine."""
    c, n = objective.coordinates, objective.weight_sum
    phi = phi.copy()
    at = objective.evaluate_all(phi, Order.CURVATURE, threads=pool.threads)
    value, mass, g, D, H = (np.array(a) for a in _parts(at))
    lam = np.full(len(phi), DAMPING)
    iterations, converged = np.zeros(len(phi), dtype=int), np.zeros(len(phi), dtype=bool)
    active = np.flatnonzero(np.isfinite(value))
    for _ in range(limit):
        inner = objective.inward(phi[active], g[active])
        done = np.abs(np.where(inner, g[active], 0.0)).max(axis=1, initial=0.0) / n <= tol
        converged[active[done]] = True
        stay = ~done & (lam[active] < HEAVIEST)
        active, inner = active[stay], inner[stay]
        if not len(active):
            break
        if pool.cancel.is_set():
            raise Cancelled
        iterations[active] += 1
        padded = RIDGE * n, objective.diagonal_share
        p, solved = _steps(g[active], D[active], H[active], lam[active], inner, padded, pool.threads)
        trial = np.clip(phi[active] + p, c.lower, c.upper)
        p = trial - phi[active]
        curved = (H[active] @ p[:, :, None])[:, :, 0]
        predicted = (p * (g[active] + 0.5 * curved)).sum(axis=1)
        go = solved & (predicted > 0)
        lam[active[~go]] = after_refusal(lam[active[~go]])
        moved = active[go]
        if not len(moved):
            continue
        new = objective.evaluate_all(trial[go], Order.CURVATURE, threads=pool.threads)
        fresh = _parts(new)
        with np.errstate(invalid="ignore"):
            gain = fresh[0] - value[moved]
            ratio = gain / predicted[go]
            small = predicted[go] <= ROUNDING * (1.0 + np.abs(value[moved]))
            better = (
                np.isfinite(fresh[0])
                & np.isfinite(fresh[2]).all(axis=1)
                & ((ratio > ENOUGH) | (small & (gain >= 0)))
            )
        at_better = moved[better]
        phi[at_better] = trial[go][better]
        for old, part in zip((value, mass, g, D, H), fresh, strict=True):
            old[at_better] = part[better]
        lam[moved] = np.where(better, after_step(lam[moved], ratio, LEAST), after_refusal(lam[moved]))
        lam[moved[small & ~better]] = HEAVIEST
    return Ends(phi, value, mass, iterations, converged)


def _parts(e: Evaluation) -> tuple[np.ndarray, ...]:
    assert e.gradient is not None and e.information is not None and e.curvature is not None
    return np.asarray(e.value), e.mass, e.gradient, e.information, e.curvature


def _steps(
    g: np.ndarray,
    D: np.ndarray,
    H: np.ndarray,
    lam: np.ndarray,
    inner: np.ndarray,
    padded: tuple[float, float],
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(lam D - H)^-1 g (S, P) in the coordinates that can move, and where that matrix is positive definite
    (S,); the diagonal of D is `padded` by a constant and a share of itself."""
    M = lam[:, None, None] * D - H
    P = M.shape[1]
    diagonal = np.einsum("sii->si", M)
    ridge, share = padded
    diagonal += lam[:, None] * (ridge + share * np.einsum("sii->si", D))
    if not inner.all():
        M *= inner[:, :, None] & inner[:, None, :]
        np.einsum("sii->si", M)[:] += ~inner
    p, solved = _core.solve_positive(M, np.ascontiguousarray(np.where(inner, g, 0.0)), threads)
    assert p.shape == (len(g), P)
    return p, solved > 0

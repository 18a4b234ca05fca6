"""EM with Anderson acceleration: the sufficient statistics are extrapolated, the likelihood never falls.

One EM step maps statistics S to F(S): M-step, then E-step. With residuals f = F - S, the next statistics are
S + f - (dS + dF) g where g minimises |f - df g| over the last few differences (Anderson, 1965; Walker and Ni,
2011). Where they give a lower log-likelihood, the plain step F is taken: EM's own guarantee holds at every
iteration. A higher log-likelihood does not tell whether a long step stayed in EM's basin, so the way from F
to the next statistics is at most `reach` |f|, and `reach` grows where the residual shrank and falls back
where it grew: extrapolation is trusted as far as EM was linear. Statistics are the right space: any M-step,
tied or structured, starts from them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..solvers.base import Cancelled, Info

MEMORY = 6
WIDE = 300_000  # numbers in the statistics beyond which differences are not kept
ROUNDING = 1e-13
REACH = 2.0  # first length of an extrapolation beyond the EM step, in lengths of that step
GROWTH = 4.0  # of the reach where the residual shrank


class Mapping(Protocol):
    """A model whose EM step maps statistics to statistics."""

    def em(self, flat: np.ndarray, previous: Any) -> tuple[Any, float, np.ndarray]: ...


@dataclass(frozen=True)
class Ascent:
    """Where EM stopped.

    Attributes
    ----------
    parameters : object
        Of the model, None if no M-step was possible.
    statistics : ndarray
        At the parameters.
    value : float
        Log-likelihood at the parameters.
    mismatch : float
        Largest change of a statistic per row in one EM step.
    trace : tuple of Info
        One an iteration: the log-likelihood, never falling; the mismatch there; the largest change of a
        statistic.
    """

    parameters: Any
    statistics: np.ndarray
    value: float
    mismatch: float
    converged: bool
    trace: tuple[Info, ...]

    @property
    def iterations(self) -> int:
        return len(self.trace)

    @property
    def values(self) -> tuple[float, ...]:
        """Log-likelihood by iteration."""
        return tuple(info.value for info in self.trace)


def climb(
    problem: Mapping,
    start: np.ndarray,
    tol: float,
    limit: int,
    memory: int = MEMORY,
    cancel: threading.Event | None = None,
) -> Ascent:
    """EM from statistics `start` until a step changes none by more than `tol` per row."""
    S = start
    parameters, value, F = problem.em(S, None)
    if parameters is None:
        return Ascent(None, F, value, np.inf, False, (Info(value, np.inf, 0.0),))
    differences: list[tuple[np.ndarray, np.ndarray]] = []  # (dS, df)
    f = F - S
    mismatch = float(np.abs(f).max())
    trace = [Info(value, mismatch, 0.0)]
    keep = memory if S.size <= WIDE else 0
    reach = REACH
    while mismatch > tol and len(trace) < limit:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        proposal = _extrapolated(S, f, F, differences, reach) if differences else F
        new, trial, G = problem.em(proposal, parameters)
        if differences and not trial >= value - ROUNDING * (1.0 + abs(value)):
            differences, proposal, reach = [], F, REACH
            new, trial, G = problem.em(F, parameters)
        if new is None:
            break
        g = G - proposal
        reach = reach * GROWTH if g @ g <= f @ f else max(reach / GROWTH, REACH)
        if keep:
            differences = [*differences[-(keep - 1) :], (proposal - S, g - f)]
        moved = float(np.abs(proposal - S).max())
        S, f, F, parameters, value = proposal, g, G, new, trial
        mismatch = float(np.abs(f).max())
        trace.append(Info(value, mismatch, moved))
    return Ascent(parameters, F, value, mismatch, mismatch <= tol, tuple(trace))


def _extrapolated(
    S: np.ndarray,
    f: np.ndarray,
    F: np.ndarray,
    differences: list[tuple[np.ndarray, np.ndarray]],
    reach: float,
) -> np.ndarray:
    dS = np.array([d for d, _ in differences])
    df = np.array([d for _, d in differences])
    scale = np.maximum(np.sqrt((df**2).sum(axis=1)), 1e-300)
    unit = df / scale[:, None]
    normal = unit @ unit.T
    normal[np.diag_indices(len(normal))] += 1e-12
    g = np.linalg.solve(normal, unit @ f) / scale
    beyond = -g @ (dS + df)
    length, most = np.sqrt(beyond @ beyond), reach * np.sqrt(f @ f)
    return F + beyond * min(1.0, most / max(length, 1e-300))

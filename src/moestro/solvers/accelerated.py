"""EM with Anderson acceleration: the sufficient statistics are extrapolated, the likelihood never falls.

One EM step maps statistics S to F(S): M-step, then E-step. With residuals f = F - S, the next statistics are
S + f - (dS + dF) g where g minimises |f - df g| over the last few differences (Anderson, 1965; Walker and Ni,
2011). Where they give a lower log-likelihood, the plain step F is taken: EM's own guarantee holds at every
iteration. A higher log-likelihood does not tell whether a long step stayed in EM's basin, so the way from F
to the next statistics is at most `reach` |f|, and `reach` grows where the residual shrank and falls back
where it grew: extrapolation is trusted as far as EM was linear. Statistics are the right space: any M-step,
tied or structured, starts from them.

Runs go on side by side, each as if it were alone: a step of small data costs little more for all of them than
for one. A run whose long step falls takes the plain one in the next round, and leaves when it has converged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .base import LONG, Cancelled, Info

MEMORY = 6
WIDE = 300_000  # numbers in the statistics beyond which differences are not kept
ROUNDING = 1e-13
RIDGE = 1e-12  # on the unit diagonal of the least squares
REACH = 2.0  # first length of an extrapolation beyond the EM step, in lengths of that step
GROWTH = 4.0  # of the reach where the residual shrank
FARTHEST = 1e100  # reach that is no limit any more


class Mapping(Protocol):
    """A model whose EM step maps statistics to statistics."""

    def em(
        self, flat: np.ndarray, previous: Sequence[Any] | None
    ) -> tuple[list[Any], np.ndarray, np.ndarray]: ...

    # of R runs with statistics (R, s): parameters (None where there are none), log-likelihoods, statistics


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


def accelerated_em(
    problem: Mapping,
    start: np.ndarray,
    tol: float,
    limit: int,
    memory: int = MEMORY,
    cancel: threading.Event | None = None,
) -> Ascent:
    """EM from statistics `start` (s,) until a step changes none by more than `tol` per row."""
    return accelerated_em_together(problem, start[None], tol, limit, memory, cancel)[0]


def accelerated_em_together(
    problem: Mapping,
    starts: np.ndarray,
    tol: float,
    limit: int,
    memory: int = MEMORY,
    cancel: threading.Event | None = None,
    hopeless: Callable[[Any], bool] | None = None,
) -> list[Ascent]:
    """The same from each of `starts` (R, s); a run whose parameters are found `hopeless` leaves, which is
    looked at every `LONG` steps."""
    S = np.array(starts)
    parameters, value, F = problem.em(S, None)
    f = F - S
    mismatch = np.abs(f).max(axis=1, initial=0.0)
    mismatch[[p is None for p in parameters]] = np.inf
    traces = [[Info(v, m, 0.0)] for v, m in zip(value.tolist(), mismatch.tolist(), strict=True)]
    ends: list[Any] = [None] * len(S)
    run, past = np.arange(len(S)), _Past(S.shape, memory if S.shape[1] <= WIDE else 0)
    leaves = (mismatch <= tol) | np.isinf(mismatch) | (limit <= 1)
    while True:
        if leaves.any():
            for i in np.flatnonzero(leaves):
                ends[run[i]] = (parameters[i], F[i], float(value[i]), float(mismatch[i]))
            stay = np.flatnonzero(~leaves)
            parameters = [parameters[i] for i in stay]
            run, S, f, F, value, mismatch = (a[stay] for a in (run, S, f, F, value, mismatch))
            past.keep(stay)
        if not len(run):
            return [
                Ascent(parameters, F, value, gap, gap <= tol, tuple(trace))
                for (parameters, F, value, gap), trace in zip(ends, traces, strict=True)
            ]
        if cancel is not None and cancel.is_set():
            raise Cancelled
        proposal = past.extrapolated(f, F)
        new, trial, G = problem.em(proposal, parameters)
        falls = past.known & ~(trial >= value - ROUNDING * (1.0 + np.abs(value)))
        leaves = np.array([p is None for p in new]) & ~falls  # no step is left
        back = np.flatnonzero(falls | leaves)
        if len(back):  # where they are, for the plain step next
            proposal[back], G[back], trial[back] = S[back], F[back], value[back]
            for i in back:
                new[i] = parameters[i]
        went = ~(falls | leaves)
        g = G - proposal
        moved = np.abs(proposal - S).max(axis=1, initial=0.0)
        past.add(went, proposal - S, f, g)
        past.forget(np.flatnonzero(falls))
        S, f, F, value, parameters = proposal, g, G, trial, new
        mismatch = np.abs(f).max(axis=1, initial=0.0)
        steps = zip(value.tolist(), mismatch.tolist(), moved.tolist(), strict=True)
        for i, (r, step) in enumerate(zip(run.tolist(), steps, strict=True)):
            if went[i]:
                traces[r].append(Info(*step))
                leaves[i] = step[1] <= tol or len(traces[r]) >= limit
                if hopeless is not None and len(traces[r]) % LONG == 0:
                    leaves[i] |= hopeless(new[i])


class _Past:
    """The last differences dS and df of each run, (R, memory, s), zeros where there are none, and how far the
    next extrapolation may reach."""

    def __init__(self, shape: tuple[int, ...], memory: int):
        self.memory, self.known = memory, np.zeros(shape[0], dtype=bool)
        self.next, self.reach = np.zeros(shape[0], dtype=int), np.full(shape[0], REACH)
        self.dS, self.df = (np.zeros((shape[0], memory, shape[1])) for _ in range(2))

    def keep(self, at: np.ndarray) -> None:
        """Of the runs `at` only."""
        for name in ("known", "next", "reach", "dS", "df"):
            setattr(self, name, getattr(self, name)[at])

    def add(self, went: np.ndarray, dS: np.ndarray, f: np.ndarray, g: np.ndarray) -> None:
        """A step dS from residuals f to residuals g, (R, s), of the runs that `went`."""
        shrank = (g * g).sum(axis=1) <= (f * f).sum(axis=1)
        reach = np.where(
            shrank, np.minimum(self.reach * GROWTH, FARTHEST), np.maximum(self.reach / GROWTH, REACH)
        )
        self.reach = np.where(went, reach, self.reach)
        if self.memory:
            at = np.flatnonzero(went)
            self.dS[at, self.next[at]], self.df[at, self.next[at]] = dS[at], (g - f)[at]
            self.next[at] = (self.next[at] + 1) % self.memory
            self.known[at] = True

    def forget(self, at: np.ndarray) -> None:
        self.dS[at], self.df[at], self.known[at], self.next[at], self.reach[at] = 0.0, 0.0, False, 0, REACH

    def extrapolated(self, f: np.ndarray, F: np.ndarray) -> np.ndarray:
        """The next statistics: F where no difference is known."""
        if not self.known.any():
            return F.copy()
        scale = np.maximum(np.sqrt((self.df**2).sum(axis=2)), 1e-300)
        unit = self.df / scale[:, :, None]
        normal = unit @ np.swapaxes(unit, 1, 2) + RIDGE * np.eye(self.memory)
        g = np.linalg.solve(normal, unit @ f[:, :, None])[:, :, 0] / scale
        beyond = -(g[:, None, :] @ (self.dS + self.df))[:, 0]
        length, most = np.sqrt((beyond**2).sum(axis=1)), self.reach * np.sqrt((f**2).sum(axis=1))
        return F + beyond * np.minimum(1.0, most / np.maximum(length, 1e-300))[:, None]

"""Trust-region steps from the gradient of all rows and the curvature of a random part of them.

With H_s the Hessian of a sample, weighted up to all rows, a step solves (-B + lam D) p = g as Newton's does,
B = H_s and D EM's information of the sample. The error shrinks by about sqrt(P / m) a step, P parameters on m
sampled rows, and a step reads all rows once, without their Hessian (Byrd, Chin, Neveitt and Nocedal, 2011).
The changes y of the gradient of all rows along the steps s correct B: of all symmetric matrices with
B s = y the nearest one, in the size that D gives it (BFGS, on -B).

What a step gains is read off the value of all rows, so the value never falls. Where a step contracts the
gradient slowly, in the norm g'(-B)^-1 g, the curvature is taken anew at the point where it stands: from the
same sample, and from the next larger one where it was fresh. After the largest come all rows, and the steps
are then Newton's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import Evaluation, Order
from .base import ROUNDING, Info, State, Target
from .damping import damped_step
from .newton import LEAST, SADDLE, Newton, is_definite, pad, proposals, solve_definite

SLOW = 0.6  # share of the gradient that a step leaves from which the curvature is taken anew
CURVED = 1e-8  # s'y beside s'Ds from which a step says something of the curvature


@dataclass(frozen=True)
class Memory:
    """Damping, the number of the sample (their count: all rows), the steps with its curvature so far, and the
    curvature -B and information D (P, P) of all rows that it stands for; None before they are taken."""

    lam: float
    sample: int
    steps: int = 0
    A: np.ndarray | None = None
    D: np.ndarray | None = None


@dataclass(frozen=True)
class Sampled:
    """Gradient steps over all rows, with the curvature of `samples`, growing random parts of them."""

    samples: Sequence[Target]
    name: str = "sampled"
    max_iter: int = 500
    damping: float = 1e-4
    escape_at: float = 1e-6  # a saddle is looked for once the gradient per weight is below this
    inner: int = 1

    def init(self, objective: Target, phi: np.ndarray) -> State:
        return State(phi, objective.evaluate(phi, Order.GRADIENT), Memory(self.damping, 0))

    def step(self, objective: Target, state: State) -> tuple[State, Info]:
        phi, e, memory = state.phi, state.evaluation, state.memory
        if memory.sample < len(self.samples) and memory.A is None:
            memory = self._curvature(objective, phi, memory)
        norm = _norm(objective, phi, e)
        if memory.sample < len(self.samples) and norm <= self.escape_at:
            inner = np.flatnonzero(objective.inward(phi, _gradient(e)))
            assert memory.A is not None and memory.D is not None
            if not is_definite((memory.A + SADDLE * memory.D)[np.ix_(inner, inner)]):
                memory = Memory(memory.lam, len(self.samples))  # a saddle, or flat: all rows decide
        if memory.sample == len(self.samples):
            return self._newton(objective, phi, e, memory.lam)
        new, trial, lam = self._moved(objective, phi, e, memory)
        if trial is None:
            memory = Memory(self.damping, memory.sample + (memory.steps == 0))
            return State(phi, e, memory), Info(e.value, norm, 0.0)
        assert memory.A is not None and memory.D is not None
        A = _corrected(memory.A, memory.D, trial - phi, _gradient(e) - _gradient(new))
        if _is_slow(objective, memory.A, (phi, e), (trial, new)):
            memory = Memory(lam, memory.sample + (memory.steps == 0))
        else:
            memory = replace(memory, lam=lam, A=A, steps=memory.steps + 1)
        left = _norm(objective, trial, new)
        return State(trial, new, memory), Info(new.value, left, float(np.abs(trial - phi).max()))

    def _newton(self, objective: Target, phi: np.ndarray, e: Evaluation, lam: float) -> tuple[State, Info]:
        if e.curvature is None:
            e = objective.evaluate(phi, Order.CURVATURE)
        state, info = Newton(escape_at=self.escape_at).step(objective, State(phi, e, lam))
        return replace(state, memory=Memory(state.memory, len(self.samples))), info

    def _curvature(self, objective: Target, phi: np.ndarray, memory: Memory) -> Memory:
        e = weighted_up(self.samples[memory.sample], objective, phi)
        assert e.information is not None and e.curvature is not None
        D = e.information.copy()
        pad(objective, D)
        return replace(memory, A=-e.curvature, D=D)

    def _moved(
        self, objective: Target, phi: np.ndarray, e: Evaluation, memory: Memory
    ) -> tuple[Evaluation, np.ndarray | None, float]:
        """A step uphill: everything there, where it is (None: nowhere), and the damping after it."""
        g = _gradient(e)
        inner = np.flatnonzero(objective.inward(phi, g))
        assert memory.A is not None and memory.D is not None
        A, D = memory.A[np.ix_(inner, inner)], memory.D[np.ix_(inner, inner)]

        def look(trial: np.ndarray) -> tuple[Evaluation, float]:
            new = objective.evaluate(trial, Order.GRADIENT)
            finite = np.isfinite(new.value) and np.isfinite(_gradient(new)).all()
            return new, new.value if finite else np.nan

        return damped_step(
            e.value, memory.lam, ROUNDING * (1 + abs(e.value)),
            proposals(objective, phi, inner, g[inner], A, D),
            lambda trial: objective.evaluate(trial, Order.VALUE).value, look,
            lambda trial, new: _norm(objective, trial, new) < 0.5 * _norm(objective, phi, e),
            LEAST,
        )  # fmt: skip


def weighted_up(sample: Target, objective: Target, phi: np.ndarray) -> Evaluation:
    """The sums of a sample at phi to order CURVATURE, in the size of all rows."""
    e, more = sample.evaluate(phi, Order.CURVATURE), objective.weight_sum / sample.weight_sum
    assert e.gradient is not None and e.information is not None and e.curvature is not None
    return Evaluation(
        more * e.value, more * e.mass, more * e.gradient, more * e.information, more * e.curvature
    )


def _corrected(A: np.ndarray, D: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The curvature A with A s = y: A - A s s'A / s'A s + y y' / s'y, where both are positive."""
    own = A @ s
    along, seen = float(s @ own), float(s @ y)
    least = CURVED * float(s @ (D @ s))
    if not (along > least and seen > least):
        return A
    return A - np.outer(own, own) / along + np.outer(y, y) / seen


def _is_slow(
    objective: Target,
    A: np.ndarray,
    before: tuple[np.ndarray, Evaluation],
    after: tuple[np.ndarray, Evaluation],
) -> bool:
    """Whether a step left more than `SLOW` of the gradient, in the norm of A^-1 on what can move."""
    phi, e = after
    inner = np.flatnonzero(
        objective.inward(phi, _gradient(e)) & objective.inward(before[0], _gradient(before[1]))
    )
    own = A[np.ix_(inner, inner)]
    sizes = []
    for _, seen in (before, after):
        g = _gradient(seen)[inner]
        step = solve_definite(own, g)
        if step is None:
            return True
        sizes.append(float(g @ step))
    return sizes[1] > SLOW**2 * sizes[0]


def _gradient(e: Evaluation) -> np.ndarray:
    assert e.gradient is not None
    return e.gradient


def _norm(objective: Target, phi: np.ndarray, e: Evaluation) -> float:
    return objective.gradient_norm(phi, _gradient(e))

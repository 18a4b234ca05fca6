"""Generalised EM, monotone, accelerated.

One pass gives the responsibilities' sums. The M-step is exact for Gaussian experts (weighted least squares
and weighted variance) and one Newton step of Q for the gate and the other families (Lange, 1995); it is
halved until the observed log-likelihood does not fall. Every second pair of steps is extrapolated (SQUAREM,
Varadhan and Roland, 2008) and the extrapolated point kept only where it is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..engine import Evaluation, Order
from .base import RIDGE, ROUNDING, ROUNDOFF, Info, State
from .coordinates import Coordinates, Objective

LONGEST = 1.0  # of a scoring step of a nuisance, which is a logarithm
SMALL = 48  # below it one solve of the whole block-diagonal system beats one a block


@dataclass(frozen=True)
class Statistics:
    """What the M-step reads; a leading axis stands for fits done side by side.

    Attributes
    ----------
    gradient : ndarray of shape (..., P)
    information : ndarray of shape (..., P, P)
    mass : ndarray of shape (..., k)
    """

    gradient: np.ndarray
    information: np.ndarray
    mass: np.ndarray

    @classmethod
    def of(cls, e: Evaluation) -> Statistics:
        assert e.gradient is not None and e.information is not None
        return cls(e.gradient, e.information, e.mass)


def m_step(objective: Objective, phi: np.ndarray, s: Statistics, ridge: float = RIDGE) -> np.ndarray:
    """phi (..., P) that raises Q, from the EM statistics at `phi`."""
    c, g, D = objective.coordinates, s.gradient, s.information
    at_bound = (phi <= c.lower) | (phi >= c.upper)
    if at_bound.any():  # hold coordinates that press against the box
        inner = objective.inward(phi, g)
        g = np.where(inner, g, 0.0)
        D = D * (inner[..., :, None] & inner[..., None, :]) + np.eye(c.size) * ~inner[..., None, :]
    step = np.zeros_like(phi)
    damping = ridge * objective.weight_sum
    exact = c.model.family.nuisance_step
    nuisance = c.block == -1
    blocks = c.blocks if exact or not nuisance.any() else (*c.blocks, np.flatnonzero(nuisance))
    for at in (slice(None),) if c.size <= SMALL else blocks:
        block = D.copy() if isinstance(at, slice) else D[..., at[:, None], at]
        width = block.shape[-1]
        diagonal = block.reshape(*block.shape[:-2], -1)[..., :: width + 1]
        diagonal += damping + ROUNDOFF * diagonal
        step[..., at] = np.linalg.solve(block, g[..., at, None])[..., 0]
    new = phi + step
    if exact and nuisance.any():
        # What the means gain is an expert's own where its coefficients are; else the variances wait a step.
        gain = np.zeros_like(s.mass) if c.linked else (g * step) @ c.predictors_of_expert
        new[..., nuisance] = _nuisances(c, exact, phi, g, s.mass, gain)
    elif nuisance.any():
        new[..., nuisance] = phi[..., nuisance] + np.clip(step[..., nuisance], -LONGEST, LONGEST)
    return np.minimum(np.maximum(new, c.lower), c.upper)


def _nuisances(
    c: Coordinates,
    exact: Callable[..., np.ndarray],
    phi: np.ndarray,
    g: np.ndarray,
    mass: np.ndarray,
    gain: np.ndarray,
) -> np.ndarray:
    """Those of experts that share theirs have the mass and the gain of all of them."""
    at, own = c.block == -1, c.nuisance_of_expert
    return exact(phi[..., at], mass @ own, g[..., at], gain @ own)


def run_em(
    objective: Objective,
    phi: np.ndarray,
    evaluate: Callable[[np.ndarray, Order], Evaluation],
    steps: int,
    ridge: float = RIDGE,
    held: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Run `steps` M-steps of several fits side by side, phi (S, P); a step that lowers its value is cut. Ends
    and values.

    One stacked solve serves all fits: for small data the interpreter, not the arithmetic, is what costs. Of
    the last step the value alone is asked for.
    """
    phi = phi.copy()
    e = evaluate(phi, Order.INFORMATION)
    value, at = np.array(e.value), Statistics.of(e)
    scale = np.ones((len(phi), 1))
    for left in range(steps - 1, -1, -1):
        target = m_step(objective, phi, at, ridge)
        if held is not None:
            target = np.where(held, phi, target)
        trial = phi + scale * (target - phi)
        new = evaluate(trial, Order.INFORMATION if left else Order.VALUE)
        with np.errstate(invalid="ignore"):
            better = np.isfinite(new.value) & (new.value >= value)
        phi[better], value[better] = trial[better], np.asarray(new.value)[better]
        if not left:
            break
        scale = np.where(better[:, None], 1.0, 0.25 * scale)
        fresh = Statistics.of(new)
        for old, part in (
            (at.gradient, fresh.gradient),
            (at.information, fresh.information),
            (at.mass, fresh.mass),
        ):
            old[better] = part[better]
    return phi, value


@dataclass(frozen=True)
class EM:
    """EM; with `accelerate` each iteration tries an extrapolation after two plain steps."""

    name: str = "em"
    max_iter: int = 5000
    accelerate: bool = True
    inner: int = 1

    def init(self, objective: Objective, phi: np.ndarray) -> State:
        return State(phi, objective.evaluate(phi, Order.INFORMATION))

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        first, moved = self._plain(objective, state)
        if not moved or not self.accelerate:
            return self._end(objective, state, first, stuck=not moved)
        second, moved = self._plain(objective, first)
        if not moved:
            return self._end(objective, state, second)
        r = first.phi - state.phi
        v = (second.phi - first.phi) - r
        length = float(np.linalg.norm(v))
        alpha = -float(np.linalg.norm(r)) / length if length > 0 else -1.0
        if alpha < -1.0:
            c = objective.coordinates
            far = np.clip(state.phi - 2 * alpha * r + alpha**2 * v, c.lower, c.upper)
            e = objective.evaluate(far, Order.INFORMATION)
            if np.isfinite(e.value) and e.value >= second.evaluation.value:
                second = State(far, e)
        return self._end(objective, state, second)

    @staticmethod
    def _plain(objective: Objective, state: State) -> tuple[State, bool]:
        """One EM step that does not lower the log-likelihood, and whether it moved."""
        phi, e = state.phi, state.evaluation
        target = m_step(objective, phi, Statistics.of(e))
        for _ in range(40):
            new = objective.evaluate(target, Order.INFORMATION)
            if np.isfinite(new.value) and new.value >= e.value:
                return State(target, new), new.value > e.value + ROUNDING * abs(e.value)
            target = phi + 0.5 * (target - phi)
        return state, False

    @staticmethod
    def _end(objective: Objective, old: State, new: State, stuck: bool = False) -> tuple[State, Info]:
        assert new.evaluation.gradient is not None
        norm = objective.gradient_norm(new.phi, new.evaluation.gradient)
        step = float(np.abs(new.phi - old.phi).max(initial=0.0))
        return new, Info(new.evaluation.value, norm, step, stuck)

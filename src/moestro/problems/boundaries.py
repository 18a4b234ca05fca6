"""Moves of a sparse gate that no derivative sees: a pattern search over its coefficients, experts held."""

from __future__ import annotations

import numpy as np

from ..rows import Block
from ..solvers import Objective

GAIN = 1e-3  # log-likelihood that a move must bring: far below what data can tell
FIRST_STEP, LAST_STEP = 0.3, 1e-5  # relative to a coefficient's size
FEWEST = 0.1  # share of one unit that the last step may let cross a boundary
SHRINK = 0.4
BLOCK = 4096


def move_boundaries(objective: Objective, phi: np.ndarray) -> np.ndarray | None:
    """phi with gate coefficients that raise the log-likelihood, found one at a time; None where none does."""
    c, rows = objective.coordinates, objective.engine.rows
    blocks = [(block, _densities(objective, phi, block)) for block in rows.blocks(BLOCK)]

    def value(at: np.ndarray) -> float:
        theta, total = c.expand(at), 0.0
        for block, f in blocks:
            u = c.model.scores(theta, block.z)
            weight = np.exp(u - u.max(axis=1, keepdims=True))
            with np.errstate(divide="ignore"):
                log_sum = np.log((weight * f).sum(axis=1)) - np.log(weight.sum(axis=1))
            total += float(block.w @ log_sum)
        return total

    phi = phi.copy()
    gate = np.flatnonzero((c.block == 0) & (c.lower < c.upper))
    start = best = value(phi)
    step, uphill = FIRST_STEP, np.ones(len(phi))
    while step > max(LAST_STEP, FEWEST / rows.n_units):
        gained = False
        for j in gate:
            for sign in (uphill[j], -uphill[j]):
                trial = phi.copy()
                trial[j] = np.clip(phi[j] + sign * step * max(abs(phi[j]), 0.1), c.lower[j], c.upper[j])
                new = value(trial)
                if np.isfinite(new) and new > best + GAIN:
                    phi, best, gained, uphill[j] = trial, new, True, sign
                    break
        step = step if gained else step * SHRINK
    return phi if best > start else None


def _densities(objective: Objective, phi: np.ndarray, block: Block) -> np.ndarray:
    """f_e of each unit of a block over the largest of them, (u, k)."""
    c = objective.coordinates
    eta = c.model.predictors(c.expand(phi), block.x, block.known)
    log_f = block.sum(c.model.family.log_density(eta, block.y[:, None]))
    return np.exp(log_f - log_f.max(axis=1, keepdims=True))

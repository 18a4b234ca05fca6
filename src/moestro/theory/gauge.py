"""The smallest loss over the translations that leave a gate unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Comparison(Protocol):
    """A loss of fitted atoms, moved by `shift`, against the true ones."""

    def cells(self, shift: np.ndarray | float) -> np.ndarray: ...

    def distances(self, cell: np.ndarray, shift: np.ndarray | float) -> np.ndarray: ...

    def total(
        self, cell: np.ndarray, distances: np.ndarray, weights: np.ndarray, true: np.ndarray
    ) -> float: ...


@dataclass(frozen=True)
class Translations:
    """Which translations a gate allows, and the weights and gate slopes that they move.

    Attributes
    ----------
    weights, true : ndarray
        e^beta_0 of fit (k,) and truth (k*,), or the weights pi.
    slopes, true_slopes : ndarray or None
        beta_1 where its translation is free.
    scale : bool
        Whether all weights may be multiplied by one number.
    """

    weights: np.ndarray
    true: np.ndarray
    slopes: np.ndarray | None
    true_slopes: np.ndarray | None
    scale: bool

    @classmethod
    def of(cls, measure: Any, truth: Any) -> Translations:
        if not hasattr(truth, "log_weights"):
            return cls(measure.weights, truth.weights, None, None, False)
        shift = truth.log_weights.max()  # a common factor: what overflows nowhere
        true = np.exp(truth.log_weights)
        weights = np.exp(np.minimum(measure.log_weights, 700.0))
        moves = truth.gate_translations
        if "weights" in moves:
            weights = np.exp(measure.log_weights - measure.log_weights.max())
            weights *= np.exp(shift) / weights.sum()
        free = "slopes" in moves and measure.gate_slopes.shape[1] > 0
        return cls(
            weights,
            true,
            measure.gate_slopes if free else None,
            truth.gate_slopes if free else None,
            "weights" in moves,
        )


def infimum(loss: Comparison, t: Translations, gauge: str) -> float:
    """The loss in the chosen gauge."""
    if gauge == "none":
        cell = loss.cells(0.0)
        return loss.total(cell, loss.distances(cell, 0.0), _as_given(t, loss), t.true)
    if gauge == "fixed":
        return _fixed(loss, t)
    if t.slopes is None or t.true_slopes is None:
        return _over_scale(loss, t, 0.0)
    return _over_slopes(loss, t, t.slopes, t.true_slopes)


def _as_given(t: Translations, loss: Any) -> np.ndarray:
    measure = loss.measure
    return np.exp(measure.log_weights) if hasattr(measure, "log_weights") else measure.weights


def aligned(loss: Comparison, t: Translations) -> tuple[np.ndarray | float, np.ndarray, np.ndarray]:
    """Shift of beta_1, cells and weights where the heaviest true atom's cell keeps its weight and its mean
    beta_1."""
    shift: np.ndarray | float = 0.0
    reference = int(np.argmax(t.true))
    if t.slopes is not None and t.true_slopes is not None:
        # The cells depend on the shift and the shift on the cells: the candidates that match an atom decide.
        candidates = [t.true_slopes[reference] - b for b in t.slopes]
        shift = min(candidates, key=lambda s: _over_scale(loss, t, s))
        inside = loss.cells(shift) == reference
        if inside.any():
            shift = t.true_slopes[reference] - np.average(t.slopes[inside], axis=0, weights=t.weights[inside])
    cell = loss.cells(shift)
    covered = t.weights[cell == reference].sum()
    scale = t.true[reference] / covered if t.scale and covered > 0 else 1.0
    return shift, cell, t.weights * scale


def _fixed(loss: Comparison, t: Translations) -> float:
    shift, cell, weights = aligned(loss, t)
    return loss.total(cell, loss.distances(cell, shift), weights, t.true)


def _over_scale(loss: Comparison, t: Translations, shift: np.ndarray | float) -> float:
    cell = loss.cells(shift)
    return _best_scale(loss, t, cell, loss.distances(cell, shift))


def _best_scale(loss: Comparison, t: Translations, cell: np.ndarray, distances: np.ndarray) -> float:
    """Smallest over factors s of the weights: piecewise linear and convex in s, so a kink is the minimum."""
    if not t.scale:
        return loss.total(cell, distances, t.weights, t.true)
    covered = np.bincount(cell, weights=t.weights, minlength=len(t.true))
    kinks = [b / a for a, b in zip(covered, t.true, strict=True) if a > 0]
    best = min(loss.total(cell, distances, s * t.weights, t.true) for s in kinks)
    if getattr(loss, "top_k", None) is not None:  # a maximum over subsets has kinks elsewhere too
        from scipy.optimize import minimize_scalar

        found: Any = minimize_scalar(
            lambda v: loss.total(cell, distances, np.exp(v) * t.weights, t.true),
            bounds=(np.log(min(kinks)) - 1, np.log(max(kinks)) + 1), method="bounded",
            options={"xatol": 1e-12},
        )  # fmt: skip
        best = min(best, float(found.fun))
    return best


def _over_slopes(loss: Comparison, t: Translations, slopes: np.ndarray, true: np.ndarray) -> float:
    """Every shift that lays a fitted beta_1 on a true one, and the best of them refined."""
    candidates = (true[None, :, :] - slopes[:, None, :]).reshape(-1, slopes.shape[1])
    values = np.array([_over_scale(loss, t, s) for s in candidates])
    best = float(values.min())
    if best == 0.0:
        return 0.0
    for s in candidates[np.argsort(values)[:2]]:
        best = min(best, _descend(loss, t, s))
    return best


def _descend(loss: Comparison, t: Translations, shift: np.ndarray) -> float:
    """Pattern search: the loss is convex in the shift while the cells stay, and has kinks where atoms
    meet."""
    step = max(1e-3, float(np.abs(shift).max()) * 1e-2)
    at, value = shift, _over_scale(loss, t, shift)
    floor = 1e-7 * (1.0 + float(np.abs(shift).max()))
    directions = np.vstack([np.eye(len(shift)), -np.eye(len(shift))])
    while step > floor:
        trials = [at + step * d for d in directions]
        found = [_over_scale(loss, t, s) for s in trials]
        i = int(np.argmin(found))
        if found[i] < value:
            at, value, step = trials[i], found[i], step * 2
        else:
            step *= 0.3
    return value

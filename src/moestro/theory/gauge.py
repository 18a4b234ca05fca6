"""The smallest loss over the translations that leave a gate unchanged.

The papers translate the truth (arXiv 2305.03288, 2309.13850):

    D(G, G*) = inf_{t1, t2}  sum_j | sum_{i in A_j} w_i - e^{t1} w*_j |
                             + sum_j sum_{i in A_j} w_i |Delta_ij(t2)|^rho

with beta_1i - beta*_1j - t2 in Delta and in the cells A_j. As printed this is homogeneous in the weights of
the fit: a translation of the fit by t1 multiplies it by e^{t1}. Here both measures have total weight one
first, so that D is invariant under translations of either, is zero only where the measures are equal up to
one, and is bounded by no translation: t1 does not touch the displacements.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Protocol

import numpy as np

DESCENTS = 4  # shifts of several columns that are refined


class Comparison(Protocol):
    """A loss of fitted atoms, moved by `shift`, against the true ones."""

    atoms: np.ndarray
    true_atoms: np.ndarray
    top_k: int | None

    def cells(self, shift: np.ndarray | float) -> np.ndarray: ...

    def distances(self, cell: np.ndarray, shift: np.ndarray | float) -> np.ndarray: ...

    def parts(
        self, cell: np.ndarray, distances: np.ndarray, weights: np.ndarray, true: np.ndarray
    ) -> np.ndarray: ...

    def total(
        self, cell: np.ndarray, distances: np.ndarray, weights: np.ndarray, true: np.ndarray
    ) -> float: ...


@dataclass(frozen=True)
class Translations:
    """Which translations a gate allows, and the weights and gate slopes that they move.

    Attributes
    ----------
    weights, true : ndarray
        e^beta_0 of fit (k,) and truth (k*,), each with sum one where `scale`, or the weights pi.
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
        moves = truth.gate_translations
        scale = "weights" in moves
        free = "slopes" in moves and measure.gate_slopes.shape[1] > 0
        weights, true = (_weights(m.log_weights, scale) for m in (measure, truth))
        if not free:
            return cls(weights, true, None, None, scale)
        return cls(weights, true, measure.gate_slopes, truth.gate_slopes, scale)


def _weights(log_weights: np.ndarray, scale: bool) -> np.ndarray:
    if not scale:
        return np.exp(np.minimum(log_weights, 700.0))
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def infimum(loss: Comparison, t: Translations, gauge: str) -> float:
    """The loss in the chosen gauge."""
    if gauge == "none":
        cell = loss.cells(0.0)
        return loss.total(cell, loss.distances(cell, 0.0), *_as_given(loss))
    if gauge == "fixed":
        shift, cell, weights, true = aligned(loss, t)
        return loss.total(cell, loss.distances(cell, shift), weights, true)
    if t.slopes is None or t.true_slopes is None:
        return _over_factor(loss, t, 0.0)
    candidates = (t.true_slopes[None, :, :] - t.slopes[:, None, :]).reshape(-1, t.slopes.shape[1])
    if candidates.shape[1] == 1:
        return _line(loss, t, candidates[:, 0])
    return _space(loss, t, candidates)


def _as_given(loss: Any) -> tuple[np.ndarray, ...]:
    return tuple(
        np.exp(m.log_weights) if hasattr(m, "log_weights") else m.weights for m in (loss.measure, loss.truth)
    )


def aligned(
    loss: Comparison, t: Translations
) -> tuple[np.ndarray | float, np.ndarray, np.ndarray, np.ndarray]:
    """Shift of the fit's beta_1, cells, weights of the fit, and of the truth, in the gauge where the heaviest
    true atom has the weight and the mean beta_1 of its cell."""
    shift: np.ndarray | float = 0.0
    reference = int(np.argmax(t.true))
    if t.slopes is not None and t.true_slopes is not None:
        # The cells depend on the shift and the shift on the cells: the candidates that match an atom decide.
        candidates = [t.true_slopes[reference] - b for b in t.slopes]
        shift = min(candidates, key=lambda s: _over_factor(loss, t, s))
        inside = loss.cells(shift) == reference
        mass = t.weights[inside].sum()
        if mass > 0:
            shift = t.true_slopes[reference] - t.weights[inside] @ t.slopes[inside] / mass
    cell = loss.cells(shift)
    covered = t.weights[cell == reference].sum()
    factor = covered / t.true[reference] if t.scale and covered > 0 else 1.0
    return shift, cell, t.weights, factor * t.true


def _over_factor(loss: Comparison, t: Translations, shift: np.ndarray | float) -> float:
    cell = loss.cells(shift)
    return _best_factor(loss, t, cell, loss.distances(cell, shift))


def _best_factor(loss: Comparison, t: Translations, cell: np.ndarray, distances: np.ndarray) -> float:
    """Smallest over the factor s = e^{t1} of the true weights, 0 its limit: piecewise linear and convex in s,
    so a kink is the minimum."""
    if not t.scale:
        return loss.total(cell, distances, t.weights, t.true)
    covered = np.bincount(cell, weights=t.weights, minlength=len(t.true))
    factors = {c / w for c, w in zip(covered, t.true, strict=True) if w > 0}
    if loss.top_k is not None:
        # A sum of the K largest lines changes where two of them meet.
        distance = loss.parts(cell, distances, t.weights, covered)
        for i, j in combinations(range(len(t.true)), 2):
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                slope = a * t.true[i] - b * t.true[j]
                if slope != 0:
                    gap = distance[i] + a * covered[i] - distance[j] - b * covered[j]
                    factors.add(max(gap / slope, 0.0))
        factors.add(0.0)
    return min(loss.total(cell, distances, t.weights, s * t.true) for s in factors if np.isfinite(s))


def _line(loss: Comparison, t: Translations, candidates: np.ndarray) -> float:
    """The infimum over shifts of one gate column.

    |omega_i + shift - omega*_j|^2 - |omega_i + shift - omega*_l|^2 is linear in the shift, so cells change at
    known shifts, and between two of them the loss is convex, with its minimum between shifts that lay one
    atom on another.
    """
    best = min(_over_factor(loss, t, np.array([s])) for s in candidates)
    if best == 0.0:
        return 0.0
    low, high = float(candidates.min()), float(candidates.max())
    edges = [low, *(e for e in _edges(loss) if low < e < high), high]
    pieces = []
    for left, right in pairwise(edges):
        cell = loss.cells(np.array([0.5 * (left + right)]))
        pieces.append((_best_factor(loss, t, cell, np.zeros(len(cell))), left, right, cell))
    for bound, left, right, cell in sorted(pieces, key=lambda piece: piece[0]):
        if bound < best and right > left:
            best = min(best, _piece(loss, t, cell, left, right))
    return best


def _edges(loss: Comparison) -> list[float]:
    """Shifts (of one column) at which an atom is as near to one true atom as to another, in order."""
    true = loss.true_atoms[:, 0]
    square = ((loss.atoms[:, None] - loss.true_atoms) ** 2).sum(axis=2)  # (k, k*)
    out = []
    for j, m in combinations(range(len(true)), 2):
        if true[j] != true[m]:
            out += list((square[:, j] - square[:, m]) / (2 * (true[j] - true[m])))
    return sorted(float(e) for e in out if np.isfinite(e))


def _piece(loss: Comparison, t: Translations, cell: np.ndarray, left: float, right: float) -> float:
    from scipy.optimize import minimize_scalar

    def at(shift: float) -> float:
        return _best_factor(loss, t, cell, loss.distances(cell, np.array([shift])))

    found: Any = minimize_scalar(
        at, bounds=(left, right), method="bounded", options={"xatol": 1e-10 * (right - left) + 1e-14}
    )
    return min(float(found.fun), at(left), at(right))


def _space(loss: Comparison, t: Translations, candidates: np.ndarray) -> float:
    """Every shift that lays a fitted beta_1 on a true one, and the best of them refined: an upper bound of
    the infimum, which is that of a function with many minima."""
    values = np.array([_over_factor(loss, t, s) for s in candidates])
    best = float(values.min())
    if best == 0.0:
        return 0.0
    for s in candidates[np.argsort(values)[:DESCENTS]]:
        best = min(best, _descend(loss, t, s))
    return best


def _descend(loss: Comparison, t: Translations, shift: np.ndarray) -> float:
    """Pattern search along random orthogonal directions: the loss has kinks where atoms meet, at which the
    axes alone would stall."""
    rng = np.random.default_rng(0)
    size = float(np.abs(shift).max())
    step = max(1e-3, size * 1e-2)
    at, value = shift, _over_factor(loss, t, shift)
    floor = 1e-8 * (1.0 + size)
    while step > floor:
        turned = np.linalg.qr(rng.standard_normal((len(shift), len(shift))))[0]
        trials = [at + step * d for d in np.vstack([turned, -turned])]
        found = [_over_factor(loss, t, s) for s in trials]
        i = int(np.argmin(found))
        if found[i] < value:
            at, value, step = trials[i], found[i], step * 2
        else:
            step *= 0.6
    return value

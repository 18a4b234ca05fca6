"""The optimum of a penalised quadratic model, once coordinate descent has found its signs."""

from __future__ import annotations

import numpy as np

FINISH = 10


def finish(
    model: tuple[np.ndarray, np.ndarray, np.ndarray], l1: np.ndarray, group: np.ndarray, weight: np.ndarray,
    to: np.ndarray, box: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """From `to`, the quadratic model's optimum by Newton's method on the face of its signs and bounds, as an
    active-set method walks.

    A step that would leave the face ends where it meets the first bound or zero, which then stays. `model` is
    (M, g, start).
    """
    M, g, start = model
    out = to.copy()
    open_ = (out > box[0]) & (out < box[1]) & ((out != 0) | ((l1 == 0) & (group < 0)))
    for _ in range(FINISH):
        at = np.flatnonzero(open_)
        r = (g + M @ (out - start) + l1 * np.sign(out))[at]
        H = M[np.ix_(at, at)]
        own = group[at]
        add_norms(r, H, out[at], own, weight)
        try:
            step = -np.linalg.solve(H, r)
        except np.linalg.LinAlgError:
            return out
        if not np.isfinite(step).all():
            return out
        length, first = _first_wall(out[at], step, l1[at], box[0][at], box[1][at])
        out[at] += length * step
        if first is not None:
            j = at[first]
            walls = [box[0][j], box[1][j]] + [0.0] * bool(l1[j] > 0)
            out[j] = min(walls, key=lambda wall: abs(wall - out[j]))
            open_[j] = False
        elif not (own >= 0).any() or np.abs(step).max(initial=0.0) < 1e-14 * (
            1 + np.abs(out).max(initial=0.0)
        ):
            break
    return out


def add_norms(g: np.ndarray, H: np.ndarray, x: np.ndarray, group: np.ndarray, weight: np.ndarray) -> None:
    """Add the gradient and the Hessian of sum_j weight_j ||x_j|| to g and H, not finite where a group is at
    zero; `group` (n,) is -1 for none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        for j in np.unique(group[group >= 0]):
            at = np.flatnonzero(group == j)
            own = x[at]
            size = float(np.linalg.norm(own))
            g[at] += weight[j] * own / size
            H[np.ix_(at, at)] += weight[j] / size * (np.eye(len(at)) - np.outer(own, own) / size**2)


def _first_wall(
    x: np.ndarray, step: np.ndarray, l1: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[float, int | None]:
    """How far x can go along `step` (at most 1) before a bound, or zero where there is an l1, and which entry
    meets it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.where(step > 0, (upper - x) / step, np.where(step < 0, (lower - x) / step, np.inf))
        zero = np.where((l1 > 0) & (x * step < 0), -x / step, np.inf)
    reach = np.minimum(bound, zero)
    first = int(np.argmin(reach)) if len(reach) else 0
    if not len(reach) or not reach[first] < 1.0:
        return 1.0, None
    return float(max(reach[first], 0.0)), first

"""One atom more than the truth: what the theorems' constant is, in the limit of small losses.

An atom theta of weight t = eps / |theta - theta_j*|^rho, taken from the true atom j, has a loss of eps
however far it is, and moves the density by t only. So, per unit of loss,

    c = inf over j, theta in cell j, y of  || g_theta - g_j + L y || / (|theta - theta_j*|^rho + cost(y))

with g_theta the derivative of the density in the weight of an atom at theta, L its derivatives in the
parameters of the true atoms, y their displacements, and cost(y) what those that are the only ones of their
cells add to the loss. As |theta| grows the numerator stays bounded: **the infimum is zero, unless the
parameters are bounded**, as the theorems say they are. And as theta approaches theta_j* the quotient is that
of second derivatives, two atoms of comparable weights moving apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .asked import number, whole, wholes
from .extra_atom import Appearing, Cell
from .losses import LOSSES
from .nearby import Nearby, check_question

DRAWS, REFINED = 1500, 8  # atoms drawn, and the best of them that are followed, beside twice as many others
STEPS, DIFFERENCE = 60, 1e-6
NEAREST = 1e-2  # of the box: the smallest displacement that is drawn


def appearing(
    truth: Any, loss: str, *, x: Any, z: Any = None, box: float, cells: Any = None, seed: int = 0
) -> Appearing:
    """The smallest Hellinger distance per unit of loss of one atom more, as the loss goes to zero.

    Parameters
    ----------
    truth : MixingMeasure
        With a softmax gate and multinomial or Poisson experts.
    loss : str
        A name of `LOSSES` whose powers of over-fitted atoms are above one.
    x, z : array-like
        Inputs, equally likely, and gate columns, as in `modulus`.
    box : float
        Bound of every component of the new atom.
    cells : sequence of int, optional
        True atoms that may be split; by default all.

    Raises
    ------
    DataError
        Where the box does not hold the truth, or experts are neither multinomial nor Poisson.
    """
    _, x, z = check_question(truth, getattr(truth, "k", 0) + 1, loss, None, x, z)
    if not truth.law.discrete:
        raise DataError(f"appearing knows multinomial and Poisson experts, not {truth.law.name} ones")
    box, seed = number("box", box, 0.0, open_=True), whole("seed", seed, 0)
    if not box > np.abs(truth.atoms()).max():
        raise DataError(
            f"box={box:g} does not hold the truth, whose largest component is {np.abs(truth.atoms()).max():g}"
        )
    near = Nearby(truth, np.arange(truth.k), LOSSES[loss], None, x, z)
    rng = np.random.default_rng(seed)
    chosen = range(truth.k) if cells is None else wholes("a cell", cells, 0, truth.k - 1)
    each = [_smallest(Cell(near, LOSSES[loss], j), box, rng) for j in chosen]
    return min(each, key=lambda a: a.constant)


def _smallest(cell: Cell, box: float, rng: np.random.Generator) -> Appearing:
    """The best of atoms drawn near and far, each of some followed by Levenberg and Marquardt's steps,
    side by side: the valleys are narrow."""
    home = cell.atoms[cell.j]
    size = len(home)
    low, high = np.full(size, -box), np.full(size, box)
    reach = np.exp(rng.uniform(np.log(NEAREST), 0.0, (DRAWS, 1)))
    theta = np.clip(home + 2 * box * reach * rng.uniform(-1, 1, (DRAWS, size)), low, high)
    r = cell.residuals(theta)
    order = np.argsort(_square(r))
    order = order[: int(np.isfinite(r[:, 0]).sum())]
    first = np.concatenate([order[:REFINED], rng.permutation(order[REFINED:])[: 2 * REFINED]])
    theta, r = theta[first], r[first]
    value, damping = _square(r), np.full(len(first), 1e-2)
    for _ in range(STEPS):
        h = DIFFERENCE * (1 + np.abs(theta))
        h = np.where(theta + h > high, -h, h)
        moved = (theta[:, None] + h[:, :, None] * np.eye(size)).reshape(-1, size)
        with np.errstate(invalid="ignore"):
            J = (cell.residuals(moved).reshape(len(theta), size, -1) - r[:, None]) / h[:, :, None]
        J = np.where(np.isfinite(J), J, 0.0)
        g, A = np.einsum("apr,ar->ap", J, r), np.einsum("apr,aqr->apq", J, J)
        held = ((theta <= low) & (g > 0)) | ((theta >= high) & (g < 0))
        A[held] = 0.0
        A.swapaxes(1, 2)[held] = 0.0
        scale = np.maximum(np.einsum("app->ap", A), 1e-30 + 1e-12 * value[:, None])
        A += damping[:, None, None] * scale[:, :, None] * np.eye(size)
        A += np.where(held, 1.0, 0.0)[:, :, None] * np.eye(size)
        step = -np.linalg.solve(A, np.where(held, 0.0, g)[:, :, None])[:, :, 0]
        trial = np.clip(theta + step, low, high)
        there = cell.residuals(trial)
        found = _square(there)
        better = found < value
        theta[better], r[better], value[better] = trial[better], there[better], found[better]
        damping = np.clip(np.where(better, 0.3, 4.0) * damping, 1e-9, 1e9)
    best = int(np.argmin(value))
    return cell.found(theta[best])


def _square(r: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (r**2).sum(axis=1)

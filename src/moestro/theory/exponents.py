"""The exponents r(m): how slowly m atoms that cover one true atom approach it.

r(m) is the smallest r for which a system of polynomial equations in the displacements of m atoms has no
non-trivial solution (Ho and Nguyen, 2016; arXiv 2305.03288, 2305.07572). In one dimension

    sum_j p_j^2 prod_i q_ij^{alpha_i} / alpha_i!  summed over the alpha of an index (l_1, l_2), is 0 for 1 <=
    l_1 + l_2 <= r

and each system is a rule that gives the index of an alpha. Atoms' weights p_j^2 do not vanish, and neither do
all intercepts.
"""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np

from ..errors import DataError
from .asked import number, whole

KNOWN = {1: 1, 2: 4, 3: 6}
LOWER_BOUND = 7  # what is known for m >= 4
MOST = 19  # atoms of a search, each with a weight above 0.05

# Unknowns of an atom, as (weight in l_1, weight in l_2): the order of the derivative that each one brings.
SYSTEMS: dict[str, dict[str, tuple[int, int]]] = {
    "location-scale": {"b": (0, 1), "sigma": (0, 2)},
    "softmax": {"b": (0, 1), "sigma": (0, 2), "beta_1": (1, 0), "a": (1, 1)},
    "gaussian-gate": {"b": (0, 1), "sigma": (0, 2), "c": (1, 0), "Gamma": (2, 0), "a": (1, 1)},
}


def voronoi_exponent(m: int, system: str = "softmax", *, unknown: float | None = None) -> float:
    """r(m): 1, 4, 6 for m = 1, 2, 3 in all three systems.

    The systems with a gate contain "location-scale" as their equations with l_1 = 0, and its solutions solve
    them with the gate's unknowns at zero, so their exponents agree.

    Parameters
    ----------
    m : int
        Fitted atoms that cover one true atom.
    system : {"location-scale", "softmax", "gaussian-gate"}
    unknown : float, optional
        Value to use from m = 4 on, where only r >= 7 is known.

    Raises
    ------
    DataError
        m >= 4 and no value given, or a value below 7.
    """
    if not isinstance(system, str) or system not in SYSTEMS:
        raise DataError(f"system={system!r} is unknown: choose one of {', '.join(SYSTEMS)}")
    m = whole("the number m of atoms of a cell", m)
    if unknown is not None:
        number("unknown, the exponent of four atoms and more,", unknown, LOWER_BOUND)
    if m in KNOWN:
        return KNOWN[m]
    if unknown is None:
        raise DataError(
            f"the exponent for {m} atoms on one is not known, "
            f"only that it is at least {LOWER_BOUND}: give a value"
        )
    return unknown


def exponent_search(
    m: int, r: int, system: str = "location-scale", *, starts: int = 40, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Smallest residual found in the system of order r, over displacements of norm one with intercepts that
    move.

    A residual at rounding is a non-trivial solution, so r(m) > r. A residual that stays away from zero from
    many starts is evidence, not proof, that r(m) <= r. The equations are homogeneous (a displacement of
    weight (l_1, l_2) scales as t^(l_1 + l_2)), so the norm is no loss; weights are kept above 0.05.

    Returns
    -------
    residual : float
        Root of the sum of squares of the equations.
    solution : ndarray of shape (m, u)
        Displacements of each atom, in the order of `SYSTEMS`.
    """
    from scipy.optimize import least_squares

    if not isinstance(system, str) or system not in SYSTEMS:
        raise DataError(f"system={system!r} is unknown: choose one of {', '.join(SYSTEMS)}")
    m, r, starts = whole("m", m), whole("r", r), whole("starts", starts)
    if m > MOST:
        raise DataError(f"weights of at least 0.05 are those of at most {MOST} atoms, got m={m}")
    unknowns = list(SYSTEMS[system].values())
    alphas, coefficients, equation = _equations(unknowns, r)
    rng = np.random.default_rng(whole("seed", seed, 0))

    def residual(v: np.ndarray) -> np.ndarray:
        weights = 0.05 + (1 - 0.05 * m) * _simplex(v[:m])
        q = v[m:].reshape(m, -1)
        powers = q[:, :, None] ** np.arange(r + 1)
        monomials = np.ones((m, len(alphas)))
        for i in range(len(unknowns)):
            monomials *= powers[:, i, alphas[:, i]]
        out = np.bincount(equation, weights=coefficients * (weights @ monomials))
        return np.append(out, float((q[:, 0] ** 2).sum()) - 1.0)

    best, at = np.inf, np.zeros((m, len(unknowns)))
    for _ in range(starts):
        found = least_squares(
            residual, rng.standard_normal(m + m * len(unknowns)), xtol=1e-15, ftol=1e-15, gtol=1e-15
        )
        size = float(np.sqrt(2 * found.cost))
        if size < best:
            best, at = size, found.x[m:].reshape(m, -1)
    return best, at


def _simplex(v: np.ndarray) -> np.ndarray:
    e = np.exp(v - v.max())
    return e / e.sum()


def _equations(unknowns: list[tuple[int, int]], r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Monomials alpha (T, u), their 1 / alpha! (T,), and the equation (l_1, l_2), 1 <= l_1 + l_2 <= r, of
    each (T,)."""
    place: dict[tuple[int, int], int] = {}
    alphas, coefficients, equation = [], [], []
    for alpha in product(range(r + 1), repeat=len(unknowns)):
        l1, l2 = (sum(a * u[axis] for a, u in zip(alpha, unknowns, strict=True)) for axis in (0, 1))
        if 1 <= l1 + l2 <= r:
            alphas.append(alpha)
            coefficients.append(1.0 / float(np.prod([factorial(a) for a in alpha])))
            equation.append(place.setdefault((l1, l2), len(place)))
    return np.array(alphas), np.array(coefficients), np.array(equation)

"""Monomials of the inputs: what the means of polynomial experts are linear in."""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np


@cache
def exponents(d: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """Monomials of d variables of degree 1 to `degree`, each as a sorted tuple of variables; the first d are
    the variables."""
    return tuple(t for r in range(1, degree + 1) for t in combinations_with_replacement(range(d), r))


def count(d: int, degree: int) -> int:
    """Monomials without the constant."""
    return comb(d + degree, degree) - 1


def values(x: np.ndarray, degree: int) -> np.ndarray:
    """The constant and the monomials of each row of x (n, d), shape (n, 1 + count)."""
    n, d = x.shape
    out = np.empty((n, 1 + count(d, degree)))
    out[:, 0] = 1.0
    place: dict[tuple[int, ...], int] = {(): 0}
    for j, t in enumerate(exponents(d, degree), start=1):
        place[t] = j
        np.multiply(out[:, place[t[:-1]]], x[:, t[-1]], out=out[:, j])
    return out


def change_of_units(center: np.ndarray, scale: np.ndarray, degree: int) -> np.ndarray:
    """T with values((x - center) / scale) = values(x) T', shape (1 + count, 1 + count)."""
    terms = exponents(len(center), degree)
    place = {(): 0, **{t: j for j, t in enumerate(terms, start=1)}}
    T = np.zeros((len(place), len(place)))
    T[0, 0] = 1.0
    for t in terms:  # (x_i - m_i) / s_i times the monomial before it
        row, rest, i = T[place[t]], T[place[t[:-1]]], t[-1]
        for u, j in place.items():
            if rest[j]:
                row[place[tuple(sorted((*u, i)))]] += rest[j] / scale[i]
                row[j] -= rest[j] * center[i] / scale[i]
    return T

"""Linear equations of fixed and common coefficients, solved for those that are left free."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

ZERO = 1e-11  # of a row's largest entry, below which elimination has left nothing


def eliminated(C: np.ndarray, d: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The solutions of C v = d, as v = A v[free] + b: free (n,) boolean, A (n, f), b (n,).

    Gauss-Jordan; entries where `last`, boolean (n,), holds are expressed by others before all else, and
    entries at the end before those at the beginning.
    """
    n = C.shape[1]
    pivots: list[int] = []
    solved, constants = np.zeros((0, n)), np.zeros(0)
    for row, value in zip(C, d, strict=True):
        size = np.abs(row).max(initial=0.0)
        row, value = row - row[pivots] @ solved, float(value - row[pivots] @ constants)
        present = np.flatnonzero(np.abs(row) > ZERO * size)
        if not len(present):
            if abs(value) > ZERO * max(size, 1.0) * (1.0 + np.abs(d).max()):
                raise DataError(
                    "fixed and common coefficients contradict each other, or belong to a column that is not "
                    "estimated"
                )
            continue
        pivot = int(max(present, key=lambda j: (bool(last[j]), int(j))))
        row = np.where(np.abs(row) > ZERO * size, row, 0.0)
        row, value = row / row[pivot], value / row[pivot]
        constants = np.append(constants - solved[:, pivot] * value, value)
        solved = np.vstack([solved - np.outer(solved[:, pivot], row), row])
        pivots.append(pivot)
    free = np.ones(n, dtype=bool)
    free[pivots] = False
    A, b = np.zeros((n, int(free.sum()))), np.zeros(n)
    A[free] = np.eye(A.shape[1])
    A[pivots], b[pivots] = -solved[:, free], constants
    return free, A, b

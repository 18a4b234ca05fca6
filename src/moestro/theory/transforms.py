"""When is a modified softmax gate well behaved?

The gate exp(beta_1' M(x) + beta_0) restores parametric rates where {x^p M(x)^q : 0 <= |p| + |q| <= 2} are
linearly independent (arXiv 2310.14188).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ..design import apply_transform, learn_transform
from ..errors import DataError, quiet
from .asked import reals

TOLERANCE = 1e-9  # share of a function's norm left by the functions before it
ROUNDING = 1e-14  # of the largest value of a column: what is below is no function, but its last digits
NEARLY = 1e6  # condition number from which independence is of no use at any sample size one has


@dataclass(frozen=True)
class TransformCheck:
    """Whether M makes the functions independent on the rows given.

    Attributes
    ----------
    ok : bool
    rank, size : int
        Numerical rank and number of the functions.
    condition : float
        Condition number of the functions of centred x and M, scaled to norm one; 1e16 or so, or infinite,
        where `ok` is False.
    dependent : tuple of str
        Functions that the ones before them span.
    sentence : str
    """

    ok: bool
    rank: int
    size: int
    condition: float
    dependent: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def check_gate_transform(M: Any, X: Any) -> TransformCheck:
    """Check that {x^p M(x)^q : |p| + |q| <= 2} are linearly independent on the rows of X.

    Their span is the same for x - c, for multiples, and for M minus any affine function of x. So x is centred
    and scaled, and what M has beyond an affine function is judged: where the columns lie does not matter.

    Parameters
    ----------
    M : str, callable or transformer
        As in ``gate_transform``: maps (n, d) to (n, e).
    X : array-like of shape (n, d)
        Inputs, as many rows as there are functions at least.

    Returns
    -------
    TransformCheck

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> check_gate_transform("tanh", x).ok, check_gate_transform(lambda x: x**2, x).dependent
    (True, ('M',))
    """
    X = reals("X", X)
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or not X.size:
        raise DataError("X must be a matrix of shape (n, d), d at least 1")
    if M is None:
        raise DataError("M must be a name, a callable, or a scikit-learn transformer")
    learned = learn_transform(M, X)

    def real(x: np.ndarray) -> np.ndarray:
        return reals("M(X)", learned(x) if callable(learned) else learned.transform(x))

    with quiet():  # what is not finite is refused
        MX = apply_transform(learned if isinstance(learned, str) else real, X)
    if not MX.size:
        raise DataError("M(X) has no column")
    d, e = X.shape[1], MX.shape[1]
    size = (d + e + 1) * (d + e + 2) // 2
    if len(X) < size:
        raise DataError(f"{size} functions need at least {size} rows, X has {len(X)}")
    x, m = _scaled(X), _scaled(MX)
    names, F = _functions(x, m)
    _, plain = _functions(x, m - _projection(x, m))
    rank, dependent = _judge(names, plain)
    return _check(names, rank, dependent, float(np.linalg.cond(_unit(F))))


def _scaled(A: np.ndarray) -> np.ndarray:
    """Columns with mean zero and mean square one; a column that is constant up to rounding becomes zero."""
    A = np.ldexp(A, -np.frexp(np.abs(A).max(axis=0))[1])  # exact: squares of 1e200 stay in range
    centred = A - A.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    nothing = size <= ROUNDING * np.abs(A).max(axis=0)
    return np.where(nothing, 0.0, centred / np.where(nothing, 1.0, size))


def _projection(x: np.ndarray, m: np.ndarray) -> np.ndarray:
    """The affine part of m in x (both centred), or all of m where rounding is all that it leaves."""
    fitted = x @ np.linalg.lstsq(x, m, rcond=None)[0]
    left = np.sqrt(((m - fitted) ** 2).mean(axis=0))
    return np.where(left <= TOLERANCE, m, fitted)


def _functions(x: np.ndarray, m: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names and columns of all products of degree at most two; powers of x first, so that what M adds is
    named."""
    d = x.shape[1]
    named = [*zip(_names("x", x), x.T, strict=True), *zip(_names("M", m), m.T, strict=True)]
    single = [(i,) for i in range(len(named))]
    products = sorted(
        combinations_with_replacement(range(len(named)), 2), key=lambda t: sum(i >= d for i in t)
    )
    order = [t for t in (*single, *products) if max(t) < d] + [t for t in (*single, *products) if max(t) >= d]
    names, columns = ["1"], [np.ones(len(x))]
    for t in order:
        names.append(_name([named[i][0] for i in t]))
        columns.append(np.prod([named[i][1] for i in t], axis=0))
    return names, np.column_stack(columns)


def _names(letter: str, A: np.ndarray) -> list[str]:
    return [letter] if A.shape[1] == 1 else [f"{letter}{j + 1}" for j in range(A.shape[1])]


def _name(factors: list[str]) -> str:
    return f"{factors[0]}^2" if len(factors) == 2 and factors[0] == factors[1] else " ".join(factors)


def _unit(F: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(F, axis=0)
    return F / np.where(norm > 0, norm, 1.0)


def _judge(names: list[str], F: np.ndarray) -> tuple[int, tuple[str, ...]]:
    """Numerical rank, and the functions that those before them span."""
    F = _unit(F)
    dependent: list[str] = []
    basis = np.zeros((len(F), 0))
    for j, name in enumerate(names):
        left = F[:, j] - basis @ (basis.T @ F[:, j])
        left -= basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size <= TOLERANCE:
            dependent.append(name)
        else:
            basis = np.column_stack([basis, left / size])
    return basis.shape[1], tuple(dependent)


def _check(names: list[str], rank: int, dependent: tuple[str, ...], condition: float) -> TransformCheck:
    number = f"condition number {condition:.1e}"
    if dependent:
        sentence = (
            f"{', '.join(dependent)} {'is' if len(dependent) == 1 else 'are'} spanned by the other "
            f"functions ({number}): over-specified fits can be slower than any power of n"
        )
    elif condition > NEARLY:
        sentence = (
            f"all {len(names)} functions are linearly independent, but nearly dependent ({number}): "
            "faster rates would show at sample sizes beyond reach only"
        )
    else:
        sentence = f"all {len(names)} functions are linearly independent ({number})"
    return TransformCheck(not dependent, rank, len(names), condition, dependent, sentence)

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
from ..errors import DataError

TOLERANCE = 1e-9  # share of a function's norm left by the functions before it


@dataclass(frozen=True)
class TransformCheck:
    """Whether M makes the functions independent on the rows given.

    Attributes
    ----------
    ok : bool
    rank, size : int
        Numerical rank and number of the functions.
    condition : float
        Condition number of the functions scaled to norm one; infinite where `ok` is False.
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
    X = np.asarray(X, dtype=float)
    X = X[:, None] if X.ndim == 1 else X
    if X.ndim != 2 or not np.isfinite(X).all():
        raise DataError("X must be a finite matrix of shape (n, d)")
    MX = apply_transform(learn_transform(M, X), X)
    x_names = ["x"] if X.shape[1] == 1 else [f"x{j + 1}" for j in range(X.shape[1])]
    m_names = ["M"] if MX.shape[1] == 1 else [f"M{j + 1}" for j in range(MX.shape[1])]
    names, columns = ["1"], [np.ones(len(X))]
    basis = [*zip(x_names, X.T, strict=True), *zip(m_names, MX.T, strict=True)]
    products = list(combinations_with_replacement(range(len(basis)), 2))
    # Powers of x first: what M adds is then named.
    products.sort(key=lambda t: sum(i >= X.shape[1] for i in t))
    own = [i for i in range(len(basis)) if i < X.shape[1]]
    order: list[tuple[int, ...]] = [(i,) for i in own]
    order += [t for t in products if max(t) < X.shape[1]]
    order += [(i,) for i in range(X.shape[1], len(basis))] + [t for t in products if max(t) >= X.shape[1]]
    for t in order:
        names.append(_name([basis[i][0] for i in t]))
        columns.append(np.prod([basis[i][1] for i in t], axis=0))
    if len(X) < len(columns):
        raise DataError(f"{len(columns)} functions need at least {len(columns)} rows, X has {len(X)}")
    return _judge(names, np.column_stack(columns))


def _name(factors: list[str]) -> str:
    return f"{factors[0]}^2" if len(factors) == 2 and factors[0] == factors[1] else " ".join(factors)


def _judge(names: list[str], F: np.ndarray) -> TransformCheck:
    norm = np.linalg.norm(F, axis=0)
    F = F / np.where(norm > 0, norm, 1.0)
    kept: list[int] = []
    dependent: list[str] = []
    basis = np.zeros((len(F), 0))
    for j, name in enumerate(names):
        left = F[:, j] - basis @ (basis.T @ F[:, j])
        left -= basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size <= TOLERANCE:
            dependent.append(name)
            continue
        kept.append(j)
        basis = np.column_stack([basis, left / size])
    ok = not dependent
    condition = float(np.linalg.cond(F)) if ok else np.inf
    if ok:
        sentence = f"all {len(names)} functions are linearly independent (condition {condition:.1e})"
    else:
        sentence = (
            f"{', '.join(dependent)} {'is' if len(dependent) == 1 else 'are'} spanned by the other "
            "functions: over-specified fits can be slower than any power of n"
        )
    return TransformCheck(ok, len(kept), len(names), condition, tuple(dependent), sentence)

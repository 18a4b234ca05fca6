"""Voronoi losses: the distances between mixing measures in which maximum likelihood converges at n^(-1/2).

    D(G, G*) = sum_j sum_{i in A_j} w_i sum_parts |Delta_ij|^{rho(part, |A_j|)} + sum_j |sum_{i in A_j} w_i -
    w*_j|

A loss is a table: which components of an atom are normed together, and with which exponent where m atoms
cover one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Exponent = Callable[[float], float]


@dataclass(frozen=True)
class Term:
    """One summand of an atom's distance.

    Attributes
    ----------
    parts : tuple of str
        Components (of `components()`) whose displacements are normed together.
    exponent : callable
        Of r, the exponent function's value at the size of the cell.
    rows : bool
        Norm each linear predictor (class) by itself and add, as the multinomial losses do.
    """

    parts: tuple[str, ...]
    exponent: Exponent
    rows: bool = False


@dataclass(frozen=True)
class Loss:
    """Terms where one atom covers a true one (exact), where several do (over), and the exponent system.

    `at_origin` replaces `over` for true atoms whose means vanish (Type II of arXiv 2305.07572). `top_k` takes
    the maximum over subsets of K true atoms.
    """

    exact: tuple[Term, ...]
    over: tuple[Term, ...]
    system: str = "softmax"
    at_origin: tuple[Term, ...] | None = None
    top_k: bool = False
    needs_r: bool = False


def _one(r: float) -> float:
    return 1.0


def _two(r: float) -> float:
    return 2.0


def _r(r: float) -> float:
    return r


def _half(r: float) -> float:
    return r / 2


ATOM = ("gate_slopes", "slopes", "intercepts", "variances")
_whole = (Term(ATOM, _one),)
_split = (Term(("gate_slopes", "intercepts"), _r), Term(("slopes", "variances"), _half))
_classes = (Term(("gate_slopes",), _one), Term(("intercepts",), _one, True), Term(("slopes",), _one, True))
_classes_two = tuple(Term(t.parts, _two, t.rows) for t in _classes)
_classes_r = tuple(Term(t.parts, _r, t.rows) for t in _classes)
LOCATED = ("means", "covariances", "slopes", "intercepts", "noise")


def _located(slopes: Exponent) -> tuple[Term, ...]:
    exponents = (_r, _half, slopes, _r, _half)
    return tuple(Term((name,), e) for name, e in zip(LOCATED, exponents, strict=True))


_located_one = tuple(Term((name,), _one) for name in LOCATED)
_laplace = (
    Term(("gate_slopes",), _two), Term(("slopes",), _two), Term(("intercepts",), _r),
    Term(("variances",), _half),
)  # fmt: skip
_each = tuple(Term((n,), _one) for n in ATOM)
_top_k_split = (
    Term(("gate_slopes",), _r), Term(("slopes",), _half), Term(("intercepts",), _r),
    Term(("variances",), _half),
)  # fmt: skip

LOSSES: dict[str, Loss] = {
    "multinomial-D1": Loss(_classes, _classes_two),
    "multinomial-D2r": Loss(_classes_r, _classes_r, needs_r=True),
    "multinomial-D3": Loss(_classes, _classes_two),
    "softmax-D1": Loss(_whole, _whole),
    "softmax-D2": Loss(_whole, _split),
    "top-k-D1": Loss(_each, _each, top_k=True),
    "top-k-D2": Loss(_each, _top_k_split, top_k=True),
    "gaussian-gate-Dbar": Loss(_located_one, _located(_two), "gaussian-gate"),
    "gaussian-gate-Dtilde": Loss(_located_one, _located(_two), "gaussian-gate", at_origin=_located(_half)),
    "laplace-D2": Loss(_each, _laplace),
}  # fmt: skip

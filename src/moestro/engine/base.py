"""One question an engine answers: at these parameters, what is the sum over all units (rows, or groups of
rows that share their expert)?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from ..experts import Family
from ..model import Model
from ..rows import Rows

# In place of the log-density of what an expert cannot have, -inf, whose product with a share of zero is none.
IMPOSSIBLE = -1e290

Terms = tuple[Any, ...]  # arrays, None above the order that was asked for


class Order(IntEnum):
    """How much of the sum is wanted."""

    VALUE = 0
    GRADIENT = 1
    INFORMATION = 2  # EM statistics: gradient and complete-data information
    CURVATURE = 3  # and the exact Hessian


@dataclass(frozen=True)
class Evaluation:
    """Weighted sums over units at theta; of several thetas, with a leading axis.

    Attributes
    ----------
    value : float
        Observed log-likelihood in the user's units (with given responsibilities: EM's Q function).
    mass : ndarray of shape (k,)
        Sum of the rows' weighted responsibilities; a row has its group's.
    gradient : ndarray of shape (P,) or None
        Score of theta.
    information : ndarray of shape (P, P) or None
        Complete-data (EM) information: block-diagonal, positive semi-definite.
    curvature : ndarray of shape (P, P) or None
        Exact Hessian of the observed log-likelihood.
    """

    value: float
    mass: np.ndarray
    gradient: np.ndarray | None = None
    information: np.ndarray | None = None
    curvature: np.ndarray | None = None

    def each(self) -> list[Evaluation]:
        """The evaluations that are stacked here."""
        parts = (self.gradient, self.information, self.curvature)
        return [
            Evaluation(float(v), m, *(None if p is None else p[i] for p in parts))
            for i, (v, m) in enumerate(zip(np.asarray(self.value), self.mass, strict=True))
        ]


@dataclass(frozen=True)
class Rowwise:
    """Per-unit results: log_density (u,), responsibilities (u, k); scores of the rows' logits (n, T),
    weighted, a group's gate scores at its first row."""

    log_density: np.ndarray
    responsibilities: np.ndarray
    scores: np.ndarray | None


class Engine(Protocol):
    """Sums over the rows it was made for."""

    model: Model
    rows: Any  # Rows, or RowsElsewhere

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        """Sums to `order`; given responsibilities (u, k) replace the posterior ones."""
        ...

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        """`evaluate` at each of thetas (S, P), every part stacked along a first axis; responsibilities (S, u,
        k)."""
        ...

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        """Log-density and responsibilities of every unit and, on demand, logit scores of every row."""
        ...


class Together(Engine, Protocol):
    """An engine whose sums at one theta are those of a stack of one."""

    threads: int = 1  # of `evaluate`

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        given = None if responsibilities is None else responsibilities[None]
        return self.evaluate_all(theta[None], order, given, self.threads).each()[0]


class OneByOne(Engine, Protocol):
    """An engine that takes one theta of a stack after the other."""

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        given = [None] * len(thetas) if responsibilities is None else responsibilities
        return stacked([self.evaluate(theta, order, r) for theta, r in zip(thetas, given, strict=True)])


def terms_of(law: Family, eta: np.ndarray, y: np.ndarray, order: Order) -> Terms:
    """Log-densities, scores, information and curvature, None above the order that was asked for."""
    if law.terms is not None:
        return law.terms(eta, y, int(order))
    return (
        law.log_density(eta, y),
        law.score(eta, y) if order >= Order.GRADIENT else None,
        law.information(eta) if order >= Order.INFORMATION else None,
        law.curvature(eta, y) if order >= Order.CURVATURE else None,
    )


def log_base_sum(model: Model, rows: Rows) -> float:
    """What the user's units add to the sum of scaled log-densities."""
    total = -rows.row_weight_sum * float(np.log(rows.y_scale))
    if np.ndim(model.family.log_base(rows.y[:1])) == 0:  # no such term
        return total
    for part in rows.parts(65536):
        w = 1.0 if part.row_weights is None else part.row_weights
        total += float(np.sum(w * model.family.log_base((part.y - rows.y_center) / rows.y_scale)))
    return total


def base_of(model: Model, rows: Rows) -> np.ndarray:
    """What the units' responses alone add to their scaled log-densities, (u,)."""
    out, start = np.empty(rows.n_units), 0
    for part in rows.parts(65536):
        scaled = (part.y - part.y_center) / part.y_scale
        base = model.family.log_base(scaled) - np.log(part.y_scale)
        if part.groups is not None:
            base = part.groups.sum(np.broadcast_to(base, part.y.shape))
        out[start : start + part.n_units] = base
        start += part.n_units
    return out


def stacked(several: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of several thetas as one, with a leading axis."""
    return _together(several, np.stack)


def joined(several: Sequence[Evaluation]) -> Evaluation:
    """Stacked evaluations, one after the other along their leading axis."""
    return several[0] if len(several) == 1 else _together(several, np.concatenate)


def added(several: Sequence[Evaluation]) -> Evaluation:
    """The sums over all units, from those over parts of them, in their order."""
    return _together(several, sum)


NAMES = [field.name for field in fields(Evaluation)]


def _together(several: Sequence[Evaluation], how: Callable[[list], Any]) -> Evaluation:
    def one(name: str) -> Any:
        parts = [getattr(e, name) for e in several]
        return None if parts[0] is None else how(parts)

    return Evaluation(*map(one, NAMES))

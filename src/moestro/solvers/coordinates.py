"""The free coordinates phi that solvers move in: what is aliased or held is left out, what is tied or common
written once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..design.scaling import Scaling
from ..engine import Engine, Evaluation, Order, stacked
from ..model import Model
from .base import CURVED, ROUNDOFF
from .elimination import eliminated
from .linear import LinearMap


@dataclass(frozen=True)
class Coordinates:
    """theta = A phi + b, a `LinearMap`; phi lies in the box [lower, upper].

    Attributes
    ----------
    model : Model
    map : LinearMap
    lower, upper : ndarray of shape (phi.size,)
    block : ndarray of int, shape (phi.size,)
        0 for the gate, 1 + e for the predictors of expert e, 1 + k for those of several experts, -1 for
        nuisances.
    blocks : tuple of ndarray of int
        The coordinates of each of EM's separate problems but the nuisances.
    """

    model: Model
    map: LinearMap
    lower: np.ndarray
    upper: np.ndarray
    block: np.ndarray
    blocks: tuple[np.ndarray, ...]

    @classmethod
    def of(
        cls,
        model: Model,
        x_scaling: Scaling,
        z_scaling: Scaling,
        box: float | None = None,
        response: tuple[float, float] = (0.0, 1.0),
    ) -> Coordinates:
        """Coordinates of `model` on columns with these scalings and a `response` with this centre and scale;
        coefficients at most `box` in size."""
        theta_lower, theta_upper = np.empty(model.size), np.empty(model.size)
        free, block = np.ones(model.size, dtype=bool), np.empty(model.size, dtype=int)
        model.gate_coefficients(free)[:, 1:] = z_scaling.used
        free[: model.gate_size] &= ~model.gate.held(model.k, model.q)
        model.expert_coefficients(free)[:, :, 1:] = x_scaling.used
        free &= model.present
        block[: model.gate_size] = 0
        model.expert_coefficients(block)[:] = 1 + np.arange(model.k)[:, None, None]
        model.nuisances(block)[:] = -1
        low, high = model.family.bounds()
        gate = np.array([10 * model.gate.bound, model.gate.bound, model.gate.shared_bound])
        for bound, b, g in ((theta_lower, low, -gate), (theta_upper, high, gate)):
            model.gate_coefficients(bound)[:] = g[1]
            model.gate_coefficients(bound)[:, 0] = g[0]
            model.gate_shared(bound)[:] = g[2]
            b = np.atleast_2d(b)  # one row for all experts, or one each
            model.expert_coefficients(bound)[:] = b[:, 1, None, None]
            model.expert_coefficients(bound)[:, :, 0] = b[:, :1]
            model.nuisances(bound)[:] = b[:, 2:]
        if box is not None:
            coefficients = block >= 0
            theta_lower[coefficients] = np.maximum(theta_lower[coefficients], -box)
            theta_upper[coefficients] = np.minimum(theta_upper[coefficients], box)
        owner = np.where(free, np.cumsum(free) - 1, -1)
        if model.family.tied_nuisances and model.k > 1:
            tied = model.nuisances(owner)
            tied[:] = tied[0]
            owner[owner >= 0] = np.unique(owner[owner >= 0], return_inverse=True)[1]
        used = np.flatnonzero(owner >= 0)
        first = used[np.unique(owner[used], return_index=True)[1]]
        found = LinearMap.of_owners(owner)
        C, d = model.constraints.rows(model, x_scaling, z_scaling, *response)
        if len(C):
            intercept = np.zeros(model.size, dtype=bool)
            model.expert_coefficients(intercept)[:, :, 0] = True
            kept, A, b = eliminated(found.gradient(C.T).T, d, intercept[first])
            found, first = found.then(A, b), first[kept]
            block = _parts(found, block)
        else:
            block = block[first]
        labels = np.where(block > 0, 1, block) if (block > model.k).any() else block
        blocks = tuple(np.flatnonzero(labels == b) for b in range(model.k + 1))
        blocks = tuple(b for b in blocks if len(b))
        return cls(model, found, theta_lower[first], theta_upper[first], block, blocks)

    def holding(self, phi: np.ndarray, which: np.ndarray) -> Coordinates:
        """The same coordinates with those in `which`, boolean (size,), held at phi."""
        return replace(self, lower=np.where(which, phi, self.lower), upper=np.where(which, phi, self.upper))

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return len(self.lower)

    @cached_property
    def predictors_of_expert(self) -> np.ndarray:
        """Indicator (size, k) of the predictors' coordinates of each expert."""
        return (self.block[:, None] == 1 + np.arange(self.model.k)).astype(float)

    @cached_property
    def nuisance_of_expert(self) -> np.ndarray:
        """Indicator (k, nuisances' coordinates) of the experts' first nuisance."""
        places = self.model.nuisances(np.arange(self.model.size))[:, 0]
        return self.map.A[places][:, np.flatnonzero(self.block == -1)].toarray()

    def collapsed(self, phi: np.ndarray) -> np.ndarray:
        """Boolean (size,): variances at their lower bound."""
        return self._unbounded & (phi <= self.lower + 1e-9)

    def boundary(self, phi: np.ndarray) -> dict[str, np.ndarray]:
        """Boolean (size,) by what an expert has become there: nuisances at a bound that is another law."""
        out = {}
        for own, sides in self._sides():
            for words, there in zip(sides, (phi <= self.lower + 1e-9, phi >= self.upper - 1e-9), strict=True):
                if words and (own & there).any():
                    out[words] = out.get(words, False) | (own & there)
        return out

    def _sides(self) -> Iterator[tuple[np.ndarray, tuple[str, str]]]:
        """Boolean (size,) of each nuisance, of the experts of one family, with its boundaries."""
        places = self.model.nuisances(np.arange(self.model.size))
        laws = [self.model.law(e) for e in range(self.model.k)]
        for law in (law for e, law in enumerate(laws) if law not in laws[:e]):
            for i, sides in enumerate(law.boundaries):
                at = places[[e for e, own in enumerate(laws) if own == law], i]
                yield np.isin(np.arange(self.size), self.map.A[at].indices), sides

    @cached_property
    def _unbounded(self) -> np.ndarray:
        """Boolean (size,): nuisances at whose lower bound a density has none."""
        out = np.zeros(self.size, dtype=bool)
        for own, (low, _) in self._sides():
            out |= own & (not low)
        return out

    @cached_property
    def linked(self) -> bool:
        """Whether a coordinate is a coefficient of several experts."""
        return bool((self.block > self.model.k).any())

    def experts_of(self, chosen: np.ndarray) -> tuple[int, ...]:
        """Experts that have a parameter among the coordinates `chosen`, boolean (size,)."""
        A = self.map.A
        parts = np.repeat(self.model.part_of(), np.diff(A.indptr))[chosen[A.indices]]
        return tuple(sorted({int(e) for e in parts}))

    @property
    def free(self) -> np.ndarray:
        """Boolean (P,): entries of theta that are not constant."""
        return self.map.free

    @property
    def is_identity(self) -> bool:
        return self.map.is_identity

    def expand(self, phi: np.ndarray) -> np.ndarray:
        """theta of phi; leading axes stay."""
        return self.map.expand(phi)

    def collapse(self, theta: np.ndarray) -> np.ndarray:
        """phi of the nearest theta that obeys the constraints, inside the box."""
        return np.clip(self.map.collapse(theta), self.lower, self.upper)

    def allow(self, theta: np.ndarray, tol: float) -> bool:
        """Whether theta obeys the constraints and lies in the box, to the relative tolerance `tol`."""
        phi = self.map.read(theta)
        inside = np.clip(phi, self.lower, self.upper)
        off = np.abs(theta - self.expand(inside)) - self.map.rounding(phi)
        return bool((off <= tol * (1 + np.abs(theta))).all())

    def sum_matrix(self, h: np.ndarray) -> np.ndarray:
        """A' h A."""
        return self.map.matrix(h)

    def restrict(self, e: Evaluation) -> Evaluation:
        """Evaluation in theta, as one in phi."""
        if self.is_identity:
            return e
        return Evaluation(
            e.value,
            e.mass,
            None if e.gradient is None else self.map.gradient(e.gradient),
            None if e.information is None else self.sum_matrix(e.information),
            None if e.curvature is None else self.sum_matrix(e.curvature),
        )


def _parts(found: LinearMap, block: np.ndarray) -> np.ndarray:
    """`Coordinates.block` of coordinates, from that of the entries of theta (P,)."""
    k, A = int(block.max(initial=0)), found.A.tocsc()
    columns = [block[A.indices[A.indptr[j] : A.indptr[j + 1]]] for j in range(found.size)]
    return np.array([own[0] if (own == own[0]).all() else k + 1 for own in columns], dtype=int)


class Tally:
    """Passes over all rows so far, of runs in several threads."""

    def __init__(self) -> None:
        self.passes, self._lock = 0, threading.Lock()

    def add(self, passes: int) -> None:
        with self._lock:
            self.passes += passes


@dataclass(frozen=True)
class Objective:
    """The log-likelihood as a function of phi; `tally` counts how often the rows were summed over."""

    engine: Engine
    coordinates: Coordinates
    tally: Tally = field(default_factory=Tally, compare=False)

    @cached_property
    def weight_sum(self) -> float:
        return self.engine.rows.weight_sum

    @property
    def diagonal_share(self) -> float:
        """Of curved scores, two rows may move against each other so that no score does to first order: D
        says nothing there, and only its diagonal holds a step."""
        return CURVED if self.engine.model.gate.curved else ROUNDOFF

    @property
    def unit(self) -> str:
        """What a weight is of, in words."""
        return "row" if self.engine.rows.groups is None else "group"

    def evaluate(
        self, phi: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        self.tally.add(1)
        return self.coordinates.restrict(
            self.engine.evaluate(self.coordinates.expand(phi), order, responsibilities)
        )

    def evaluate_all(
        self, phi: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        """`evaluate` at each of phi (S, size), every part stacked along a first axis."""
        c = self.coordinates
        self.tally.add(len(phi))
        e = self.engine.evaluate_all(c.expand(phi), order, responsibilities, threads)
        return e if c.is_identity else stacked([c.restrict(one) for one in e.each()])

    def inward(self, phi: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Boolean: coordinates that can move uphill without leaving the box."""
        c = self.coordinates
        return ~(((phi <= c.lower) & (gradient < 0)) | ((phi >= c.upper) & (gradient > 0)))

    def gradient_norm(self, phi: np.ndarray, gradient: np.ndarray) -> float:
        """Largest projected gradient entry per unit of weight: what the tolerance is compared with."""
        if not len(gradient):
            return 0.0
        c = self.coordinates
        if ((phi <= c.lower) | (phi >= c.upper)).any():
            gradient = np.where(self.inward(phi, gradient), gradient, 0.0)
        return float(max(gradient.max(), -gradient.min())) / self.weight_sum

"""The free coordinates phi that solvers move in: aliased entries held at zero, tied entries written once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..design.scaling import Scaling
from ..engine import Engine, Evaluation, Order, stacked
from ..model import Model


@dataclass(frozen=True)
class Coordinates:
    """theta = phi[owner], 0 where owner is -1; phi lies in the box [lower, upper].

    Attributes
    ----------
    model : Model
    owner : ndarray of int, shape (model.size,)
    lower, upper : ndarray of shape (phi.size,)
    block : ndarray of int, shape (phi.size,)
        0 for the gate, 1 + e for the predictors of expert e, -1 for nuisances: EM's separate problems.
    blocks : tuple of ndarray of int
        The coordinates of each of EM's problems but the nuisances.
    """

    model: Model
    owner: np.ndarray
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
    ) -> Coordinates:
        """Coordinates of `model` on columns with these scalings; coefficients at most `box` in size."""
        theta_lower, theta_upper = np.empty(model.size), np.empty(model.size)
        free, block = np.ones(model.size, dtype=bool), np.empty(model.size, dtype=int)
        model.gate_coefficients(free)[:, 1:] = z_scaling.used
        free[: model.gate_size] &= ~model.gate.held(model.k, model.q)
        model.expert_coefficients(free)[:, :, 1:] = x_scaling.used
        block[: model.gate_size] = 0
        model.expert_coefficients(block)[:] = 1 + np.arange(model.k)[:, None, None]
        model.nuisances(block)[:] = -1
        low, high = model.family.bounds()
        gate = np.array([10 * model.gate.bound, model.gate.bound, model.gate.shared_bound])
        for bound, b, g in ((theta_lower, low, -gate), (theta_upper, high, gate)):
            model.gate_coefficients(bound)[:] = g[1]
            model.gate_coefficients(bound)[:, 0] = g[0]
            model.gate_shared(bound)[:] = g[2]
            model.expert_coefficients(bound)[:] = b[1]
            model.expert_coefficients(bound)[:, :, 0] = b[0]
            model.nuisances(bound)[:] = b[2:]
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
        block = block[first]
        blocks = tuple(np.flatnonzero(block == b) for b in range(model.k + 1))
        blocks = tuple(b for b in blocks if len(b))
        return cls(model, owner, theta_lower[first], theta_upper[first], block, blocks)

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

    def collapsed(self, phi: np.ndarray) -> np.ndarray:
        """Boolean (size,): variances at their lower bound."""
        return self._unbounded & (phi <= self.lower + 1e-9)

    def boundary(self, phi: np.ndarray) -> dict[str, np.ndarray]:
        """Boolean (size,) by what an expert has become there: nuisances at a bound that is another law."""
        out = {}
        for i, sides in enumerate(self.model.family.boundaries):
            own = self._nuisance(i)
            for words, there in zip(sides, (phi <= self.lower + 1e-9, phi >= self.upper - 1e-9), strict=True):
                if words and (own & there).any():
                    out[words] = own & there
        return out

    def _nuisance(self, i: int) -> np.ndarray:
        """Boolean (size,): the i-th nuisance of any expert."""
        at = self.model.nuisances(self.owner)[:, i]
        return np.isin(np.arange(self.size), at)

    @cached_property
    def _unbounded(self) -> np.ndarray:
        """Boolean (size,): nuisances at whose lower bound a density has none."""
        out = np.zeros(self.size, dtype=bool)
        for i, (low, _) in enumerate(self.model.family.boundaries):
            out |= self._nuisance(i) & (not low)
        return out

    @cached_property
    def is_identity(self) -> bool:
        return self.size == len(self.owner)

    def expand(self, phi: np.ndarray) -> np.ndarray:
        """theta of phi; leading axes stay."""
        if self.is_identity:
            return phi
        return np.where(self.owner >= 0, phi[..., np.maximum(self.owner, 0)], 0.0)

    def collapse(self, theta: np.ndarray) -> np.ndarray:
        """phi of a theta that obeys the ties (a tied entry takes its mean), inside the box."""
        used = self.owner >= 0
        count = np.bincount(self.owner[used], minlength=self.size)
        phi = np.bincount(self.owner[used], weights=theta[used], minlength=self.size) / count
        return np.clip(phi, self.lower, self.upper)

    def _sum_gradient(self, g: np.ndarray) -> np.ndarray:
        used = self.owner >= 0
        return np.bincount(self.owner[used], weights=g[used], minlength=self.size)

    def sum_matrix(self, h: np.ndarray) -> np.ndarray:
        """A' h A for the map theta = A phi."""
        if self.is_identity:
            return h
        used = np.flatnonzero(self.owner >= 0)
        owner = self.owner[used]
        out = np.zeros((self.size, self.size))
        np.add.at(out, (owner[:, None], owner[None, :]), h[np.ix_(used, used)])
        return out

    def restrict(self, e: Evaluation) -> Evaluation:
        """Evaluation in theta, as one in phi."""
        if self.is_identity:
            return e
        return Evaluation(
            e.value,
            e.mass,
            None if e.gradient is None else self._sum_gradient(e.gradient),
            None if e.information is None else self.sum_matrix(e.information),
            None if e.curvature is None else self.sum_matrix(e.curvature),
        )


@dataclass(frozen=True)
class Objective:
    """The log-likelihood as a function of phi."""

    engine: Engine
    coordinates: Coordinates

    @cached_property
    def weight_sum(self) -> float:
        return self.engine.rows.weight_sum

    @property
    def unit(self) -> str:
        """What a weight is of, in words."""
        return "row" if self.engine.rows.groups is None else "group"

    def evaluate(
        self, phi: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        return self.coordinates.restrict(
            self.engine.evaluate(self.coordinates.expand(phi), order, responsibilities)
        )

    def evaluate_all(
        self, phi: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        """`evaluate` at each of phi (S, size), every part stacked along a first axis."""
        c = self.coordinates
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

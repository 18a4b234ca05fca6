"""Experts of different families: expert e has the law of member e.

An expert's eta is (predictor, nuisances of the longest member, trials where one takes them, e): the number of
the expert stands last, so that each row of eta knows its law. What a member has not stays at zero, and has no
score. Where y is outside a member's support its log-density is -inf, and its derivatives are zero: such a row
has no share in that expert.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, quiet
from .base import Facts, Family
from .point import Point


@dataclass(frozen=True)
class Mixed(Facts):
    """As many experts as members, each with the law of its own; `check_members` says what goes together."""

    members: tuple[Family, ...] = ()

    def __post_init__(self) -> None:
        check_members(self.members)

    @property
    def name(self) -> str:
        return ",".join(m.name for m in self.members)

    @property
    def nuisances(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return max(m.nuisances for m in self.members)

    @property
    def nuisance_names(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return max((m.nuisance_names for m in self.members), key=len)

    @property
    def discrete(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return all(m.discrete for m in self.members if not isinstance(m, Point))

    @property
    def scales_response(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return all(m.scales_response for m in self.members)  # beside a point nothing is scaled

    @property
    def takes_offset(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return all(m.takes_offset for m in self.members)

    @property
    def takes_trials(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(m.takes_trials for m in self.members)

    @property
    def points(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return () if self.discrete else tuple(m.value for m in self.members if isinstance(m, Point))

    def possible(self, y: np.ndarray) -> np.ndarray:
        """Boolean (..., k): members whose support has y."""
        return np.stack([np.broadcast_to(m.supports(y), np.shape(y)) for m in self.members], axis=-1)

    def check_response(self, y: np.ndarray) -> None:
        possible = self.possible(y)
        lost = ~possible.any(axis=-1)
        if lost.any():
            raise DataError(
                f"the response has {y[lost][0]:g}, which no expert of {self.name} can have: "
                "name a family that can"
            )
        for e, m in enumerate(self.members):
            if possible[:, e].any():  # else `check_variety` says so, where all rows are there
                m.check_response(y[possible[:, e]])

    def check_variety(self, y: np.ndarray) -> None:
        possible = self.possible(y)
        for e, m in enumerate(self.members):
            if not possible[:, e].any():
                raise DataError(f"no row can be of expert {e + 1}, '{m.name}': leave it out")
            m.check_variety(y[possible[:, e]])

    def log_base(self, y: np.ndarray) -> float:
        return 0.0

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        out = np.empty(np.broadcast_shapes(eta.shape[:-1], np.shape(y)))
        for m, at, own, v in self._each(eta, y):
            out[at] = np.where(m.supports(v), m.log_density(own, v) + m.log_base(v), -np.inf)
        return out

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        width = 1 + self.nuisances
        out = np.zeros((*np.broadcast_shapes(eta.shape[:-1], np.shape(y)), width))
        for m, at, own, v in self._each(eta, y):
            part = np.where(m.supports(v)[..., None], m.score(own, v), 0.0)
            out[(*at, slice(part.shape[-1]))] = part
        return out

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        width = 1 + self.nuisances
        out = np.zeros((*np.broadcast_shapes(eta.shape[:-1], np.shape(y)), width, width))
        for m, at, own, v in self._each(eta, y):
            part = np.where(m.supports(v)[..., None, None], m.curvature(own, v), 0.0)
            out[(*at, slice(part.shape[-1]), slice(part.shape[-1]))] = part
        return out

    def information(self, eta: np.ndarray) -> np.ndarray:
        width = 1 + self.nuisances
        out = np.zeros((*eta.shape[:-1], width, width))
        for m, at, own, _ in self._each(eta, 0.0):
            part = m.information(own)
            out[(*at, slice(part.shape[-1]), slice(part.shape[-1]))] = part
        return out

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return self._filled(eta, 0.0, lambda m, own, v: m.mean(own))

    def variance(self, eta: np.ndarray) -> np.ndarray:
        return self._filled(eta, 0.0, lambda m, own, v: m.variance(own))

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._filled(eta, 0.0, lambda m, own, v: m.sample(own, rng))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._filled(eta, y, lambda m, own, v: m.cdf(own, v))

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """(k, 1 + nuisances): each member's, of the rows that it can have."""
        out, offset = np.zeros((len(self.members), 1 + self.nuisances)), np.broadcast_to(offset, y.shape)
        for e, m in enumerate(self.members):
            at = m.supports(y) & (w > 0)
            if m.predictors and at.any():  # a few rows of a subsample may have none
                start = m.marginal(y[at], w[at], offset[at])
                out[e, : len(start)] = start
        return out

    def on_link_scale(self, y: np.ndarray) -> np.ndarray:
        """On the scale of the first member with a predictor; what it cannot have stands below the rest."""
        leading = next(m for m in self.members if m.predictors)
        at = np.broadcast_to(leading.supports(y), y.shape)
        if not at.any():
            return np.zeros(y.shape)
        own = leading.on_link_scale(y[at])
        out = np.full(y.shape, own.min() - max(float(own.std()), 1e-6))
        out[at] = own
        return out

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Each (k, 2 + nuisances)."""
        out = np.zeros((2, len(self.members), 2 + self.nuisances))
        for e, m in enumerate(self.members):
            for side, own in zip(out, m.bounds(), strict=True):
                side[e, :2], side[e, 2 : 2 + m.nuisances] = own[:2], own[2:]
        return out[0], out[1]

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        own = [m.narrowness(nuisances[..., e, : m.nuisances]) for e, m in enumerate(self.members)]
        return np.stack(own, axis=-1)

    def _each(self, eta: np.ndarray, y: Any) -> Iterator[tuple[Family, tuple, np.ndarray, np.ndarray]]:
        """Each member with its places in an array of eta's shape beside y, and its own eta and y there."""
        shape = np.broadcast_shapes(eta.shape[:-1], np.shape(y))
        eta, y = np.broadcast_to(eta, (*shape, eta.shape[-1])), np.broadcast_to(y, shape)
        number, k, free = eta[..., -1], len(self.members), 1 + self.nuisances
        in_order = len(shape) > 0 and shape[-1] == k and bool((number == np.arange(k)).all())
        with quiet():
            for e, m in enumerate(self.members):
                at = (..., e) if in_order else (number == e,)
                own, last = eta[(*at, slice(None))], free + m.takes_trials * self.takes_trials
                parts = (own[..., : m.predictors], own[..., 1 : 1 + m.nuisances], own[..., free:last])
                yield m, at, np.concatenate(parts, axis=-1), y[at]

    def _filled(self, eta: np.ndarray, y: Any, of: Any) -> np.ndarray:
        out = np.empty(np.broadcast_shapes(eta.shape[:-1], np.shape(y)))
        for m, at, own, v in self._each(eta, y):
            out[at] = of(m, own, v)
        return out


def check_members(members: tuple[Family, ...]) -> None:
    """Refuse families whose densities cannot be compared: of probabilities with those of lengths."""
    for m in members:
        if m.labels or m.predictors > 1 or m.points:
            raise DataError(f"{m.name} experts stand alone: leave '{m.name}' out, or fit it by itself")
    rest = [m for m in members if not isinstance(m, Point)]
    if not rest:
        raise DataError("points alone leave nothing to estimate: name a family beside them")
    for kind in ("discrete", "scales_response"):
        for m in rest:
            if getattr(m, kind) != getattr(rest[0], kind):
                raise DataError(
                    f"{rest[0].name} and {m.name} experts have no unit of density in common: "
                    "name families of counts, of positive numbers, or of any numbers"
                )
    for point in members:
        for m in rest:
            if isinstance(point, Point) and not m.discrete and m.supports(np.array([point.value])).any():
                raise DataError(
                    f"beside '{point.name}', which has a probability, the density of {m.name} experts at "
                    f"{point.value:g} says nothing: name a family of counts, or one that excludes it"
                )

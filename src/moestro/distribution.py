"""The predictive distribution of a mixture of experts: a finite mixture for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from .errors import DataError, quiet
from .gates import log_sum_exp


class Law(Protocol):
    """What a component's law states; every family of experts does."""

    @property
    def name(self) -> str: ...

    @property
    def discrete(self) -> bool: ...

    @property
    def labels(self) -> int: ...  # classes, 0 where y is a number

    @property
    def points(self) -> tuple[float, ...]: ...  # that have a probability though y is continuous

    def mean(self, eta: Any) -> Any: ...

    def variance(self, eta: Any) -> Any: ...

    def supports(self, y: Any) -> Any: ...

    def log_density(self, eta: Any, y: Any) -> Any: ...

    def log_base(self, y: Any) -> Any: ...

    def cdf(self, eta: Any, y: Any) -> Any: ...

    def sample(self, eta: Any, rng: np.random.Generator) -> Any: ...


def restored(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values (n, ...) at the n true entries of boolean rows (m,), NaN elsewhere: (m, ...)."""
    out = np.full((len(rows), *values.shape[1:]), np.nan)
    out[rows] = values
    return out


@dataclass(frozen=True)
class PredictiveDistribution:
    """Y | x for n rows.

    Attributes
    ----------
    family : Law
        A family of experts, or a law like one.
    log_weights : ndarray of shape (n, k)
        log g_i(x).
    eta : ndarray of shape (n, k, m)
        Linear predictors and nuisances of each expert, for the scaled response.
    center, scale : float
        The scaled response is ``(y - center) / scale``.
    """

    family: Law
    log_weights: np.ndarray
    eta: np.ndarray
    center: float = 0.0
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.log_weights)

    @property
    def weights(self) -> np.ndarray:
        """g_i(x), shape (n, k)."""
        return np.exp(self.log_weights)

    def at(self, rows: slice | np.ndarray) -> PredictiveDistribution:
        """The law of some of the rows."""
        return replace(self, log_weights=self.log_weights[rows], eta=self.eta[rows])

    def restore(self, rows: np.ndarray) -> PredictiveDistribution:
        """The law of more rows, boolean (m,): these where true, NaN elsewhere."""
        return replace(self, log_weights=restored(self.log_weights, rows), eta=restored(self.eta, rows))

    def mean(self) -> np.ndarray:
        """E[Y | x], shape (n,)."""
        return self.center + self.scale * (self.weights * self.family.mean(self.eta)).sum(axis=1)

    def variance(self) -> np.ndarray:
        """Var[Y | x], shape (n,): within experts plus between their means."""
        mean = self.family.mean(self.eta)
        overall = (self.weights * mean).sum(axis=1, keepdims=True)
        within = self.family.variance(self.eta)
        return self.scale**2 * (self.weights * (within + (mean - overall) ** 2)).sum(axis=1)

    def std(self) -> np.ndarray:
        """Standard deviation, shape (n,)."""
        return np.sqrt(self.variance())

    def log_pdf(self, y: np.ndarray | float) -> np.ndarray:
        """log density (or log probability) at y: a scalar, (n,), or (n, j) for j points a row."""
        points, flat = self._points(y)
        u = self._scaled(points)
        with quiet():  # outside the support
            log_f = self.family.log_density(self.eta[:, None], u[..., None])
            out = log_sum_exp(self.log_weights[:, None] + log_f)[..., 0]
            out = out + self.family.log_base(u) - np.log(self.scale)
        possible = self.family.supports(u) & ~np.isneginf(log_f).all(axis=-1)
        out = np.where(possible | np.isnan(u), out, -np.inf)
        return out[:, 0] if flat else out

    def pdf(self, y: np.ndarray | float) -> np.ndarray:
        """Density, or probability of a count; shapes as in `log_pdf`."""
        return np.exp(self.log_pdf(y))

    def cdf(self, y: np.ndarray | float) -> np.ndarray:
        """P(Y <= y | x); shapes as in `log_pdf`."""
        points, flat = self._points(y)
        u = self._scaled(points)
        out = (self.weights[:, None] * self.family.cdf(self.eta[:, None], u[..., None])).sum(axis=-1)
        out = np.clip(out, 0.0, 1.0)
        return out[:, 0] if flat else out

    def quantile(self, q: np.ndarray | float) -> np.ndarray:
        """Smallest y with P(Y <= y | x) >= q: a scalar q gives (n,), j levels give (n, j)."""
        levels = np.atleast_1d(np.asarray(q, dtype=float))
        if not ((levels > 0) & (levels < 1)).all():
            raise DataError("quantile levels must lie strictly between 0 and 1")
        discrete = self.family.discrete
        low, high = self._bracket(levels)
        if discrete:
            low, high = np.full_like(low, -1.0), np.ceil(high) + 40.0
        for _ in range(200):
            middle = np.floor((low + high) / 2) if discrete else (low + high) / 2
            above = self.cdf(middle) >= levels
            low, high = np.where(above, low, middle), np.where(above, middle, high)
            width = high - low
            if not (width > (1.0 if discrete else 1e-12 * (np.abs(low) + np.abs(high)) + 1e-300)).any():
                break
        for point in () if discrete else self.family.points:
            below, at = (self.cdf(np.full_like(high, v)) for v in (np.nextafter(point, -np.inf), point))
            high = np.where((below < levels) & (at >= levels), point, high)
        return high[:, 0] if np.ndim(q) == 0 else high

    def _bracket(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends (n, j) between which the quantiles lie: forty standard deviations, and more of heavy tails."""
        mean, sd = self.family.mean(self.eta), np.sqrt(self.family.variance(self.eta))
        sd = np.where(np.isfinite(sd), sd, 1.0)
        low = self.center + self.scale * (mean - 40 * sd).min(axis=1)
        high = self.center + self.scale * (mean + 40 * sd).max(axis=1)
        low, high = (np.repeat(a[:, None], len(levels), axis=1) for a in (low, high))
        for _ in range(60):
            under, over = self.cdf(low) >= levels, self.cdf(high) < levels
            if not (under.any() or over.any()):
                break
            width = high - low
            low, high = np.where(under, low - width, low), np.where(over, high + width, high)
        return low, high

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Central interval of probability `level`."""
        ends = self.quantile(np.array([(1 - level) / 2, (1 + level) / 2]))
        return ends[:, 0], ends[:, 1]

    def sample(
        self, size: int | None = None, random_state: int | np.random.Generator | None = None
    ) -> np.ndarray:
        """Draws (n,), or (n, size)."""
        known = ~np.isnan(self.log_weights[:, 0])
        if not known.all():
            return restored(self.at(known).sample(size, random_state), known)
        rng = np.random.default_rng(random_state)
        n, j = len(self), 1 if size is None else size
        cumulative = np.cumsum(self.weights, axis=1)
        expert = (cumulative[:, None, :-1] < rng.random((n, j, 1)) * cumulative[:, None, -1:]).sum(axis=2)
        eta = self.eta[np.arange(n)[:, None], expert]
        out = self.center + self.scale * self.family.sample(eta, rng)
        return out[:, 0] if size is None else out

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        """y of the scaled response; what is beside a point stays beside it however it is rounded."""
        u = (y - self.center) / self.scale
        for point in self.family.points:
            at = (point - self.center) / self.scale
            u = np.where((y < point) & (u >= at), np.nextafter(at, -np.inf), u)
            u = np.where((y > point) & (u <= at), np.nextafter(at, np.inf), u)
        return u

    def _points(self, y: np.ndarray | float) -> tuple[np.ndarray, bool]:
        points = np.asarray(y, dtype=float)
        flat = points.ndim < 2
        if flat:
            points = np.broadcast_to(points, (len(self),))[:, None]
        if len(points) not in (1, len(self)):
            raise DataError(f"y has {len(points)} rows, the distribution {len(self)}")
        return np.broadcast_to(points, (len(self), points.shape[1])), flat

"""The conditional law of several responses: a mixture of Gaussians, or of Student laws, for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ..distribution import PredictiveDistribution, restored
from ..errors import DataError
from ..experts import Gaussian
from ..gates import log_sum_exp
from .normal import colour, coloured, distances, log_density


@dataclass(frozen=True)
class LocatedLaw:
    """Y | x for n rows, q responses, k components.

    Attributes
    ----------
    log_weights : ndarray of shape (n, k)
    means : ndarray of shape (n, k, q)
    noise : ndarray of shape (k, q, q), or (n, k, q, q)
        Covariance within a component (scale matrix, with Student tails); of each row where values of x are
        missing.
    scale : ndarray of shape (n, k) or None
        What the scale matrix of a row is multiplied with.
    degrees_of_freedom : ndarray of shape (k,) or None
        Degrees of freedom.
    """

    log_weights: np.ndarray
    means: np.ndarray
    noise: np.ndarray
    scale: np.ndarray | None = None
    degrees_of_freedom: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.log_weights)

    @property
    def weights(self) -> np.ndarray:
        """g_i(x), shape (n, k)."""
        return np.exp(self.log_weights)

    def restore(self, rows: np.ndarray) -> LocatedLaw:
        """The law of more rows, boolean (m,): these where true, NaN elsewhere."""
        scale = None if self.scale is None else restored(self.scale, rows)
        weights, means = restored(self.log_weights, rows), restored(self.means, rows)
        noise = self.noise if self.noise.ndim == 3 else restored(self.noise, rows)
        return replace(self, log_weights=weights, means=means, noise=noise, scale=scale)

    def mean(self) -> np.ndarray:
        """E[Y | x], shape (n, q)."""
        return np.einsum("nk,nkq->nq", self.weights, self.means)

    def covariance(self) -> np.ndarray:
        """Cov[Y | x], shape (n, q, q): within components plus between their means."""
        weights = self.weights if self.scale is None else self.weights * self.scale
        if self.degrees_of_freedom is not None:
            weights = weights * (self.degrees_of_freedom / (self.degrees_of_freedom - 2.0))
        gap = self.means - self.mean()[:, None]
        within = np.einsum("nk,kqr->nqr" if self.noise.ndim == 3 else "nk,nkqr->nqr", weights, self.noise)
        return within + np.einsum("nk,nkq,nkr->nqr", self.weights, gap, gap)

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        q = self.means.shape[2]
        distance, log_det = distances(
            np.asarray(y, dtype=float).reshape(len(self), 1, q) - self.means, self.noise
        )
        if self.scale is not None:
            distance, log_det = distance / self.scale, log_det + q * np.log(self.scale)
        return log_sum_exp(self.log_weights + log_density(distance, log_det, q, self.degrees_of_freedom))[
            :, 0
        ]

    def sample(self, random_state: int | np.random.Generator | None = None) -> np.ndarray:
        """One draw a row, shape (n, q)."""
        rng = np.random.default_rng(random_state)
        n, q = len(self), self.means.shape[2]
        cumulative = np.cumsum(self.weights, axis=1)
        atom = (cumulative[:, :-1] < rng.random((n, 1)) * cumulative[:, -1:]).sum(axis=1)
        at = np.arange(n)
        white = rng.standard_normal((n, q))
        noise = (
            colour(white, self.noise, atom) if self.noise.ndim == 3 else coloured(white, self.noise[at, atom])
        )
        if self.scale is not None and self.degrees_of_freedom is not None:
            nu = self.degrees_of_freedom[atom]
            noise *= np.sqrt(self.scale[at, atom] / rng.gamma(nu / 2, 2 / nu))[:, None]
        return self.means[at, atom] + noise

    def marginal(self, j: int) -> PredictiveDistribution:
        """The law of response j, with quantiles."""
        n, k, _ = self.means.shape
        variance = np.broadcast_to(self.noise[..., j, j], (n, k))
        if self.scale is not None:
            variance = variance * self.scale
        parts = [self.means[:, :, j], np.log(variance)]
        if self.degrees_of_freedom is None:
            return PredictiveDistribution(Gaussian(), self.log_weights, np.stack(parts, axis=2))
        parts.append(np.broadcast_to(self.degrees_of_freedom, (n, k)))
        return PredictiveDistribution(StudentLaw(), self.log_weights, np.stack(parts, axis=2))

    def single(self) -> PredictiveDistribution:
        """The law of a single response."""
        if self.means.shape[2] != 1:
            raise DataError(
                f"y has {self.means.shape[2]} columns: "
                "only a single response has quantiles (marginal(j) is one)"
            )
        return self.marginal(0)


class StudentLaw:
    """Location-scale t; eta holds location, log squared scale and degrees of freedom."""

    name = "student"
    discrete = False
    labels = 0
    points = ()

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """Location, for more than one degree of freedom."""
        return eta[..., 0]

    def variance(self, eta: np.ndarray) -> np.ndarray:
        """s^2 nu / (nu - 2)."""
        return np.exp(eta[..., 1]) * eta[..., 2] / (eta[..., 2] - 2.0)

    def supports(self, y: np.ndarray) -> np.ndarray:
        """Every number."""
        return np.ones(np.shape(y), dtype=bool)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log t."""
        nu, log_scale = eta[..., 2], eta[..., 1]
        distance = (y - eta[..., 0]) ** 2 * np.exp(-log_scale)
        return log_density(distance, log_scale, 1, nu)

    def log_base(self, y: np.ndarray) -> np.ndarray:
        """No factor that is free of parameters."""
        return np.zeros(np.shape(y))

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """P(Y <= y)."""
        return special.stdtr(eta[..., 2], (y - eta[..., 0]) * np.exp(-0.5 * eta[..., 1]))

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw each."""
        return eta[..., 0] + np.exp(0.5 * eta[..., 1]) * rng.standard_t(eta[..., 2])

"""The mixing measure of a Gaussian-gated mixture of experts.

    p(x, y) = sum_i pi_i N(x; c_i, Gamma_i) N(y; A_i x + b_i, Sigma_i)

Its conditional p(y | x) has the gate pi_i N(x; c_i, Gamma_i) / sum_j pi_j N(x; c_j, Gamma_j). There is no gauge
but the order of the atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..experts import Gaussian
from ..experts.gaussian import LOG_2PI
from ..gates import log_sum_exp

PARTS = ("weights", "means", "covariances", "slopes", "intercepts", "noise")


@dataclass(frozen=True)
class LocatedMeasure:
    """Weights and atoms of k located experts, x of d columns and y of q.

    Attributes
    ----------
    weights : ndarray of shape (k,)
        pi, on the simplex.
    means : ndarray of shape (k, d)
        c.
    covariances : ndarray of shape (k, d, d)
        Gamma.
    slopes : ndarray of shape (k, q, d)
        A.
    intercepts : ndarray of shape (k, q)
        b.
    noise : ndarray of shape (k, q, q)
        Sigma, covariance of y about its expert's mean.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    slopes: np.ndarray
    intercepts: np.ndarray
    noise: np.ndarray

    def __post_init__(self) -> None:
        for name in PARTS:
            value = np.array(getattr(self, name), dtype=float)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if self.means.ndim != 2 or self.slopes.ndim != 3:
            raise DataError("means must have shape (k, d) and slopes (k, q, d)")
        k, q, d = self.slopes.shape
        shapes = {"weights": (k,), "means": (k, d), "covariances": (k, d, d), "intercepts": (k, q),
                  "noise": (k, q, q)}  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        if (self.weights < 0).any() or abs(self.weights.sum() - 1) > 1e-8:
            raise DataError("weights must be at least 0 and sum to 1")

    @property
    def k(self) -> int:
        """Number of atoms."""
        return len(self.weights)

    @property
    def d(self) -> int:
        """Columns of x."""
        return self.means.shape[1]

    @property
    def q(self) -> int:
        """Columns of y."""
        return self.intercepts.shape[1]

    def components(self) -> dict[str, np.ndarray]:
        """What an atom is made of, by name, each (k, ...); the weight is not part of an atom."""
        return {name: getattr(self, name) for name in PARTS[1:]}

    def atoms(self) -> np.ndarray:
        """One row an atom, shape (k, D)."""
        return np.concatenate([a.reshape(self.k, -1) for a in self.components().values()], axis=1)

    def permute(self, order: Sequence[int]) -> LocatedMeasure:
        """The same measure with atom order[i] in place i."""
        at = np.asarray(order)
        return LocatedMeasure(**{name: getattr(self, name)[at] for name in PARTS})

    # The joint law

    def joint(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (k, d + q) and covariance (k, d + q, d + q) of (x, y) in each atom."""
        d, D = self.d, self.d + self.q
        mean = np.concatenate(
            [self.means, np.einsum("kqd,kd->kq", self.slopes, self.means) + self.intercepts], axis=1
        )
        cross = self.slopes @ self.covariances
        out = np.empty((self.k, D, D))
        out[:, :d, :d] = self.covariances
        out[:, d:, :d], out[:, :d, d:] = cross, cross.transpose(0, 2, 1)
        out[:, d:, d:] = self.noise + cross @ self.slopes.transpose(0, 2, 1)
        return mean, out

    @classmethod
    def from_joint(
        cls, weights: np.ndarray, mean: np.ndarray, covariance: np.ndarray, d: int
    ) -> LocatedMeasure:
        """Atoms of a Gaussian mixture of (x, y), x its first d columns."""
        gamma, cross = covariance[:, :d, :d], covariance[:, d:, :d]
        slopes = np.linalg.solve(gamma, cross.transpose(0, 2, 1)).transpose(0, 2, 1) if d else cross
        noise = covariance[:, d:, d:] - slopes @ cross.transpose(0, 2, 1)
        return cls(
            weights=weights,
            means=mean[:, :d],
            covariances=gamma,
            slopes=slopes,
            intercepts=mean[:, d:] - np.einsum("kqd,kd->kq", slopes, mean[:, :d]),
            noise=0.5 * (noise + noise.transpose(0, 2, 1)),
        )

    def inverse(self) -> LocatedMeasure:
        """The same joint law with x and y exchanged: p(y, x) = sum pi N(y; c*, Gamma*) N(x; A* y + b*, Sigma*)."""
        mean, covariance = self.joint()
        turn = np.r_[self.d : self.d + self.q, : self.d]
        return LocatedMeasure.from_joint(self.weights, mean[:, turn], covariance[:, turn][:, :, turn], self.q)

    # Densities. x (n, d), y (n, q)

    def log_gate(self, x: np.ndarray) -> np.ndarray:
        """log of the gate's weights at x, shape (n, k)."""
        joint = self._log_marginal(x)
        return joint - log_sum_exp(joint)

    def log_joint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log pi_i + log N(x; c_i, Gamma_i) + log N(y; A_i x + b_i, Sigma_i), shape (n, k)."""
        y = np.asarray(y, dtype=float).reshape(len(x), self.q)
        residual = y[:, None] - self._means(x)
        return self._log_marginal(x) + _log_normal(residual, self.noise)

    def joint_log_density(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(x, y), shape (n,)."""
        return log_sum_exp(self.log_joint(x, y))[:, 0]

    def log_density(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        return self.joint_log_density(x, y) - log_sum_exp(self._log_marginal(x))[:, 0]

    def conditional(self, x: np.ndarray) -> PredictiveDistribution:
        """The law of a single y at each row of x."""
        if self.q != 1:
            raise DataError(f"y has {self.q} columns: only a single response has quantiles")
        x = np.asarray(x, dtype=float)
        eta = np.empty((len(x), self.k, 2))
        eta[:, :, 0] = self._means(x)[:, :, 0]
        eta[:, :, 1] = np.log(self.noise[:, 0, 0])
        return PredictiveDistribution(Gaussian(), self.log_gate(x), eta)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n draws: x (n, d), y (n, q), and the atoms (n,) that produced them."""
        atom = rng.choice(self.k, n, p=self.weights / self.weights.sum())
        x = self.means[atom] + _colour(rng.standard_normal((n, self.d)), self.covariances, atom)
        noise = _colour(rng.standard_normal((n, self.q)), self.noise, atom)
        return x, np.einsum("nqd,nd->nq", self.slopes[atom], x) + self.intercepts[atom] + noise, atom

    def _means(self, x: np.ndarray) -> np.ndarray:
        return np.einsum("kqd,nd->nkq", self.slopes, np.asarray(x, dtype=float)) + self.intercepts

    def _log_marginal(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=float).reshape(len(x), self.d)
        with np.errstate(divide="ignore"):
            return np.log(self.weights) + _log_normal(x[:, None] - self.means, self.covariances)


def _log_normal(residual: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(0; residual, covariance), residual (n, k, D), covariance (k, D, D), shape (n, k)."""
    if residual.shape[2] == 0:
        return np.zeros(residual.shape[:2])
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise DataError("a covariance of the measure is not positive definite") from error
    white = np.linalg.solve(root, residual.transpose(1, 2, 0))
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return -0.5 * (residual.shape[2] * LOG_2PI + log_det + (white**2).sum(axis=1).T)


def _colour(white: np.ndarray, covariance: np.ndarray, atom: np.ndarray) -> np.ndarray:
    return np.einsum("nij,nj->ni", np.linalg.cholesky(covariance)[atom], white) if white.shape[1] else white

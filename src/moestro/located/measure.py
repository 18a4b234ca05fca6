"""The mixing measure of a Gaussian-gated mixture of experts.

    p(x, y) = sum_i pi_i N(x; c_i, Gamma_i) N(y; A_i x + b_i, Sigma_i)

Its conditional p(y | x) has the gate pi_i N(x; c_i, Gamma_i) / sum_j pi_j N(x; c_j, Gamma_j). There is no
gauge but the order of the atoms. Experts may be polynomials of x: then x above stands for its monomials up to
the degree. With Student tails both Gaussians of an atom share a latent scale: (x, y) given W has the
covariances divided by W ~ Gamma(nu / 2, nu / 2).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..gates import log_softmax, log_sum_exp
from ..reading import parse_json
from . import incomplete, polynomial
from .holes import has_holes
from .inverse import inverse
from .law import LocatedLaw
from .normal import colour, distances, log_density
from .written import PARTS, from_dict, to_dict

BLOCK = 4096


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
    slopes : ndarray of shape (k, q, Q)
        A, of the Q monomials of x of degree 1 to `degree` (the d columns themselves for degree 1).
    intercepts : ndarray of shape (k, q)
        b.
    noise : ndarray of shape (k, q, q)
        Sigma, covariance of y about its expert's mean.
    degrees_of_freedom : ndarray of shape (k,) or None
        Degrees of freedom nu of Student atoms (Gamma and Sigma are then scale matrices); None for Gaussian
        ones.
    degree : int
        Of the experts' means in x.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    slopes: np.ndarray
    intercepts: np.ndarray
    noise: np.ndarray
    degrees_of_freedom: np.ndarray | None = None
    degree: int = 1

    def __post_init__(self) -> None:
        for name in PARTS if self.degrees_of_freedom is None else (*PARTS, "degrees_of_freedom"):
            value = np.array(getattr(self, name), dtype=float)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if self.means.ndim != 2 or self.slopes.ndim != 3:
            raise DataError("means must have shape (k, d) and slopes (k, q, d)")
        (k, d), q = self.means.shape, self.slopes.shape[1]
        Q = polynomial.count(d, self.degree)
        shapes = {"weights": (k,), "covariances": (k, d, d), "slopes": (k, q, Q), "intercepts": (k, q),
                  "noise": (k, q, q), "degrees_of_freedom": (k,)}  # fmt: skip
        for name, shape in shapes.items():
            if name == "degrees_of_freedom" and self.degrees_of_freedom is None:
                continue
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
        nu = None if self.degrees_of_freedom is None else self.degrees_of_freedom[at]
        return replace(self, **{name: getattr(self, name)[at] for name in PARTS}, degrees_of_freedom=nu)

    # The joint law

    def joint(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (k, d + q) and covariance (k, d + q, d + q) of (x, y) in each atom (scale matrix of Student
        atoms)."""
        self._affine("the joint law of (x, y) is Gaussian")
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
        """The same joint law with x and y exchanged: p(y, x) = sum pi N(y; c*, Gamma*) N(x; A* y + b*,
        Sigma*)."""
        self._affine("its inverse has the same form")
        parts = (self.means, self.covariances, self.slopes, self.intercepts, self.noise)
        try:
            turned = inverse(*parts)
        except np.linalg.LinAlgError as error:
            raise DataError(
                "the covariance of an expert is singular to rounding, and the fit cannot be turned round: "
                "rescale the columns, use fewer experts or a simpler covariance, or direction='direct'"
            ) from error
        return LocatedMeasure(self.weights, *turned, degrees_of_freedom=self.degrees_of_freedom)

    def _affine(self, what: str) -> None:
        if self.degree != 1:
            raise DataError(f"experts of degree {self.degree} are not affine in x: only for degree 1 {what}")

    # Densities. x (n, d), y (n, q), NaN where a value is missing: the law is that of what is there.

    def log_gate(self, x: np.ndarray) -> np.ndarray:
        """log of the gate's weights at x, shape (n, k)."""
        return log_softmax(self._log_located(x))

    def log_joint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log pi_i + log p_i(x, y), shape (n, k)."""
        x, y = self._columns(x), np.asarray(y, dtype=float).reshape(len(x), self.q)
        if has_holes(x, y):
            return self._log_weights() + incomplete.log_density(self, x, y)
        out = np.empty((len(x), self.k))
        for at in _blocks(len(x)):
            gate, gate_det = self._from_gate(x[at])
            expert, expert_det = distances(y[at][:, None] - self.expert_means(x[at]), self.noise)
            out[at] = log_density(
                gate + expert, gate_det + expert_det, self.d + self.q, self.degrees_of_freedom
            )
        return self._log_weights() + out

    def joint_log_density(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(x, y), shape (n,)."""
        return log_sum_exp(self.log_joint(x, y))[:, 0]

    def marginal_log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x), shape (n,)."""
        return log_sum_exp(self._log_located(x))[:, 0]

    def log_density(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        return self.joint_log_density(x, y) - self.marginal_log_density(x)

    def law(self, x: np.ndarray) -> LocatedLaw:
        """The law of y at each row of x: mean, covariance, log-density, sample."""
        x = self._columns(x)
        if has_holes(x):
            means, noise = incomplete.expected(self, x)
            return LocatedLaw(self.log_gate(x), means, noise)
        gate, _ = self._from_gate(x)
        nu = scale = None
        if self.degrees_of_freedom is not None:
            # y | x of a joint t has d more of them, and a scale that grows with the distance
            nu = self.degrees_of_freedom + self.d
            scale = (self.degrees_of_freedom + gate) / nu
        return LocatedLaw(self.log_gate(x), self.expert_means(x), self.noise, scale, nu)

    def conditional(self, x: np.ndarray) -> PredictiveDistribution:
        """The law of a single y at each row of x, with quantiles."""
        return self.law(x).single()

    def expert_means(self, x: np.ndarray) -> np.ndarray:
        """A_i x + b_i, shape (n, k, q)."""
        x = self._columns(x)
        if has_holes(x):
            return incomplete.expected(self, x)[0]
        phi = polynomial.values(x, self.degree)[:, 1:]
        return np.tensordot(phi, self.slopes, axes=(1, 2)) + self.intercepts

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n draws: x (n, d), y (n, q), and the atoms (n,) that produced them."""
        atom = rng.choice(self.k, n, p=self.weights / self.weights.sum())
        spread = np.ones((n, 1))
        if self.degrees_of_freedom is not None:
            nu = self.degrees_of_freedom[atom]
            spread = 1.0 / np.sqrt(rng.gamma(nu / 2, 2 / nu))[:, None]
        x = self.means[atom] + spread * colour(rng.standard_normal((n, self.d)), self.covariances, atom)
        noise = spread * colour(rng.standard_normal((n, self.q)), self.noise, atom)
        return x, self.expert_means(x)[np.arange(n), atom] + noise, atom

    def _columns(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x, dtype=float).reshape(len(x), self.d)

    def _log_weights(self) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.weights)

    def _log_located(self, x: np.ndarray) -> np.ndarray:
        """log pi_i + log p_i(x), shape (n, k)."""
        x = self._columns(x)
        if has_holes(x):
            return self._log_weights() + incomplete.log_density(self, x)
        out = np.empty((len(x), self.k))
        for at in _blocks(len(x)):
            out[at] = log_density(*self._from_gate(x[at]), self.d, self.degrees_of_freedom)
        return self._log_weights() + out

    def _from_gate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return distances(self._columns(x)[:, None] - self.means, self.covariances)

    # JSON

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return to_dict(self)

    def to_json(self) -> str:
        """JSON text; `from_json` gives the same numbers back to the last bit."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> LocatedMeasure:
        """Inverse of `to_json`."""
        return cls.from_dict(parse_json(text, "the located measure"))

    @classmethod
    def from_dict(cls, data: Any) -> LocatedMeasure:
        """Inverse of `to_dict`."""
        return from_dict(cls, data)


def _blocks(n: int) -> list[slice]:
    """Rows a few thousand at a time: residuals of all components are k times as large as they are."""
    return [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]

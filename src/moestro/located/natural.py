"""Gaussian mixtures in natural parameters: log-densities linear in monomials of degree two.

With phi(w) = (1, w_i, w_i w_j), a weighted Gaussian is exp(theta' phi(w)) and its mass m(theta) a closed
form. The log-likelihood under the constraint sum m = 1 has its maximum where

    F(theta) = sum_n w_n log sum_k exp(theta_k' phi_n) - N (sum_k m(theta_k) - 1)

has, and there the masses do sum to one (scale all of them to see it). F needs no constraint, and its
derivatives are moments:

    dF/dtheta_k  = sum_n w_n r_nk phi_n - N m_k E_k[phi]
    d2F/dtheta_k dtheta_l' = sum_n w_n (delta_kl r_nk - r_nk r_nl) phi_n phi_n' - delta_kl N m_k E_k[phi phi']
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

LOG_2PI = 1.8378770664093454836


@dataclass(frozen=True)
class Monomials:
    """Monomials of D variables: degree at most 2 for phi, at most 4 for phi phi'."""

    D: int

    @cached_property
    def exponents(self) -> list[tuple[int, ...]]:
        """Degrees of each monomial of degree at most 4; the first `size` are phi."""
        by_degree: list[list[tuple[int, ...]]] = [[()]]
        for _ in range(4):
            by_degree.append([(*t, i) for t in by_degree[-1] for i in range(t[-1] if t else 0, self.D)])
        return [t for level in by_degree for t in level]

    @property
    def size(self) -> int:
        """Length of phi."""
        return 1 + self.D + self.D * (self.D + 1) // 2

    @cached_property
    def _place(self) -> dict[tuple[int, ...], int]:
        return {t: i for i, t in enumerate(self.exponents)}

    @cached_property
    def product(self) -> np.ndarray:
        """Index (size, size) of the monomial phi_a phi_b."""
        phi = self.exponents[: self.size]
        return np.array([[self._place[tuple(sorted(a + b))] for b in phi] for a in phi])

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """i <= j of the second-degree entries of phi."""
        second = self.exponents[1 + self.D : self.size]
        return np.array([t[0] for t in second], dtype=int), np.array([t[1] for t in second], dtype=int)

    @cached_property
    def _factors(self) -> list[tuple[int, int]]:
        """Place of the monomial without its last variable, and that variable, from the second monomial on."""
        return [(self._place[t[:-1]], t[-1]) for t in self.exponents[1:]]

    def values(self, columns: np.ndarray, degree: int = 2) -> np.ndarray:
        """Monomials of D variables given as columns (D, n), shape (J, n)."""
        count = self.size if degree == 2 else len(self.exponents)
        out = np.empty((count, columns.shape[1]))
        out[0] = 1.0
        for j, (rest, i) in enumerate(self._factors[: count - 1], start=1):
            np.multiply(out[rest], columns[i], out=out[j])
        return out

    def expectations(self, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """E of every monomial under N(mean, covariance), (k, D) and (k, D, D), by Stein's identity, (k,
        J)."""
        out = np.empty((len(mean), len(self.exponents)))
        for j, t in enumerate(self.exponents):
            if not t:
                out[:, j] = 1.0
                continue
            rest, i = t[:-1], t[-1]
            out[:, j] = mean[:, i] * out[:, self._place[rest]]
            for l in set(rest):
                left = list(rest)
                left.remove(l)
                out[:, j] += rest.count(l) * covariance[:, i, l] * out[:, self._place[tuple(left)]]
        return out

    def natural(self, log_weights: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """theta (k, size) of weighted Gaussians."""
        precision = np.linalg.inv(covariance)
        h = np.einsum("kij,kj->ki", precision, mean)
        constant = log_weights - 0.5 * (
            np.einsum("ki,ki->k", h, mean) + np.linalg.slogdet(covariance)[1] + self.D * LOG_2PI
        )
        i, j = self.pairs
        second = -precision[:, i, j] * np.where(i == j, 0.5, 1.0)
        return np.concatenate([constant[:, None], h, second], axis=1)

    def gaussians(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Log-masses (k,), means and covariances of theta; None where a precision is not positive definite,
        or singular to rounding."""
        k, D = len(theta), self.D
        i, j = self.pairs
        precision = np.zeros((k, D, D))
        precision[:, i, j] = precision[:, j, i] = -theta[:, 1 + D :] * np.where(i == j, 2.0, 1.0)
        try:
            root = np.linalg.cholesky(precision)
            covariance = np.linalg.inv(precision)
        except np.linalg.LinAlgError:
            return None
        h = theta[:, 1 : 1 + D]
        mean = np.einsum("kij,kj->ki", covariance, h)
        log_det = -2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        log_mass = theta[:, 0] + 0.5 * (np.einsum("ki,ki->k", h, mean) + log_det + D * LOG_2PI)
        return log_mass, mean, covariance

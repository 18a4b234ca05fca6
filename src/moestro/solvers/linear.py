"""The linear map theta = A phi + b from free coordinates to the parameters of a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve_triangular

ROUNDINGS = 16  # in a sum of a few products


@dataclass(frozen=True)
class LinearMap:
    """theta = A phi + b.

    Attributes
    ----------
    A : scipy.sparse.csr_array of shape (P, size)
        Of full column rank.
    b : ndarray of shape (P,)
    """

    A: sp.csr_array
    b: np.ndarray

    @classmethod
    def of_owners(cls, owner: np.ndarray) -> LinearMap:
        """theta = phi[owner], 0 where owner is -1."""
        used = np.flatnonzero(owner >= 0)
        entries = (np.ones(len(used)), (used, owner[used]))
        shape = (len(owner), int(owner.max(initial=-1)) + 1)
        return cls(sp.csr_array(entries, shape=shape), np.zeros(len(owner)))

    def then(self, A: np.ndarray, b: np.ndarray) -> LinearMap:
        """Of coordinates psi with phi = A psi + b."""
        return LinearMap(sp.csr_array(self.A @ sp.csr_array(A)), self.b + self.A @ b)

    @property
    def size(self) -> int:
        return self._shape[1]

    @property
    def _shape(self) -> tuple[int, int]:
        shape: Any = self.A.shape
        return shape

    @cached_property
    def free(self) -> np.ndarray:
        """Boolean (P,): entries of theta that are not constant."""
        return np.diff(self.A.indptr) > 0

    @cached_property
    def owner(self) -> np.ndarray | None:
        """The coordinate that each entry of theta is, -1 where it is zero; None where some are neither."""
        if (self.A.data != 1.0).any() or self.b.any() or (np.diff(self.A.indptr) > 1).any():
            return None
        owner = np.full(self._shape[0], -1)
        owner[self.free] = self.A.indices
        return owner

    @cached_property
    def picked(self) -> np.ndarray | None:
        """The entry of theta that each coordinate is; None where one is none or several: products with A are
        then no choice of entries."""
        owner = self.owner
        if owner is None:
            return None
        own = owner[self.free]
        if (np.bincount(own, minlength=self.size) != 1).any():
            return None
        return np.flatnonzero(self.free)[np.argsort(own)]

    @cached_property
    def is_identity(self) -> bool:
        return self.owner is not None and np.array_equal(self.owner, np.arange(self.size))

    def expand(self, phi: np.ndarray) -> np.ndarray:
        """theta of phi; leading axes stay."""
        if self.is_identity:
            return phi
        if self.picked is not None:
            theta = np.zeros((*phi.shape[:-1], len(self.b)))
            theta[..., self.picked] = phi
            return theta
        leading = phi.shape[:-1]
        flat = phi.reshape(prod(leading), self.size)  # where all is held, the size is zero
        return ((self.A @ flat.T).T + self.b).reshape(*leading, len(self.b))

    @cached_property
    def _transposed(self) -> sp.csr_array:
        return self.A.T.tocsr()  # made once: a search takes thousands of products with it

    @cached_property
    def _normal(self) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """The diagonal of A'A where it has no other entries, else Q and R of A = QR: where constraints mix
        columns of very different origins, A'A has no digits left."""
        A = self.A.toarray()
        gram = self._transposed @ A
        diagonal = np.diag(gram).copy()
        return diagonal if np.count_nonzero(gram) == len(diagonal) else np.linalg.qr(A)

    def collapse(self, theta: np.ndarray) -> np.ndarray:
        """phi of the nearest theta of the map: an entry that stands for several is their mean."""
        off = theta - self.b
        if isinstance(self._normal, np.ndarray):
            return (self._transposed @ off) / self._normal
        Q, R = self._normal
        return np.asarray(solve_triangular(R, Q.T @ off))

    def read(self, theta: np.ndarray) -> np.ndarray:
        """phi of a theta of the map, each entry of it the first of theta that is it: every map begins with a
        choice of entries, and elimination keeps what is free. Unlike `collapse`, it rounds nothing."""
        rows = np.flatnonzero((np.diff(self.A.indptr) == 1) & (self.b == 0.0))
        rows = rows[self.A.data[self.A.indptr[rows]] == 1.0]
        return theta[rows[np.unique(self.A.indices[self.A.indptr[rows]], return_index=True)[1]]]

    def rounding(self, phi: np.ndarray) -> np.ndarray:
        """What rounding may do to A phi + b, (P,): where a column has a far origin, numbers of 1e9 are taken
        from each other."""
        size = abs(self.A) @ np.abs(phi) + np.abs(self.b)
        return np.asarray(ROUNDINGS * np.finfo(float).eps * size)

    def gradient(self, g: np.ndarray) -> np.ndarray:
        """A' g."""
        return self._transposed @ g if self.picked is None else g[self.picked]

    def matrix(self, h: np.ndarray) -> np.ndarray:
        """A' h A."""
        if self.picked is not None:
            return h if self.is_identity else h[self.picked[:, None], self.picked]
        return self._transposed @ (self._transposed @ h.T).T

    def covariance(self, h: np.ndarray) -> np.ndarray:
        """A h A', for h (size, size)."""
        return h if self.is_identity else self.A @ (self.A @ h.T).T

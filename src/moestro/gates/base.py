"""What a gate states: scores v of the experts; their weights are pi = softmax(v), whatever the gate.

A gate has one row (beta_0, beta_1) an expert, or one less where the last expert's score is held at zero, and
may have parameters that all experts share. Its vector is (rows, shared), flattened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

Feature = tuple[np.ndarray, slice | np.ndarray]


def log_sum_exp(a: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis, kept."""
    top = a.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(a - top).sum(axis=-1, keepdims=True))


def log_softmax(a: np.ndarray) -> np.ndarray:
    """a - log sum exp a, without the digits that the sum of a large entry and a logarithm loses: the
    exponentials sum to one however large the entries are."""
    below = a - a.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))


class Gate(ABC):
    """Base of all gates; one of your own needs `scores`, `features` and `score_curvature`.

    Attributes
    ----------
    name : str
    translations : tuple of str
        Which of "weights" (all beta_0 + t1) and "slopes" (all beta_1 + t2) leave the weights unchanged.
    reference : bool
        Whether the last expert's score is zero, and its row left out.
    scaling : {"affine", "scale", "none"}
        What may be done to the gate's columns without changing the family of gates: centre and scale, scale,
        nothing.
    shared : tuple of str
        Names of the parameters that all experts share.
    bound, shared_bound : float
        Of slopes on scaled columns, and of shared parameters.
    """

    name: ClassVar[str]
    translations: ClassVar[tuple[str, ...]] = ("weights",)
    reference: ClassVar[bool] = False
    scaling: ClassVar[str] = "none"
    shared: ClassVar[tuple[str, ...]] = ()
    bound: ClassVar[float] = 1e8
    shared_bound: ClassVar[float] = 7.0

    @property
    def curved(self) -> bool:
        """Whether scores are not linear in the gate's vector: `score_curvature` is stated."""
        return type(self).score_curvature is not Gate.score_curvature

    def options(self) -> dict[str, Any]:
        """What `make_gate` needs beside the name."""
        return {}

    def rows(self, k: int) -> int:
        """Free rows for k experts."""
        return k - 1 if self.reference else k

    def size(self, k: int, q: int) -> int:
        """Length of the gate's vector."""
        return self.rows(k) * q + len(self.shared)

    def held(self, k: int, q: int) -> np.ndarray:
        """Boolean (size,): entries that stay where `initial` puts them, because a translation makes them
        free."""
        out = np.zeros(self.size(k, q), dtype=bool)
        if not self.reference and "weights" in self.translations:
            out[(k - 1) * q] = True
        return out

    def initial(self, k: int, q: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and shared parameters that favour no expert: where every start begins."""
        return np.zeros((self.rows(k), q)), np.zeros(len(self.shared))

    def path(self, k: int) -> tuple[Gate, ...]:
        """Easier gates to fit first, in this order, where starts from scratch fail."""
        return ()

    @abstractmethod
    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        """v (n, k) at features z (n, q), a leading one included."""

    @abstractmethod
    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        """dv_t / d(gate's vector) of each free row t: columns (n, j) and their places in the vector."""

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray | None:
        """sum_n sum_t d_nt d2 v_nt / d vector d vector', (size, size), d (n, rows); None where scores are
        linear."""
        return None


class LinearGate(Gate):
    """Gates whose scores are beta_0 + beta_1' z, the last one zero."""

    translations: ClassVar[tuple[str, ...]] = ("weights", "slopes")
    reference: ClassVar[bool] = True
    scaling: ClassVar[str] = "affine"
    bound: ClassVar[float] = 1e4  # per standard deviation of a column: a switch within 1e-4 of it

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        out = np.zeros((len(z), len(rows) + 1))
        np.matmul(z, rows.T, out=out[:, :-1])
        return out

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        q = z.shape[1]
        return [(z, slice(t * q, (t + 1) * q)) for t in range(len(rows))]

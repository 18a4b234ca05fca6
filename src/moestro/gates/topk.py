"""The top-K sparse softmax gate (arXiv 2309.13850): softmax over the K experts that rank highest at x, zero
elsewhere.

The definition ranks on the score beta_1' x, and the bias enters after the ranking; much code ranks on the
whole logit beta_0 + beta_1' x. The two differ: with one large slope and positive x the score ranking never
switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from ..errors import DataError
from .base import Feature, Gate, LinearGate
from .softmax import SoftmaxGate

OFF = -1e30  # score of an expert that is not selected: its weight underflows to zero, and stays a number
RANKS = ("score", "logit")
# Of the boundaries that a fit is annealed through. The last ones are so hard that a row which is worth a move
# of a boundary gets it: at 1e-3 it may still lie on the wrong side, and a sharp gate loses it.
WIDTHS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)


@dataclass(frozen=True)
class TopKGate(LinearGate):
    """Softmax over the `top_k` experts of highest rank.

    Parameters
    ----------
    top_k : int
        Experts selected at each input; all of them where there are not more.
    rank_on : {"score", "logit"}
        beta_1' x, as defined, or beta_0 + beta_1' x. Ties go to the expert with the lower number.
    """

    top_k: int = 1
    rank_on: str = "score"
    name: ClassVar[str] = "top-k"

    def __post_init__(self) -> None:
        if not isinstance(self.top_k, int | np.integer) or isinstance(self.top_k, bool) or self.top_k < 1:
            raise DataError(f"top_k must be a whole number of at least 1, got {self.top_k!r}")
        if self.rank_on not in RANKS:
            raise DataError(f"rank_on={self.rank_on!r} is unknown: choose one of {', '.join(RANKS)}")

    @property
    def scaling(self) -> str:  # type: ignore[override]
        """A score without its bias keeps its rank under scaling, not under centring."""
        return "affine" if self.rank_on == "logit" else "scale"

    def options(self) -> dict[str, Any]:
        return {"top_k": int(self.top_k), "rank_on": self.rank_on}

    def path(self, k: int) -> tuple[Gate, ...]:
        """The dense gate, then this one with ever harder boundaries."""
        if self.top_k >= k:
            return ()
        return (SoftmaxGate(), *(RelaxedTopKGate(self.top_k, self.rank_on, tau) for tau in WIDTHS))

    def selected(self, rows: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Boolean (n, k): the experts selected at each row."""
        _, rank = self._ranks(rows, z)
        if self.top_k >= rank.shape[1]:
            return np.ones(rank.shape, dtype=bool)
        return self._first(np.argsort(-rank, axis=1, kind="stable"))

    def _first(self, order: np.ndarray) -> np.ndarray:
        """Boolean (n, k): the experts that come first in an order of each row."""
        out = np.zeros(order.shape, dtype=bool)
        np.put_along_axis(out, order[:, : self.top_k], True, axis=1)
        return out

    def _ranks(self, rows: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """beta_0 + beta_1' z, and what the experts are ranked by, (n, k)."""
        logits = LinearGate.scores(self, rows, rows[:0, 0], z)
        if self.rank_on == "logit":
            return logits, logits
        rank = logits.copy()
        rank[:, :-1] -= rows[:, 0]
        return logits, rank

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.where(self.selected(rows, z), super().scores(rows, shared, z), OFF)


@dataclass(frozen=True)
class RelaxedTopKGate(TopKGate):
    """The top-K gate with soft boundaries of width `tau`, in units of the score: what a sparse gate is
    annealed through.

    With rank_a the rank of expert a at x, and m_a the highest rank among those left out where a is selected,
    the lowest among those selected where it is not,

        v_a = u_a + log sigma((rank_a - m_a) / tau),

    which is softmax where tau is large (all experts lose the same log 2) and top-K where it goes to zero
    (deterministic annealing, Rose 1998). Continuous in the coefficients, as m_a is, and piecewise smooth.
    """

    tau: float = 1.0
    name: ClassVar[str] = "relaxed-top-k"

    def path(self, k: int) -> tuple[Gate, ...]:
        return ()

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        logits, gap, _ = self._gaps(rows, z)
        return logits - np.logaddexp(0.0, -gap)

    def features(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> list[Feature]:
        """Of v_a - v_k: the softmax does not see what all scores share."""
        _, gap, rival = self._gaps(rows, z)
        slope, k = expit(-gap), gap.shape[1]
        at = slice(0, rows.size)
        own = np.zeros((len(z), k, k, z.shape[1]))  # d v_a / d row b
        direction = self._directions(rival, z)
        own += slope[:, :, None, None] * direction
        own[:, np.arange(k), np.arange(k)] += z[:, None]
        free = own[:, :, : k - 1].reshape(len(z), k, -1)
        return [(free[:, a] - free[:, -1], at) for a in range(k - 1)]

    def score_curvature(
        self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        """d2 log sigma(t) = -sigma(t) sigma(-t) dt dt', t linear between changes of rank; d (n, k)."""
        _, gap, rival = self._gaps(rows, z)
        weight = -d * expit(gap) * expit(-gap)
        direction = self._directions(rival, z)[:, :, : gap.shape[1] - 1].reshape(-1, rows.size)
        return (direction * weight.reshape(-1, 1)).T @ direction

    def _gaps(self, rows: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits, (rank_a - m_a) / tau, and the expert that has the rank m_a; all (n, k)."""
        logits, rank = self._ranks(rows, z)
        order = np.argsort(-rank, axis=1, kind="stable")
        inside, outside = order[:, self.top_k - 1, None], order[:, self.top_k, None]
        rival = np.where(self._first(order), outside, inside)
        return logits, (rank - np.take_along_axis(rank, rival, axis=1)) / self.tau, rival

    def _directions(self, rival: np.ndarray, z: np.ndarray) -> np.ndarray:
        """d gap_a / d row b, (n, k, k, q)."""
        n, k = rival.shape
        one = z / self.tau
        if self.rank_on == "score":
            one = one.copy()
            one[:, 0] = 0.0
        out = np.zeros((n, k, k, z.shape[1]))
        out[:, np.arange(k), np.arange(k)] += one[:, None]
        out[np.arange(n)[:, None], np.arange(k), rival] -= one[:, None]
        return out

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

from ..errors import DataError
from .base import Gate, LinearGate
from .softmax import SoftmaxGate

OFF = -1e30  # score of an expert that is not selected: its weight underflows to zero, and stays a number
RANKS = ("score", "logit")


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
        if self.top_k >= k:
            return ()
        middle = tuple(TopKGate(K, self.rank_on) for K in range(k - 1, self.top_k, -1))
        return (SoftmaxGate(), *middle)

    def selected(self, rows: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Boolean (n, k): the experts selected at each row."""
        logits = LinearGate.scores(self, rows, rows[:0, 0], z)
        k = logits.shape[1]
        if self.top_k >= k:
            return np.ones(logits.shape, dtype=bool)
        rank = logits
        if self.rank_on == "score":
            rank = logits.copy()
            rank[:, :-1] -= rows[:, 0]
        order = np.argsort(-rank, axis=1, kind="stable")
        out = np.zeros(logits.shape, dtype=bool)
        np.put_along_axis(out, order[:, : self.top_k], True, axis=1)
        return out

    def scores(self, rows: np.ndarray, shared: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.where(self.selected(rows, z), super().scores(rows, shared, z), OFF)

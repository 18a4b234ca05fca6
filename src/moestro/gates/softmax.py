"""The softmax gate: pi_a = exp(u_a) / sum_b exp(u_b), the last expert's score held at zero.

With an input transform M the scores are u_a = beta_0a + beta_1a' M(x): the *modified* softmax gate. The
transform belongs to the design; the gate sees its columns only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import LinearGate


@dataclass(frozen=True)
class SoftmaxGate(LinearGate):
    """Softmax of k - 1 free linear scores and a zero."""

    name: ClassVar[str] = "softmax"

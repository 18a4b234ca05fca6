"""Gates: how the weights of the experts depend on the input. One file a gate."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from .base import Gate, LinearGate, log_softmax, log_sum_exp
from .cosine import CosineGate, PerturbedCosineGate
from .laplace import LaplaceGate
from .sigmoid import SigmoidGate
from .softmax import SoftmaxGate
from .temperature import ActivatedTemperatureGate, TemperatureGate
from .topk import TopKGate

KINDS: tuple[type[Gate], ...] = (
    SoftmaxGate,
    TopKGate,
    SigmoidGate,
    LaplaceGate,
    TemperatureGate,
    ActivatedTemperatureGate,
    CosineGate,
    PerturbedCosineGate,
)
GATES: dict[str, type[Gate]] = {kind.name: kind for kind in KINDS}


def make_gate(gate: str | Gate, top_k: int | None = None, rank_on: str = "score", **options: Any) -> Gate:
    """The gate called `gate`; `top_k` makes a softmax gate sparse."""
    if isinstance(gate, Gate):
        if top_k is not None:
            raise DataError("top_k belongs to gate='softmax': give a TopKGate, or a name and top_k")
        return gate
    if gate not in GATES:
        raise DataError(f"gate={gate!r} is unknown: choose one of {', '.join(GATES)}")
    if top_k is not None:
        if gate not in ("softmax", "top-k"):
            raise DataError(f"top_k belongs to gate='softmax', not to gate={gate!r}")
        return TopKGate(top_k, rank_on)
    if rank_on != "score":
        raise DataError("rank_on belongs to a sparse gate: give top_k too")
    try:
        return GATES[gate](**options)
    except TypeError as error:
        raise DataError(f"gate {gate!r} has no such options: {', '.join(options)}") from error


__all__ = [
    "GATES",
    "ActivatedTemperatureGate",
    "CosineGate",
    "Gate",
    "LaplaceGate",
    "LinearGate",
    "PerturbedCosineGate",
    "SigmoidGate",
    "SoftmaxGate",
    "TemperatureGate",
    "TopKGate",
    "log_softmax",
    "log_sum_exp",
    "make_gate",
]

"""The chosen experts as one operator of PyTorch's, for torch.compile: a graph without a break, in which only
the chosen experts are computed.

Called as a plain function the operator costs twice the bookkeeping of an autograd function, and no second
derivative goes through it: outside of the compiler `ChosenExperts` is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .fused import Operands, compute, differentiate, keep, kept

OPERANDS = (
    "Tensor x, Tensor weight, Tensor w1, Tensor? b1, Tensor w2, Tensor? b2, Tensor token, Tensor counts, "
    "str activation, bool gated"
)


@torch.library.custom_op(
    "moestro::chosen_experts", mutates_args=(), schema=f"({OPERANDS}) -> (Tensor, Tensor)"
)
def chosen_experts(*given: Any) -> tuple[Tensor, Tensor]:
    """Output and first layer of `moestro.deep.fused.compute`."""
    return compute(Operands(*given))


@torch.library.custom_op(
    "moestro::chosen_experts_backward",
    mutates_args=(),
    schema=f"(Tensor g, Tensor z, {OPERANDS}) -> Tensor[]",
)
def chosen_experts_backward(g: Tensor, z: Tensor, *given: Any) -> list[Tensor]:
    """All gradients, those of missing biases left out."""
    found = differentiate(g.contiguous(), z, Operands(*given), [True] * 6)
    return [v for v in found if v is not None]


@chosen_experts.register_fake
def _(*given: Any) -> Any:
    of = Operands(*given)
    return torch.empty_like(of.x), of.x.new_empty(of.token.shape[0], of.w1.shape[1])


@chosen_experts_backward.register_fake
def _(_g: Any, _z: Any, *given: Any) -> Any:
    return [torch.empty_like(v) for v in Operands(*given).leaves() if v is not None]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    keep(ctx, Operands(*inputs), output[1])


def _gradient(ctx: Any, g: Tensor, _z: Tensor) -> tuple[Any, ...]:
    of, z = kept(ctx)
    found = iter(chosen_experts_backward(g, z, *of))
    return (*(None if v is None else next(found) for v in of.leaves()), *[None] * 4)


chosen_experts.register_autograd(_gradient, setup_context=_keep)

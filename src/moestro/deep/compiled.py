"""The chosen experts as one operator of PyTorch's, for torch.compile: a graph without a break, in which only
the chosen experts are computed.

Called as a plain function the operator costs twice the bookkeeping of an autograd function, and no second
derivative goes through it: outside of the compiler `ChosenExperts` is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .fused import compute, differentiate


@torch.library.custom_op("moestro::chosen_experts", mutates_args=())
def chosen_experts(
    x: Tensor, weight: Tensor, w1: Tensor, b1: Tensor | None, w2: Tensor, b2: Tensor | None,
    token: Tensor, counts: Tensor, activation: str, gated: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Output and first layer of `moestro.deep.fused.compute`."""
    return compute(x, weight, w1, b1, w2, b2, token, counts, activation, gated)


@torch.library.custom_op("moestro::chosen_experts_backward", mutates_args=())
def chosen_experts_backward(
    g: Tensor, x: Tensor, weight: Tensor, w1: Tensor, b1: Tensor | None, w2: Tensor, b2: Tensor | None,
    token: Tensor, counts: Tensor, z: Tensor, activation: str, gated: bool,
) -> list[Tensor]:  # fmt: skip
    """All gradients, those of missing biases left out."""
    needed = [True] * 6
    found = differentiate(
        g.contiguous(), x, weight, w1, b1, w2, b2, token, counts, z, activation, gated, needed
    )
    return [v for v in found if v is not None]


@chosen_experts.register_fake
def _(x: Any, weight: Any, w1: Any, b1: Any, w2: Any, b2: Any, token: Any, *_rest: Any) -> Any:
    return torch.empty_like(x), x.new_empty(token.shape[0], w1.shape[1])


@chosen_experts_backward.register_fake
def _(_g: Any, x: Any, weight: Any, w1: Any, b1: Any, w2: Any, b2: Any, *_rest: Any) -> Any:
    return [torch.empty_like(v) for v in (x, weight, w1, b1, w2, b2) if v is not None]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *parts, activation, gated = inputs
    ctx.save_for_backward(*parts, output[1])
    ctx.activation, ctx.gated = activation, gated


def _gradient(ctx: Any, g: Tensor, _z: Tensor) -> tuple[Any, ...]:
    parts = ctx.saved_tensors
    found = iter(chosen_experts_backward(g, *parts, ctx.activation, ctx.gated))
    return (*(None if v is None else next(found) for v in parts[:6]), *[None] * 4)


chosen_experts.register_autograd(_gradient, setup_context=_keep)

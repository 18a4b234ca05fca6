"""The chosen experts, one after the other, forward and backward, without autograd's bookkeeping in between.

For the tokens t of expert e with gate weight w, z = x W1' + b1, h = act(z), y = h W2' + b2, out_t += w y; and
with g = d out,

    dh = w (g W2),   dw = g . y = (g W2) . h + g . b2,   dz = act'(z) dh,
    dW2 = (w g)' h,  db2 = sum w g,  dW1 = dz' x,  db1 = sum dz,  dx_t += dz W1.

Everything of one expert is a few megabytes and stays in the cache; results are added in a fixed order. The
numbers of pairs are read on the host: on an accelerator that waits for it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # of the gradient and of what was activated
    "relu": lambda g, z: torch.ops.aten.threshold_backward(g, z, 0.0),
    "gelu": lambda g, z: torch.ops.aten.gelu_backward(g, z),
    "silu": lambda g, z: torch.ops.aten.silu_backward(g, z),
}


class Operands(NamedTuple):
    """What the chosen experts are computed from, for m pairs of a token and an expert, sorted by expert.

    Attributes
    ----------
    x : Tensor of shape (t, d_model)
    weight : Tensor of shape (m,)
    w1, b1, w2, b2 : Tensor
        Of all experts; a bias may be None.
    token : Tensor of shape (m,)
    counts : Tensor of shape (n_experts,)
        Pairs of each expert.
    activation : str
    gated : bool
    """

    x: Tensor
    weight: Tensor
    w1: Tensor
    b1: Tensor | None
    w2: Tensor
    b2: Tensor | None
    token: Tensor
    counts: Tensor
    activation: str
    gated: bool

    def leaves(self) -> tuple[Tensor | None, ...]:
        """Those that are differentiated: x, weight, w1, b1, w2 and b2."""
        return self[:6]


def activate(h: Tensor, activation: str, gated: bool) -> Tensor:
    """act(h), or, gated, act(a) * b for the halves a and b of h."""
    function = ACTIVATIONS[activation]
    if not gated:
        return function(h)
    a, b = h.chunk(2, dim=-1)
    return function(a) * b


def compute(of: Operands) -> tuple[Tensor, Tensor]:
    """Output (t, d_model) and z (m, inner)."""
    x, weight, w1, b1, w2, b2, token, counts, activation, gated = of
    out, z = torch.zeros_like(x), x.new_empty(len(token), w1.shape[1])
    for e, at in _slices(counts):
        t, slot = token[at], z[at]
        rows = x.index_select(0, t)
        if b1 is None:
            torch.mm(rows, w1[e].t(), out=slot)
        else:
            torch.addmm(b1[e], rows, w1[e].t(), out=slot)
        h = activate(slot, activation, gated)
        y = h @ w2[e].t() if b2 is None else torch.addmm(b2[e], h, w2[e].t())
        out.index_add_(0, t, y.mul_(weight[at, None]))
    return out, z


def differentiate(g: Tensor, z: Tensor, of: Operands, needed: Sequence[bool]) -> list[Tensor | None]:
    """Gradients of the leaves where `needed`, for g = d out (t, d_model) and the z of `compute`."""
    x, weight, w1, _, w2, b2, token, counts, activation, gated = of
    slices = _slices(counts)
    new = torch.empty_like if len(slices) == len(counts) else torch.zeros_like
    makers = (torch.zeros_like, torch.zeros_like, new, new, new, new)
    gx, gw, gw1, gb1, gw2, gb2 = out = [
        make(v) if v is not None and need else None
        for make, v, need in zip(makers, of.leaves(), needed, strict=True)
    ]
    for e, at in slices:
        t, w = token[at], weight[at, None]
        upper = g.index_select(0, t)
        h, dz_of = _activated(activation, gated, z[at])
        dh = upper @ w2[e]
        if gw is not None:
            level = (dh * h).sum(dim=1)
            gw[at] = level if b2 is None else level + upper @ b2[e]
        weighted = upper.mul_(w)
        if gw2 is not None:
            torch.mm(weighted.t(), h, out=gw2[e])
        if gb2 is not None:
            torch.sum(weighted, dim=0, out=gb2[e])
        dz = dz_of(dh.mul_(w))
        if gw1 is not None:
            torch.mm(dz.t(), x.index_select(0, t), out=gw1[e])
        if gb1 is not None:
            torch.sum(dz, dim=0, out=gb1[e])
        if gx is not None:
            gx.index_add_(0, t, dz @ w1[e])
    return out


def plain(of: Operands) -> Tensor:
    """The output by operations that autograd knows: what second derivatives go through."""
    x, weight, w1, b1, w2, b2, token, counts, activation, gated = of
    out = torch.zeros_like(x)
    for e, at in _slices(counts):
        z = F.linear(x[token[at]], w1[e], None if b1 is None else b1[e])
        y = F.linear(activate(z, activation, gated), w2[e], None if b2 is None else b2[e])
        out = out.index_add(0, token[at], y * weight[at, None])
    return out


def keep(ctx: Any, of: Operands, z: Tensor) -> None:
    """Save for the gradient."""
    *tensors, ctx.activation, ctx.gated = of
    ctx.save_for_backward(*tensors, z)


def kept(ctx: Any) -> tuple[Operands, Tensor]:
    """What `keep` saved."""
    x, weight, w1, b1, w2, b2, token, counts, z = ctx.saved_tensors
    return Operands(x, weight, w1, b1, w2, b2, token, counts, ctx.activation, ctx.gated), z


class ChosenExperts(torch.autograd.Function):
    """`compute` with `differentiate` as its gradient."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        of = Operands(*given)
        out, z = compute(of)
        keep(ctx, of, z)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        of, z = kept(ctx)
        needed = ctx.needs_input_grad[:6]
        if torch.is_grad_enabled():  # this gradient will be differentiated again
            leaves = [v for v, need in zip(of.leaves(), needed, strict=True) if v is not None and need]
            found = iter(
                torch.autograd.grad(
                    plain(of), leaves, gradients[0], create_graph=True, materialize_grads=True
                )
            )
            return (*(next(found) if need else None for need in needed), *[None] * 4)
        return (*differentiate(gradients[0].contiguous(), z, of, needed), *[None] * 4)


def _slices(counts: Tensor) -> list[tuple[int, slice]]:
    """The experts that have pairs, and where these are."""
    found, first = [], 0
    for e, count in enumerate(counts.tolist()):
        if count:
            found.append((e, slice(first, first + count)))
        first += count
    return found


def _activated(activation: str, gated: bool, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """act(z), and what turns a gradient of it into one of z."""
    function, derivative = ACTIVATIONS[activation], DERIVATIVES[activation]
    if not gated:
        return function(z), lambda g: derivative(g, z)
    a, b = z.chunk(2, dim=-1)
    level = function(a)
    return level * b, lambda g: torch.cat((derivative(g * b, a), g * level), dim=-1)

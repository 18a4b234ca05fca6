"""The chosen experts, one after the other, forward and backward, without autograd's bookkeeping in between.

For the tokens t of expert e with gate weight w, z = x W1' + b1, h = act(z), y = h W2' + b2, out_t += w y; and
with g = d out,

    dh = w (g W2),   dw = g . y = (g W2) . h + g . b2,   dz = act'(z) dh,
    dW2 = (w g)' h,  db2 = sum w g,  dW1 = dz' x,  db1 = sum dz,  dx_t += dz W1.

Everything of one expert is a few megabytes and stays in the cache; results are added in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Activation = Callable[[Tensor], Tensor]


class ChosenExperts(torch.autograd.Function):
    """sum over a token's experts of weight * expert(x); pairs sorted by expert, `counts` of them for each."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        w1: Tensor,
        b1: Tensor | None,
        w2: Tensor,
        b2: Tensor | None,
        token: Tensor,
        counts: list[int],
        act: Activation,
    ) -> Tensor:
        out = torch.zeros_like(x)
        z = x.new_empty(len(token), w1.shape[1])
        for e, (t, w, slot) in enumerate(
            zip(token.split(counts), weight.split(counts), z.split(counts), strict=True)
        ):
            if not len(t):
                continue
            rows = x.index_select(0, t)
            if b1 is None:
                torch.mm(rows, w1[e].t(), out=slot)
            else:
                torch.addmm(b1[e], rows, w1[e].t(), out=slot)
            y = act(slot) @ w2[e].t() if b2 is None else torch.addmm(b2[e], act(slot), w2[e].t())
            out.index_add_(0, t, y.mul_(w[:, None]))
        ctx.save_for_backward(x, weight, w1, b1, w2, b2, token, z)
        ctx.counts, ctx.act = counts, act
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, w1, b1, w2, b2, token, z = ctx.saved_tensors
        g = gradients[0].contiguous()
        need_x, need_weight, need_w1, need_b1, need_w2, need_b2 = ctx.needs_input_grad[:6]
        gx = torch.zeros_like(x) if need_x else None
        gw = torch.empty_like(weight) if need_weight else None
        gw1, gw2 = (torch.empty_like(v) if need else None for v, need in ((w1, need_w1), (w2, need_w2)))
        gb1, gb2 = (torch.empty_like(v) if need else None for v, need in ((b1, need_b1), (b2, need_b2)))
        first = 0
        for e, count in enumerate(ctx.counts):
            at = slice(first, first + count)
            first += count
            if not count:
                for gradient in (gw1, gw2, gb1, gb2):
                    if gradient is not None:
                        gradient[e].zero_()
                continue
            t, w = token[at], weight[at, None]
            upper = g.index_select(0, t)
            h, dz_of = _activated(ctx.act, z[at])
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
        return gx, gw, gw1, gb1, gw2, gb2, None, None, None


def _activated(act: Activation, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """act(z), and what turns a gradient of it into one of z."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        h = act(leaf)
    return h.detach(), lambda dh: torch.autograd.grad(h, leaf, dh)[0]

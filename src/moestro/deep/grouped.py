"""Linear maps of contiguous groups of rows, one matrix a group: the loop that autograd would otherwise record row by row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class GroupedLinear(torch.autograd.Function):
    """y[g] = x[g] W_e' + b_e for the rows g of expert e; every product writes into its place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, counts: list[int]) -> Tensor:
        y = x.new_empty(len(x), weight.shape[1])
        for e, (rows, out) in enumerate(zip(x.split(counts), y.split(counts), strict=True)):
            if len(rows) and bias is not None:
                torch.addmm(bias[e], rows, weight[e].t(), out=out)
            elif len(rows):
                torch.mm(rows, weight[e].t(), out=out)
        ctx.save_for_backward(x, weight)
        ctx.counts, ctx.has_bias = counts, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gy,) = gradients
        x, weight = ctx.saved_tensors
        gy = gy.contiguous()
        need_x, need_w, need_b = ctx.needs_input_grad[:3]
        gx = torch.empty_like(x) if need_x else None
        gw = torch.empty_like(weight) if need_w else None
        gb = weight.new_empty(weight.shape[:2]) if need_b and ctx.has_bias else None
        pieces = zip(x.split(ctx.counts), gy.split(ctx.counts), strict=True)
        at = 0
        for e, (rows, upper) in enumerate(pieces):
            if gx is not None and len(rows):
                torch.mm(upper, weight[e], out=gx[at : at + len(rows)])
            if gw is not None:
                torch.mm(upper.t(), rows, out=gw[e])  # zeros where the group is empty
            if gb is not None:
                torch.sum(upper, dim=0, out=gb[e])
            at += len(rows)
        return gx, gw, gb, None

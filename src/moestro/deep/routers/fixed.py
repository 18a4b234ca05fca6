"""Routers that learn nothing: by a hash of the token (arXiv 2106.04426), and at random."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import DataError
from .base import Router

STEP = 1e-5  # between ranks: the order decides which experts, and their weights stay equal


class HashRouter(Router):
    """Each token id has its own fixed order of experts; a top-k takes the first k, with equal weights.

    Parameters
    ----------
    d_model, n_experts : int
    vocabulary : int
        Number of token ids.
    seed : int
    """

    def __init__(self, d_model: int, n_experts: int, *, vocabulary: int, seed: int = 0):
        super().__init__(d_model, n_experts)
        generator = torch.Generator().manual_seed(seed)
        order = torch.rand(vocabulary, n_experts, generator=generator).argsort(dim=1)
        self.register_buffer("rank", order.argsort(dim=1))

    rank: Tensor

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        if ids is None:
            raise DataError("a hash router reads token ids: pass ids= to the layer")
        return self.rank[ids].to(x.dtype) * -STEP


class RandomRouter(Router):
    """A new random order of experts for every token at every call (THOR's routing), with equal weights."""

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        order = torch.rand(*x.shape[:-1], self.n_experts, device=x.device).argsort(dim=-1)
        return order.to(x.dtype) * -STEP

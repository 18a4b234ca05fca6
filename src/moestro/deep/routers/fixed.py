"""Routers that learn nothing: by a hash of the token (arXiv 2106.04426), and at random."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Router, check_ids, check_size

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
        self.vocabulary, self.seed = check_size("vocabulary", vocabulary), check_size("seed", seed, None)
        self.register_buffer("rank", torch.empty(self.vocabulary, self.n_experts, dtype=torch.int64))
        self.reset_parameters()

    rank: Tensor

    def reset_parameters(self) -> None:
        """The orders of the seed: the same on every device."""
        if self.rank.is_meta:
            return
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.rand(*self.rank.shape, generator=generator, device="cpu").argsort(dim=1)
        self.rank.copy_(order.argsort(dim=1))

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        return self.rank[check_ids(ids, self.vocabulary, "a hash router")].to(x.dtype) * -STEP


class RandomRouter(Router):
    """A new random order of experts for every token at every call (THOR's routing), with equal weights."""

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        order = torch.rand(*x.shape[:-1], self.n_experts, device=x.device).argsort(dim=-1)
        return order.to(x.dtype) * -STEP

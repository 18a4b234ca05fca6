"""StableMoE (arXiv 2204.08396): a router is learned and distilled into a light one of the token alone, which
then is frozen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import DataError
from .base import Router


class StableRouter(Router):
    """Stage 1: logits x E', and a light router learns their choice. `freeze()` begins stage 2: the light
    router alone, fixed.

    Parameters
    ----------
    d_model, n_experts : int
    vocabulary : int, optional
        Number of token ids. With it the light router reads the token's id through an embedding of its own, as
        in the paper; without, it is a linear map of the input.
    low_dim : int
        Width of the light router's embedding.
    """

    def __init__(self, d_model: int, n_experts: int, *, vocabulary: int | None = None, low_dim: int = 50):
        super().__init__(d_model, n_experts)
        self.centres = nn.Parameter(torch.empty(n_experts, d_model))
        nn.init.orthogonal_(self.centres, gain=0.1)
        self.embed = None if vocabulary is None else nn.Embedding(vocabulary, low_dim)
        self.light = nn.Linear(d_model if vocabulary is None else low_dim, n_experts, bias=False)
        self.register_buffer("stage", torch.tensor(1))

    stage: Tensor

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        return F.linear(x, self.centres) if int(self.stage) == 1 else self._light(x, ids)

    def losses(self, x: Tensor, logits: Tensor, ids: Tensor | None) -> Mapping[str, Tensor]:
        """Cross-entropy of the light router against the choice of the learned one, in stage 1."""
        if int(self.stage) == 2:
            return {}
        light = self._light(x.detach(), ids).reshape(-1, self.n_experts)
        return {
            "distillation": F.cross_entropy(
                light.float(), logits.detach().reshape(-1, self.n_experts).argmax(1)
            )
        }

    def freeze(self) -> None:
        """Begin stage 2: nothing of the router is trained any more."""
        self.stage.fill_(2)
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def _light(self, x: Tensor, ids: Tensor | None) -> Tensor:
        if self.embed is None:
            return self.light(x)
        if ids is None:
            raise DataError("this router reads token ids: pass ids= to the layer")
        return self.light(self.embed(ids))

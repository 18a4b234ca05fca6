"""StableMoE (arXiv 2204.08396): a router is learned and distilled into a light one of the token alone, which
then is frozen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..precision import full_precision, linear, wide
from .base import Router, check_ids, check_size


class StableRouter(Router):
    """Logits x E'. The weight of a chosen expert is sigmoid(x . E_e) in both stages, so that E is trained in
    both.

    Stage 1: a training step chooses by these logits, and a light router learns the choice; evaluation chooses
    by the light router, as the released code does. `freeze()` begins stage 2: the light router alone chooses,
    and is trained no more.

    Parameters
    ----------
    d_model, n_experts : int
    vocabulary : int, optional
        Number of token ids. With it the light router reads the token's id through an embedding of its own, as
        in the paper; without, it is a linear map of the input.
    low_dim : int
        Width of the light router's embedding.

    Notes
    -----
    The stage is part of the state: a checkpoint of stage 2 loads frozen.
    """

    score = "sigmoid"

    def __init__(self, d_model: int, n_experts: int, *, vocabulary: int | None = None, low_dim: int = 50):
        super().__init__(d_model, n_experts)
        self.vocabulary = None if vocabulary is None else check_size("vocabulary", vocabulary)
        low_dim = check_size("low_dim", low_dim)
        width = d_model if vocabulary is None else low_dim
        self.centres = nn.Parameter(torch.empty(n_experts, d_model))
        self.embed = None if self.vocabulary is None else nn.Embedding(self.vocabulary, width)
        self.light = nn.Linear(width, n_experts, bias=False)
        self.register_buffer("stage", torch.tensor(1))
        self._frozen = False
        self.register_load_state_dict_post_hook(_freeze_as_loaded)
        self.reset_parameters()

    stage: Tensor

    def reset_parameters(self) -> None:
        """Stage 1, with new centroids: orthogonal, times 0.1, both."""
        for centres in (self.centres, self.light.weight):
            nn.init.orthogonal_(centres, gain=0.1)
        if self.embed is not None:
            self.embed.reset_parameters()
        self.stage.fill_(1)
        self._set_frozen(False)

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        return linear(x, self.centres)

    @torch.no_grad()
    def selection(self, x: Tensor, ids: Tensor | None) -> Tensor | None:
        return None if self.training and not self._frozen else self._light(x, ids)

    def losses(
        self, x: Tensor, logits: Tensor, ids: Tensor | None, mask: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Cross-entropy of the light router against the choice of the learned one, in stage 1: the mean over
        tokens."""
        if self._frozen:
            return {}
        target = logits.detach().reshape(-1, self.n_experts).argmax(dim=1)
        light = self._light(x.detach(), ids).reshape(-1, self.n_experts)
        each = F.cross_entropy(light, target, reduction="none")
        kept = torch.ones_like(each) if mask is None else mask.reshape(-1).to(each.dtype)
        return {"distillation": (each * kept).sum() / kept.sum().clamp_min(1.0)}

    def freeze(self) -> None:
        """Begin stage 2: the assignment is fixed, the weights of the experts are still learned."""
        self.stage.fill_(2)
        self._set_frozen(True)

    def _set_frozen(self, frozen: bool) -> None:
        self._frozen = frozen  # what the device need not be asked for
        for part in (self.light, self.embed):
            if part is not None:
                part.requires_grad_(not frozen)

    def _light(self, x: Tensor, ids: Tensor | None) -> Tensor:
        with full_precision(x):
            if self.embed is None or self.vocabulary is None:
                return linear(wide(x), self.light.weight)
            known = check_ids(ids, self.vocabulary, "this router")
            return linear(wide(self.embed(known)), self.light.weight)


def _freeze_as_loaded(router: StableRouter, _keys: object) -> None:
    if not router.stage.is_meta:
        router._set_frozen(int(router.stage) == 2)

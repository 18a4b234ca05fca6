"""The sparse layer: a router, an assignment, experts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError
from .assignment import SCORES, Assignment, balance_loss, check_top_k, choose_experts, choose_tokens, z_loss
from .experts import BACKENDS, MLPExperts
from .routers import Router, make_router


@dataclass(frozen=True)
class RoutingInfo:
    """What a layer did with its tokens.

    Attributes
    ----------
    logits : Tensor of shape (t, n_experts)
    assignment : Assignment
    losses : dict of str to Tensor
        "balance" and "z", unweighted, over the tokens that are not padding; a router's own beside them.
        Nothing is added to the model's loss by itself.
    top_k : int
    mask : Tensor of shape (t,) or None
        True where a token is no padding.
    """

    logits: Tensor
    assignment: Assignment
    losses: dict[str, Tensor]
    top_k: int
    mask: Tensor | None


class SparseMoE(nn.Module):
    """A sparse mixture of experts, dropless: every token is computed by its experts.

    Parameters
    ----------
    d_model, n_experts, top_k : int
        `top_k` can be changed for a call, or for a model by `set_top_k`.
    router : str or Router
        One of `moestro.deep.ROUTERS`, or a router made for this layer.
    expert : MLPExperts, optional
        By default two layers of `hidden` units.
    hidden : int, optional
        4 d_model by default.
    score : {"topk_softmax", "softmax_topk_renorm", "softmax_topk", "sigmoid"}
    backend : {"auto", "dense", "sorted", "grouped_mm"}
    router_options, expert_options : dict
        Of the router and of `MLPExperts`.

    Examples
    --------
    >>> import torch
    >>> from moestro.deep import SparseMoE
    >>> layer = SparseMoE(16, n_experts=4, top_k=2, router="hyper")
    >>> out, info = layer(torch.randn(3, 5, 16))
    >>> tuple(out.shape), sorted(info.losses)
    ((3, 5, 16), ['balance', 'z'])
    """

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        top_k: int,
        *,
        router: str | Router = "hyper",
        expert: MLPExperts | None = None,
        hidden: int | None = None,
        score: str = "topk_softmax",
        backend: str = "auto",
        router_options: dict[str, Any] | None = None,
        expert_options: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.router = make_router(router, d_model, n_experts, **(router_options or {}))
        self.top_k = check_top_k(top_k, n_experts)
        if score not in SCORES:
            raise DataError(f"score={score!r} is unknown: choose one of {', '.join(SCORES)}")
        if backend not in BACKENDS:
            raise DataError(f"backend={backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
        if expert is None:
            expert = MLPExperts(
                d_model, 4 * d_model if hidden is None else hidden, n_experts, **(expert_options or {})
            )
        elif hidden is not None or expert_options:
            raise DataError(
                "hidden and expert_options describe new experts: leave them out where experts are given"
            )
        if (expert.d_model, expert.n_experts) != (d_model, n_experts):
            raise DataError(
                f"the experts are {expert.n_experts} of width {expert.d_model}, "
                f"the layer has {n_experts} of width {d_model}"
            )
        self.experts = expert
        self.score, self.backend = score, backend
        self.d_model, self.n_experts = d_model, n_experts

    def forward(
        self,
        x: Tensor,
        *,
        top_k: int | None = None,
        mask: Tensor | None = None,
        ids: Tensor | None = None,
    ) -> tuple[Tensor, RoutingInfo]:
        """Route and compute.

        Parameters
        ----------
        x : Tensor of shape (..., d_model)
        top_k : int, optional
            For this call.
        mask : bool Tensor of shape (...), optional
            False for padding: its output is zero, and it counts in no loss.
        ids : Tensor of shape (...), optional
            Token ids, for routers that read them.

        Returns
        -------
        out : Tensor like x
        info : RoutingInfo
        """
        self._check(x, mask)
        k = self.top_k if top_k is None else check_top_k(top_k, self.n_experts)
        tokens = x.reshape(-1, self.d_model)
        flat_ids = None if ids is None else ids.reshape(-1)
        kept = None if mask is None else mask.reshape(-1)
        logits = self.router(tokens, flat_ids)
        if not torch.compiler.is_compiling() and not bool(torch.isfinite(logits).all()):
            raise DataError(
                "the router's logits are not finite: its weights or its input hold NaN or infinity"
            )
        if self.router.chooses_tokens:
            assignment = choose_tokens(logits, k, kept)
        else:
            assignment = choose_experts(logits, k, self.score)
        out = self.experts(tokens, assignment, self.backend)
        if kept is not None:
            out = out * kept[:, None].to(out.dtype)
        losses = {"balance": balance_loss(assignment, kept), "z": z_loss(logits, kept)}
        losses |= self.router.losses(tokens, logits, flat_ids)
        return out.reshape(x.shape), RoutingInfo(logits, assignment, losses, k, kept)

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        weight = self.experts.w1
        if not x.is_floating_point() or x.dtype != weight.dtype:
            raise DataError(f"x is {x.dtype}, the experts are {weight.dtype}: convert one of them")
        if x.device != weight.device:
            raise DataError(f"x is on {x.device}, the experts are on {weight.device}")
        if x.ndim < 2 or x.shape[-1] != self.d_model:
            raise DataError(f"x has shape {tuple(x.shape)}, expected (..., {self.d_model})")
        if not x.numel():
            raise DataError("the batch is empty: there is no token to route")
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:-1]):
            raise DataError(
                f"mask must be bool of shape {tuple(x.shape[:-1])}, got {mask.dtype} {tuple(mask.shape)}"
            )
        if mask is not None and not bool(mask.any()):
            raise DataError("the batch is empty: every token is padding")

    def extra_repr(self) -> str:
        return f"top_k={self.top_k}, score={self.score}, backend={self.backend}"


@contextmanager
def set_top_k(model: nn.Module, k: int) -> Iterator[None]:
    """Within the block every sparse layer of `model` uses k experts.

    Examples
    --------
    >>> from moestro.deep import SparseMoE, set_top_k
    >>> layer = SparseMoE(8, n_experts=4, top_k=4)
    >>> with set_top_k(layer, 1):
    ...     print(layer.top_k)
    1
    """
    layers = [m for m in model.modules() if isinstance(m, SparseMoE)]
    if not layers:
        raise DataError("the model has no SparseMoE layer")
    before = [layer.top_k for layer in layers]
    for layer in layers:
        check_top_k(k, layer.n_experts)
    try:
        for layer in layers:
            layer.top_k = k
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            layer.top_k = old

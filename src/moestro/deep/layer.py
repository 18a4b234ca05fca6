"""The sparse layer: a router, an assignment, experts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..reading import check_flag
from .assignment import Assignment, check_top_k, choose_experts, choose_tokens, limit
from .balancing import LoadBalancer
from .custom import CustomExperts, check_output, reset_all
from .experts import BACKENDS, MLPExperts
from .losses import balance_loss, z_loss
from .precision import autocast_type
from .routers import Router, make_router
from .routers.base import check_kind, check_positive, check_size
from .scoring import Scoring, scoring_of


@dataclass(frozen=True)
class RoutingInfo:
    """What a layer did with its tokens.

    Attributes
    ----------
    logits : Tensor of shape (t, n_experts)
    assignment : Assignment
    losses : dict of str to Tensor
        In training, "balance" and "z", unweighted, over the tokens that are not padding, and a router's own;
        in evaluation none. Nothing is added to the model's loss by itself.
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
    expert : MLPExperts or nn.Module, optional
        By default two layers of `hidden` units. Another module is called as `module(x, weights, indices)`
        with (t, d_model), (t, top_k) and (t, top_k), scattermoe's order.
    hidden : int, optional
        4 d_model by default.
    score : str or Scoring, optional
        Of `choose_experts`; by default the router's own: "sigmoid" for "stable", else "topk_softmax". With
        top_k = 1 softmax after the top-k is 1 whatever the logits are, and the experts' loss does not train
        the router: a warning then names what does.
    backend : {"auto", "dense", "sorted", "grouped_mm"}
        "dense" computes all experts; "sorted" the chosen ones, one expert after the other; "grouped_mm" by
        torch's grouped product.
    capacity : float, optional
        At most this times an even share of the pairs go to one expert, and those of the last tokens are
        dropped (`moestro.deep.limit`). By default nothing is dropped.
    balance_rate : float, optional
        Balance without a loss: a bias an expert, moved by this much by `step_balance`.
    shared : nn.Module, optional
        An expert of all tokens: its output on x (t, d_model) is added.
    returns : {"both", "output"}
        "output" leaves the second value out, so that the layer stands where a feed-forward network stood; it
        is then `info_` until the next call, and `sum_losses` reads it.
    check_finite : bool
        Raise where logits are not finite. It waits for the device at every call, and where a GradScaler
        looks for infinities itself it must be off. On the meta device nothing is looked at.
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
        expert: nn.Module | None = None,
        hidden: int | None = None,
        score: str | Scoring | None = None,
        backend: str = "auto",
        capacity: float | None = None,
        balance_rate: float | None = None,
        shared: nn.Module | None = None,
        returns: str = "both",
        check_finite: bool = False,
        router_options: dict[str, Any] | None = None,
        expert_options: dict[str, Any] | None = None,
    ):
        super().__init__()
        d_model, n_experts = check_size("d_model", d_model), check_size("n_experts", n_experts)
        for name, options in (("router_options", router_options), ("expert_options", expert_options)):
            if options is not None:
                check_kind(name, options, Mapping)
        for name, module in (("expert", expert), ("shared", shared)):
            if module is not None:
                check_kind(name, module)
        self.router = make_router(router, d_model, n_experts, **(router_options or {}))
        self.top_k = check_top_k(top_k, n_experts)
        given = {"score": score, "capacity": capacity, "balance_rate": balance_rate}
        beside = [name for name, value in given.items() if value is not None]
        if beside and self.router.chooses_tokens:
            raise DataError(
                "experts that choose their tokens weigh by softmax over all and are even by themselves: "
                f"leave {beside[0]} out"
            )
        if capacity is not None:
            check_positive("capacity", capacity)
        self.score = self.router.score if score is None else score
        self.scoring = scoring_of(self.score)
        self.scoring.check(n_experts, self.top_k)
        _warn_of_one(self)
        if backend not in BACKENDS:
            raise DataError(f"backend={backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
        if expert is None:
            width = 4 * d_model if hidden is None else hidden
            try:
                expert = MLPExperts(d_model, width, n_experts, **(expert_options or {}))
            except TypeError as error:
                raise DataError(f"the experts: {error}") from error
        elif hidden is not None or expert_options:
            raise DataError(
                "hidden and expert_options describe new experts: leave them out where experts are given"
            )
        if not isinstance(expert, MLPExperts):
            if self.router.chooses_tokens or backend != "auto":
                raise DataError(
                    "experts of one's own are called with the k experts of every token and compute as they "
                    "do: leave expert_choice and backend out"
                )
            expert = CustomExperts(expert, d_model, n_experts)
        if returns not in ("both", "output"):
            raise DataError(f"returns={returns!r} is unknown: choose both or output")
        if (expert.d_model, expert.n_experts) != (d_model, n_experts):
            raise DataError(
                f"the experts are {expert.n_experts} of width {expert.d_model}, "
                f"the layer has {n_experts} of width {d_model}"
            )
        self.experts = expert
        self.backend, self.capacity = backend, capacity
        self.check_finite = check_flag("check_finite", check_finite)
        self.returns, self.info_ = returns, None
        self.balancer = None if balance_rate is None else LoadBalancer(n_experts, balance_rate)
        self.shared = shared
        self.d_model, self.n_experts = d_model, n_experts

    def forward(
        self,
        x: Tensor,
        *,
        top_k: int | None = None,
        mask: Tensor | None = None,
        ids: Tensor | None = None,
    ) -> Any:
        """Route and compute.

        Parameters
        ----------
        x : Tensor of shape (..., d_model)
        top_k : int, optional
            For this call.
        mask : bool Tensor of shape (...), optional
            False for padding: its output is zero, it counts in no loss, and what stands there is not looked
            at. All tokens may be padding, and x may be empty: losses are zero then, and so are gradients.
        ids : Tensor of shape (...), optional
            Token ids, for routers that read them.

        Returns
        -------
        out : Tensor like x
        info : RoutingInfo
            Not with returns="output".
        """
        self._check(x, mask, ids)
        k = self.top_k if top_k is None else check_top_k(top_k, self.n_experts)
        tokens = x.reshape(-1, self.d_model)
        flat_ids = None if ids is None else ids.reshape(-1)
        kept = None if mask is None else mask.reshape(-1)
        if kept is not None:  # whatever stands in padding, NaN too
            tokens = tokens.masked_fill(~kept[:, None], 0.0)
            flat_ids = None if flat_ids is None else flat_ids.masked_fill(~kept, 0)
        logits = self.router(tokens, flat_ids)
        if self.check_finite and not logits.is_meta and not bool(torch.isfinite(logits).all()):
            raise DataError(
                "the router's logits are not finite: its weights or its input hold NaN or infinity"
            )
        if self.router.chooses_tokens:
            assignment = choose_tokens(logits, k, kept)
        else:
            select = self.router.selection(tokens, flat_ids)
            bias = None if self.balancer is None else self.balancer.bias
            assignment = choose_experts(logits, k, self.scoring, select=select, bias=bias, mask=kept)
            if self.capacity is not None:
                assignment = limit(assignment, self.capacity)
        if self.balancer is not None and self.training:
            self.balancer.observe(assignment)
        out = self.experts(tokens, assignment, self.backend)
        if self.shared is not None:
            every = check_output(self.shared(tokens), tokens, "the shared expert")
            out = out + (every if kept is None else every.masked_fill(~kept[:, None], 0.0))
        losses: dict[str, Tensor] = {}
        if self.training:
            losses = {"balance": balance_loss(assignment, kept), "z": z_loss(logits, kept)}
            losses |= self.router.losses(tokens, logits, flat_ids, kept)
        info = RoutingInfo(logits, assignment, losses, k, kept)
        if self.returns == "both":
            return out.reshape(x.shape), info
        self.info_ = info
        return out.reshape(x.shape)

    def reset_parameters(self) -> None:
        """Draw the router and the experts anew: after `to_empty` of a layer made on the meta device."""
        self.router.reset_parameters()
        self.experts.reset_parameters()
        if self.balancer is not None:
            self.balancer.reset_parameters()
        if self.shared is not None:
            reset_all(self.shared)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "info_": None}  # of a graph, which is neither copied nor kept

    def _check(self, x: Tensor, mask: Tensor | None, ids: Tensor | None) -> None:
        for name, given in (("x", x), ("mask", mask), ("ids", ids)):
            if not isinstance(given, Tensor) and (given is not None or name == "x"):
                raise DataError(f"{name} must be a tensor, got {type(given).__name__}")
        if x.layout != torch.strided:
            raise DataError(f"x is {x.layout}: make it dense by x.to_dense()")
        weight = next(self.experts.parameters(), x)
        if not x.is_floating_point() or (x.dtype != weight.dtype and autocast_type(x) is None):
            raise DataError(f"x is {x.dtype}, the experts are {weight.dtype}: convert one of them")
        if x.device != weight.device:
            raise DataError(f"x is on {x.device}, the experts are on {weight.device}")
        if x.ndim < 2 or x.shape[-1] != self.d_model:
            raise DataError(f"x has shape {tuple(x.shape)}, expected (..., {self.d_model})")
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:-1]):
            raise DataError(
                f"mask must be bool of shape {tuple(x.shape[:-1])}, got {mask.dtype} {tuple(mask.shape)}"
            )
        if ids is not None and ids.shape != x.shape[:-1]:
            raise DataError(f"ids must have shape {tuple(x.shape[:-1])}, got {tuple(ids.shape)}")

    info_: RoutingInfo | None

    def extra_repr(self) -> str:
        return f"top_k={self.top_k}, score={self.score}, backend={self.backend}"


def _warn_of_one(layer: SparseMoE) -> None:
    learns = any(p.requires_grad for p in layer.router.parameters())
    if learns and not layer.router.chooses_tokens and layer.scoring.alone(layer.top_k):
        warnings.warn(
            "with top_k=1 this score weighs the chosen expert by the same number whatever the logits are, so "
            "that the experts' loss never trains the router: score='softmax_topk' or 'sigmoid' does",
            RuntimeWarning,
            stacklevel=3,
        )

"""HyperRouter (arXiv 2312.07035): a fixed random hypernetwork makes the router's weights from a small trained
embedding.

    W, b = reshape(W2 relu(W1 e + b1) + b2),    logits = x W' + b

Only e is trained. The map from e to (W, b) is fixed, so W is one matrix at a time: it can be baked into a
linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...reading import check_flag
from ..precision import full_precision, linear, wide
from .base import Router, check_init, check_size, linear_init, spread


class HyperRouter(Router):
    """A router whose weights lie in the image of a fixed ReLU network.

    Parameters
    ----------
    d_model, n_experts : int
    embed_dim : int, optional
        Length of the embedding; d_model by default, as in the released code.
    hidden : int
        Width of the hypernetwork. The released code runs 256 whatever its flag says.
    bias : bool
    init : {"paper", "unit_logit", "torch"}
        Of the hypernetwork; "unit_logit" scales it so that logits have standard deviation 1. The embedding is
        N(0, 1).
    logit_std : float, optional
        Standard deviation of the logits at the start, for inputs of unit mean square.
    train_embedding : bool
        False freezes the embedding too: a control without learning.

    Notes
    -----
    The hypernetwork's weights are parameters that ask for no gradient and never get one: they are in the
    state, and DistributedDataParallel sends them once, at its construction, where it would send buffers
    before every forward pass.
    """

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        *,
        embed_dim: int | None = None,
        hidden: int = 256,
        bias: bool = True,
        init: str = "paper",
        logit_std: float | None = None,
        train_embedding: bool = True,
    ):
        super().__init__(d_model, n_experts)
        check_init(init, logit_std)
        bias, train_embedding = check_flag("bias", bias), check_flag("train_embedding", train_embedding)
        width = self.embed_dim = d_model if embed_dim is None else check_size("embed_dim", embed_dim)
        self.hidden = check_size("hidden", hidden)
        self.init, self.logit_std = init, logit_std
        out = d_model * n_experts + (n_experts if bias else 0)
        for name, shape in (
            ("w1", (hidden, width)),
            ("b1", (hidden,)),
            ("w2", (out, hidden)),
            ("b2", (out,)),
        ):
            self.register_parameter(name, nn.Parameter(torch.empty(shape), requires_grad=False))
        self.embedding = nn.Parameter(torch.empty(width), requires_grad=train_embedding)
        self.reset_parameters()

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Another hypernetwork and another embedding: one at which some hidden unit is on, as W is else
        constant and is never trained."""
        inner = "paper" if self.init == "unit_logit" else self.init
        linear_init(self.w1, self.b1, inner)
        linear_init(self.w2, self.b2, inner)
        self.embedding.normal_()
        while not self.w1.is_meta and not bool((linear(wide(self.embedding), self.w1, self.b1) > 0).any()):
            self.embedding.normal_()
        target = 1.0 if self.init == "unit_logit" else self.logit_std
        if target is not None and not self.w2.is_meta:
            factor = target / spread(self.weights()[0])
            self.w2 *= factor
            self.b2 *= factor

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """W (n_experts, d_model) and b (n_experts,) at the present embedding."""
        w1, b1, w2, b2 = (w.detach() for w in (self.w1, self.b1, self.w2, self.b2))
        with full_precision(self.embedding):
            flat = linear(F.relu(linear(wide(self.embedding), w1, b1)), w2, b2)
        columns = flat.numel() // self.n_experts
        both = flat.view(self.n_experts, columns)
        if columns == self.d_model:
            return both, None
        return both[:, : self.d_model].contiguous(), both[:, self.d_model].contiguous()

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        return F.linear(x, *self.weights())

    def bake(self) -> nn.Linear:
        """A plain linear layer with the same logits, to the bit: for inference, where W is one matrix and
        need not be made again at every call; the hypernetwork need not be shipped."""
        with torch.no_grad():
            W, b = self.weights()
            baked = nn.Linear(
                self.d_model, self.n_experts, bias=b is not None, device=W.device, dtype=W.dtype
            )
            baked.weight.copy_(W)
            if b is not None:
                baked.bias.copy_(b)
        return baked

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, embed_dim={self.embed_dim}, hidden={self.hidden}"

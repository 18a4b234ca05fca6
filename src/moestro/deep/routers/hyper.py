"""HyperRouter (arXiv 2312.07035): a fixed random hypernetwork makes the router's weights from a small trained
embedding.

    W, b = reshape(W2 relu(W1 e + b1) + b2),    logits = x W' + b

Only e is trained. The map from e to (W, b) is fixed, so W is one matrix at a time: it can be baked into a
linear layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import DataError
from .base import Router, check_init, linear_init, spread


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
    The hypernetwork's weights are buffers: in the state, but in no optimiser.
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
        width = d_model if embed_dim is None else embed_dim
        if width < 1 or hidden < 1:
            raise DataError("embed_dim and hidden must be at least 1")
        self.embed_dim, self.hidden = width, hidden
        out = d_model * n_experts + (n_experts if bias else 0)
        for name, shape in (
            ("w1", (hidden, width)),
            ("b1", (hidden,)),
            ("w2", (out, hidden)),
            ("b2", (out,)),
        ):
            self.register_buffer(name, torch.empty(shape))
        inner = "paper" if init == "unit_logit" else init
        linear_init(self.w1, self.b1, inner)
        linear_init(self.w2, self.b2, inner)
        self.embedding = nn.Parameter(torch.randn(width), requires_grad=train_embedding)
        target = 1.0 if init == "unit_logit" and logit_std is None else logit_std
        if target is not None:
            with torch.no_grad():
                factor = target / spread(self.weights()[0])
                self.w2 *= factor
                self.b2 *= factor
        self._kept: tuple[Any, tuple[Tensor, Tensor | None]] | None = None

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """W (n_experts, d_model) and b (n_experts,) at the present embedding."""
        flat = F.linear(F.relu(F.linear(self.embedding, self.w1, self.b1)), self.w2, self.b2)
        columns = flat.numel() // self.n_experts
        both = flat.view(self.n_experts, columns)
        if columns == self.d_model:
            return both, None
        return both[:, : self.d_model].contiguous(), both[:, self.d_model].contiguous()

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        W, b = self._present()
        return F.linear(x, W, b)

    def _present(self) -> tuple[Tensor, Tensor | None]:
        """The weights; kept between calls while nothing is trained, and made again once the state has
        changed."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.weights()
        state = tuple(
            (t.data_ptr(), t._version, t.dtype, t.device)
            for t in (self.embedding, self.w1, self.b1, self.w2, self.b2)
        )
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self.weights())
        return self._kept[1]

    def bake(self) -> nn.Linear:
        """A plain linear layer with the same logits, to the bit; the hypernetwork need not be shipped."""
        with torch.no_grad():
            W, b = self.weights()
            linear = nn.Linear(
                self.d_model, self.n_experts, bias=b is not None, device=W.device, dtype=W.dtype
            )
            linear.weight.copy_(W)
            if b is not None:
                linear.bias.copy_(b)
        return linear

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, embed_dim={self.embed_dim}, hidden={self.hidden}"

"""Linear routers: learned (SMoE), and drawn once and frozen (SMoE-Dropout, arXiv 2303.01610)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...reading import check_flag
from ..precision import linear
from .base import Router, check_init, linear_init, spread


class LinearRouter(Router):
    """x W' + b.

    Parameters
    ----------
    d_model, n_experts : int
    bias : bool
    init : {"paper", "unit_logit", "torch"}
        N(0, 0.02^2); logits of standard deviation 1; PyTorch's default.
    logit_std : float, optional
        Standard deviation of the logits at the start, for inputs of unit mean square.
    trainable : bool
        False makes the weights buffers: nothing trains them.
    """

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        *,
        bias: bool = True,
        init: str = "paper",
        logit_std: float | None = None,
        trainable: bool = True,
    ):
        super().__init__(d_model, n_experts)
        check_init(init, logit_std)
        bias, trainable = check_flag("bias", bias), check_flag("trainable", trainable)
        weight = torch.empty(n_experts, d_model)
        offset = torch.empty(n_experts) if bias else None
        self.init, self.logit_std = init, logit_std
        if trainable:
            self.weight: Tensor = nn.Parameter(weight)
            self.bias: Tensor | None = None if offset is None else nn.Parameter(offset)
        else:
            self.register_buffer("weight", weight)
            self.register_buffer("bias", offset)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        linear_init(self.weight, self.bias, self.init)
        if self.logit_std is not None and not self.weight.is_meta:
            self.weight *= self.logit_std / spread(self.weight)

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        return linear(x, self.weight, self.bias)


class FrozenRouter(LinearRouter):
    """A random linear router that is never trained."""

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        *,
        bias: bool = True,
        init: str = "paper",
        logit_std: float | None = None,
    ):
        super().__init__(d_model, n_experts, bias=bias, init=init, logit_std=logit_std, trainable=False)

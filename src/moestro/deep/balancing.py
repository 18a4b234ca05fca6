"""Balance without a loss (Wang et al., arXiv 2408.15664; DeepSeek-V3): a bias an expert, added to the scores
where experts are chosen and nowhere else, follows the load.

After each optimiser step  b_e += rate * sign(mean load - load_e),  and b is centred again: a common shift
chooses nothing, and would drift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..errors import DataError
from .assignment import Assignment
from .routers.base import check_kind, check_positive, check_size


class LoadBalancer(nn.Module):
    """The biases of one layer and the load since their last step.

    Parameters
    ----------
    n_experts : int
    rate : float
        How much a bias moves at a step; 0.001 in the papers.

    Notes
    -----
    The biases are in the state and stay float32 whatever the layer is cast to: bfloat16 would lose steps of
    0.001. The load is not in the state, is gathered in training only, over all the batches between two steps,
    and summed over ranks at the step.
    """

    def __init__(self, n_experts: int, rate: float):
        super().__init__()
        n_experts, self.rate = check_size("n_experts", n_experts), check_positive("balance_rate", rate)
        self.register_buffer("bias", torch.zeros(n_experts, dtype=torch.float32))
        self.register_buffer("load", torch.zeros(n_experts, dtype=torch.float32), persistent=False)

    bias: Tensor
    load: Tensor

    @torch.no_grad()
    def observe(self, assignment: Assignment) -> None:
        """Add what a batch gave to each expert; padding and dropped pairs are left out."""
        self.load += assignment.tally(assignment.counted()).to(self.load.dtype)

    @torch.no_grad()
    def step(self) -> None:
        """Move the biases towards an even load, and begin to count anew."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.load)
        self.bias += self.rate * torch.sign(self.load.mean() - self.load)
        self.bias -= self.bias.mean()
        self.load.zero_()

    def reset_parameters(self) -> None:
        self.bias.zero_()
        self.load.zero_()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """To other devices, but to no other type."""
        before: dict[str, Any] = {"bias": self.bias, "load": self.load}
        super()._apply(fn, recurse)
        for name, old in before.items():
            moved = getattr(self, name)
            if moved.dtype != torch.float32:
                setattr(self, name, old.to(moved.device))
        return self

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def step_balance(model: nn.Module) -> None:
    """Move the biases of every layer of a model: call it after each step of the optimiser.

    Examples
    --------
    >>> import torch
    >>> from moestro.deep import SparseMoE, step_balance
    >>> layer = SparseMoE(8, n_experts=4, top_k=2, balance_rate=0.001)
    >>> _ = layer(torch.randn(10, 8))
    >>> step_balance(layer)
    """
    check_kind("model", model)
    found = [m for m in model.modules() if isinstance(m, LoadBalancer)]
    if not found:
        raise DataError("the model has no layer with balance_rate")
    for balancer in found:
        balancer.step()

"""Experts of one's own in a sparse layer: any module that is called with tokens, weights and indices."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import DataError
from .assignment import Assignment


class CustomExperts(nn.Module):
    """A module called as `module(x, weights, indices)`, as scattermoe's experts are.

    Parameters
    ----------
    module : nn.Module
        Gets x (t, d_model), weights (t, top_k) and indices (t, top_k), and gives the weighted sums (t,
        d_model). A dropped pair, and padding, has weight zero.
    d_model, n_experts : int
    """

    def __init__(self, module: nn.Module, d_model: int, n_experts: int):
        super().__init__()
        self.module = module
        self.d_model, self.n_experts = d_model, n_experts

    def forward(self, x: Tensor, assignment: Assignment, backend: str = "auto") -> Tensor:
        """The module's output, in the type of x."""
        if backend != "auto":
            raise DataError(f"custom experts do their own computing: leave backend={backend!r} out")
        k = assignment.per_token
        if k is None:
            raise DataError(
                "experts that choose their tokens need MLPExperts: their tokens have no k experts"
            )
        weights, indices = assignment.weight.view(-1, k), assignment.expert.view(-1, k)
        out = self.module(x, weights.to(x.dtype), indices)
        return check_output(out, x, "a module of experts")

    def reset_parameters(self) -> None:
        """Draw anew what knows how to."""
        reset_all(self.module)


def check_output(out: object, x: Tensor, who: str) -> Tensor:
    """The output in the type of x, where it has its shape."""
    if not isinstance(out, Tensor) or out.shape != x.shape:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise DataError(f"{who} must give a tensor of shape {tuple(x.shape)}, got {shape}")
    return out.to(x.dtype)


def reset_all(module: nn.Module) -> None:
    """Call `reset_parameters` of every part that has it."""
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()

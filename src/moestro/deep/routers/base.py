"""What a router is: a module that gives every token one logit an expert. Which experts compute is decided
elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...errors import DataError

INITS = ("paper", "unit_logit", "torch")
PAPER_STD = 0.02  # of every linear weight in the released code


class Router(nn.Module):
    """Logits (..., n_experts) of tokens (..., d_model).

    Attributes
    ----------
    d_model, n_experts : int
    """

    chooses_tokens = False  # experts choose their tokens, instead of tokens their experts

    def __init__(self, d_model: int, n_experts: int):
        super().__init__()
        for name, value in (("d_model", d_model), ("n_experts", n_experts)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise DataError(f"{name} must be a whole number of at least 1, got {value!r}")
        self.d_model, self.n_experts = d_model, n_experts

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits of x (..., d_model); `ids` (...) are token numbers, for routers that read them."""
        raise NotImplementedError

    def losses(self, x: Tensor, logits: Tensor, ids: Tensor | None) -> Mapping[str, Tensor]:
        """Losses of the router's own, by name."""
        return {}

    def extra_repr(self) -> str:
        return f"d_model={self.d_model}, n_experts={self.n_experts}"


def check_init(init: str, logit_std: float | None) -> None:
    """Refuse an unknown initialisation."""
    if init not in INITS:
        raise DataError(f"init={init!r} is unknown: choose one of {', '.join(INITS)}")
    if logit_std is not None and not logit_std > 0:
        raise DataError(f"logit_std must be positive, got {logit_std!r}")


def linear_init(weight: Tensor, bias: Tensor | None, init: str) -> None:
    """Fill a linear map (out, in): N(0, 0.02^2) as the released code, N(0, 1 / in), or PyTorch's own."""
    with torch.no_grad():
        if init == "torch":
            bound = weight.shape[1] ** -0.5
            weight.uniform_(-bound, bound)
            if bias is not None:
                bias.uniform_(-bound, bound)
            return
        weight.normal_(0.0, PAPER_STD if init == "paper" else weight.shape[1] ** -0.5)
        if bias is not None:
            bias.zero_()


def spread(weight: Tensor) -> float:
    """Standard deviation of the logits W x of inputs of unit mean square: sqrt of the mean squared row norm
    of W."""
    return float(weight.detach().double().square().sum(dim=1).mean().sqrt())

"""XMoE's router (arXiv 2204.09179): cosines in a low-dimensional space, over a learned temperature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import DataError
from .base import Router

TEMPERATURE = 0.3


class CosineRouter(Router):
    """cos(P x, e_i) / tau: P projects to `low_dim` columns, e_i are learned, tau is learned from 0.3.

    Parameters
    ----------
    d_model, n_experts : int
    low_dim : int, optional
        Half the number of experts by default, as in the paper, and at least 2.
    """

    def __init__(self, d_model: int, n_experts: int, *, low_dim: int | None = None):
        super().__init__(d_model, n_experts)
        width = max(2, n_experts // 2) if low_dim is None else low_dim
        if width < 1:
            raise DataError(f"low_dim must be at least 1, got {low_dim!r}")
        self.project = nn.Linear(d_model, width, bias=False)
        self.centres = nn.Parameter(torch.empty(n_experts, width))
        nn.init.orthogonal_(self.centres)
        self.log_temperature = nn.Parameter(torch.tensor(TEMPERATURE).log())

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        cosines = F.linear(F.normalize(self.project(x), dim=-1), F.normalize(self.centres, dim=-1))
        return cosines * torch.exp(-self.log_temperature)

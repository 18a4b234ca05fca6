"""XMoE's router (arXiv 2204.09179): cosines in a low-dimensional space, over a learned temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..precision import linear, wide
from .base import Router, check_size

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
        width = check_size("low_dim", width)
        self.project = nn.Linear(d_model, width, bias=False)
        self.centres = nn.Parameter(torch.empty(n_experts, width))
        self.log_temperature = nn.Parameter(torch.empty(()))
        self._reset_centres()

    def reset_parameters(self) -> None:
        self.project.reset_parameters()
        self._reset_centres()

    def _reset_centres(self) -> None:
        nn.init.orthogonal_(self.centres)
        nn.init.constant_(self.log_temperature, math.log(TEMPERATURE))

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        projected = F.normalize(linear(x, self.project.weight), dim=-1)
        return linear(projected, F.normalize(wide(self.centres), dim=-1)) * torch.exp(
            -wide(self.log_temperature)
        )

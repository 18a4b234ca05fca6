"""In what precision things are computed: routing in float32 or better always, experts in the type of autocast
where it is on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F


def wide(x: Tensor) -> Tensor:
    """float32 or better."""
    return x if x.dtype == torch.float64 else x.float()


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Within the block autocast leaves products on the device of x as they are."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def autocast_type(x: Tensor) -> torch.dtype | None:
    """The type of autocast on the device of x; None where it is off."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b with W and b in float32 or better, whatever type they are kept in."""
    return F.linear(x, wide(weight), None if bias is None else wide(bias))

"""Of whole models: their sparse layers, their number of experts, the sum of their losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError
from .assignment import check_top_k
from .huggingface import find_routers
from .layer import SparseMoE
from .routers.base import check_kind


def sparse_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Sparse layers by name, or, in a Hugging Face model, its routers."""
    check_kind("model", model)
    found: dict[str, nn.Module] = {
        name or "layer": m for name, m in model.named_modules() if isinstance(m, SparseMoE)
    }
    return found or find_routers(model)


def check_layer_top_k(k: int, layer: Any) -> int:
    """k as a whole number, where a sparse layer or a Hugging Face model's router has as many experts."""
    return check_top_k(k, layer.n_experts if isinstance(layer, SparseMoE) else layer.num_experts)


def sum_losses(model: nn.Module, **weights: float) -> Tensor:
    """sum over layers and names of weight * loss, of the last call of every layer with returns="output".

    Parameters
    ----------
    model : nn.Module
    **weights
        By name of the loss: balance=0.01, z=0.001. One that no layer has is refused.

    Examples
    --------
    >>> import torch
    >>> from moestro.deep import SparseMoE, sum_losses
    >>> layer = SparseMoE(8, n_experts=4, top_k=2, returns="output")
    >>> loss = layer(torch.randn(10, 8)).square().mean() + sum_losses(layer, balance=0.01)
    """
    check_kind("model", model)
    for name, w in weights.items():
        if not isinstance(w, Tensor) and not (isinstance(w, Real) and math.isfinite(w)):
            raise DataError(f"the weight of {name} must be a finite number, got {w!r}")
    infos = [m.info_ for m in model.modules() if isinstance(m, SparseMoE) and m.info_ is not None]
    known = {name for info in infos for name in info.losses}
    missing = sorted(set(weights) - known)
    if missing or not weights:
        raise DataError(
            f"no layer's last call has a loss {', '.join(missing)}: a layer with returns='output' has "
            f"{', '.join(sorted(known)) or 'them'} after a call in training"
        )
    parts = [w * info.losses[name] for info in infos for name, w in weights.items() if name in info.losses]
    return torch.stack(parts).sum()


@contextmanager
def set_top_k(model: nn.Module, k: int) -> Iterator[None]:
    """Within the block every sparse layer of `model`, or router of a Hugging Face model, uses k experts.

    Examples
    --------
    >>> from moestro.deep import SparseMoE, set_top_k
    >>> layer = SparseMoE(8, n_experts=4, top_k=4)
    >>> with set_top_k(layer, 1):
    ...     print(layer.top_k)
    1
    """
    layers: list[Any] = list(sparse_layers(model).values())
    before = [layer.top_k for layer in layers]
    for layer in layers:
        check_layer_top_k(k, layer)
    try:
        for layer in layers:
            layer.top_k = k
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            layer.top_k = old

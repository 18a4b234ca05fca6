"""Other routers in Hugging Face models: the logits are a router's of ours, the scoring stays the model's own.

A model's router computes logits = hidden W' + b and then turns them into weights and indices by rules of its
own: softmax before or after the top-k, normalised or not, sigmoid with a correction bias, groups of experts,
a scaling factor. A swapped router is the same module, as one of a subclass of its class: it is given our
logits in place of its input, with the identity in place of W, so that every rule after the product is the
model's own code. Hooks, buffers, `top_k` and the recording of router logits stay as they are. Whether a class
does begin with that product is looked at before anything is changed.
"""

from __future__ import annotations

import copy
import inspect
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError
from .precision import full_precision, wide
from .routers import HyperRouter, LinearRouter, Router, make_router
from .routers.base import check_kind

NOTE = "moestro_router"  # of a model's config: what its routers were swapped for
ENDS = ("Router", "Gate", "Gating")  # of the names of router classes


def swap_routers(model: nn.Module, router: str = "hyper", **options: Any) -> list[str]:
    """Replace what computes the logits in every top-k router of a model, in place.

    Parameters
    ----------
    model : nn.Module
        A Hugging Face model whose routers return (logits, weights, indices): Mixtral, Qwen2-MoE, Qwen3-MoE,
        OLMoE, DeepSeek-V2 and V3, GPT-OSS, GraniteMoe, Ernie 4.5, PhiMoE, MiniMax-M2, Jamba, LFM2, ...
    router : str
        One of `moestro.deep.ROUTERS` that reads no token ids. "linear" without options begins with the
        weights of what it replaces, so that nothing changes: the model's own, and those of a linear router or
        a HyperRouter that was put there before.
    **options
        Of the router.

    Returns
    -------
    list of str
        Names of the routers.
    """
    check_kind("model", model)
    if router in ("hash", "expert_choice", "stable"):
        raise DataError(
            f"a {router} router does not fit such models: their routers see neither token ids nor whole "
            "batches, and score by rules of their own"
        )
    found = find_routers(model)
    for name, old in found.items():
        _check_scoring(name, old)
    note = options
    for old in found.values():
        width, experts, weight, bias = _map_of(old)
        own = router == "linear" and not options and weight is not None
        made: Router = make_router(router, width, experts, **({"bias": bias is not None} if own else options))
        if own and weight is not None:
            _copy(made, weight, bias)
            note = {"bias": bias is not None}
        known = _tensor_of(old, next(model.parameters())) if is_swapped(old) or weight is None else weight
        _put(old, made.to(known.device, known.dtype))
    config = getattr(model, "config", None)
    if config is not None:
        setattr(config, NOTE, {"router": router, "options": note})
    return list(found)


def load_swapped(cls: Any, path: str | Path, **options: Any) -> Any:
    """A model with swapped routers as `save_pretrained` wrote it; `cls.from_pretrained` would make the
    model's own routers.

    Parameters
    ----------
    cls : class of models
        `transformers.MixtralForCausalLM`, ...
    path : str or Path
    **options
        Of `from_pretrained`.
    """
    note = getattr(cls.config_class.from_pretrained(path), NOTE, None)
    if note is None:
        raise DataError(f"{path} holds no swapped routers: load it with {cls.__name__}.from_pretrained")

    class Swapped(cls):  # type: ignore[misc, valid-type]
        def __init__(self, config: Any, *args: Any, **kwargs: Any):
            super().__init__(config, *args, **kwargs)
            swap_routers(self, note["router"], **note["options"])

    Swapped.__name__ = Swapped.__qualname__ = cls.__name__
    model = Swapped.from_pretrained(path, **options)
    model.__class__ = cls
    return model


def find_routers(model: nn.Module) -> dict[str, nn.Module]:
    """Routers of a Hugging Face model by name, swapped or its own."""
    found = {name: m for name, m in model.named_modules() if _is_router(m)}
    if found:
        return found
    capacity = [type(m).__name__ for m in model.modules() if hasattr(m, "expert_capacity")]
    if capacity:
        raise DataError(
            f"{capacity[0]} drops tokens beyond a capacity and returns masks, not (logits, weights, "
            "indices): its router cannot be swapped"
        )
    raise DataError(
        "the model has no top-k router: a module with top_k whose class is called ...Router or ...Gate"
    )


def _is_router(module: nn.Module) -> bool:
    if is_swapped(module):
        return True
    named = type(module).__name__.endswith(ENDS) and isinstance(getattr(module, "top_k", None), int)
    return named and _own_map(module) is not None


def is_swapped(module: nn.Module) -> bool:
    """Whether a router's logits are already ours."""
    return hasattr(type(module), "swapped_from")


def _own_map(module: nn.Module) -> nn.Module | None:
    """What holds a router's W: itself, or its one linear layer."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.ndim == 2:
        return module
    layers = [m for m in module.children() if isinstance(m, nn.Linear)]
    return layers[0] if len(layers) == 1 else None


def _map_of(module: nn.Module) -> tuple[int, int, Tensor | None, Tensor | None]:
    """Width, number of experts, and W and b where the router is linear."""
    if is_swapped(module):
        router: Any = module.router
        W, b = None, None
        if isinstance(router, HyperRouter):
            W, b = router.weights()
        elif isinstance(router, LinearRouter):
            W, b = router.weight, router.bias
        return router.d_model, router.n_experts, W, b
    holder: Any = _own_map(module)
    experts, width = holder.weight.shape
    return width, experts, holder.weight, getattr(holder, "bias", None)


def _tensor_of(module: nn.Module, otherwise: Tensor) -> Tensor:
    """A floating-point tensor of a module: its device and type."""
    return next((t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point()), otherwise)


class _Passes(nn.Module):
    """In place of a router's linear layer: what it is given are logits already."""

    def __init__(self, n_experts: int):
        super().__init__()
        self.n_experts = n_experts

    @property
    def weight(self) -> Tensor:
        return torch.empty(0)

    def forward(self, logits: Tensor) -> Tensor:
        return logits


@cache
def _subclass(cls: type[nn.Module], biased: bool) -> type[nn.Module]:
    class Routed(cls):  # type: ignore[misc, valid-type]
        """A model's router class around a router of moestro."""

        swapped_from = cls

        @property
        def weight(self) -> Tensor:
            router: Any = self.router
            of = _tensor_of(router, torch.empty(0))
            kind = torch.float64 if of.dtype == torch.float64 else torch.float32
            return torch.eye(router.n_experts, dtype=kind, device=of.device)

        def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
            router: Any = self.router
            logits = router(hidden_states)
            with full_precision(logits):
                return super().forward(logits, *args, **kwargs)

        def extra_repr(self) -> str:
            return f"scored by {cls.__name__}, top_k={self.top_k}"

        def __reduce_ex__(self, protocol: Any) -> Any:
            return _again, (cls, biased), self.__dict__

    if biased:
        zeros = property(lambda self: self.weight.new_zeros(self.router.n_experts))
        Routed.bias = zeros  # type: ignore[attr-defined]
    Routed.__name__ = Routed.__qualname__ = f"Routed{cls.__name__}"
    return Routed


def _again(cls: type[nn.Module], biased: bool) -> nn.Module:
    made = _subclass(cls, biased).__new__(_subclass(cls, biased))
    nn.Module.__init__(made)
    return made


def _put(old: nn.Module, router: Router) -> None:
    """Make a router module one whose logits are another's."""
    if is_swapped(old):
        old.router = router
        return
    holder = _own_map(old)
    biased = isinstance(getattr(holder, "bias", None), Tensor)
    if holder is old:
        for name in ("weight", "bias") if biased else ("weight",):
            del old._parameters[name]
    else:
        name = next(n for n, m in old.named_children() if m is holder)
        setattr(old, name, _Passes(router.n_experts))
    if hasattr(old, "hidden_dim"):
        old.hidden_dim = router.n_experts  # type: ignore[assignment]  # the width of what its code is given
    old.__class__ = _subclass(type(old), biased and holder is old)
    old.router = router


@torch.no_grad()
def _copy(router: Any, weight: Tensor, bias: Tensor | None) -> None:
    if weight.is_meta:
        return
    router.weight.copy_(weight)
    if bias is not None:
        router.bias.copy_(bias)


@torch.no_grad()
def _check_scoring(name: str, old: nn.Module) -> None:
    """Refuse a class that does something else before or beside its product, by an example."""
    width, experts, weight, bias = _map_of(old)
    if is_swapped(old) or weight is None or weight.is_meta:
        return
    if getattr(old, "input_jitter_noise", 0):
        raise DataError(
            f"{name} multiplies its input by noise in training: set input_jitter_noise to 0 first"
        )
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(experts, width, generator=generator).to(weight.device)
    plain: Any = copy.deepcopy(old).float().eval()
    holder: Any = _own_map(plain)
    holder.weight.copy_(W)
    made = LinearRouter(width, experts, bias=bias is not None).to(weight.device)
    _copy(made, W, None if bias is None else holder.bias)
    swapped: Any = copy.deepcopy(plain)
    _put(swapped, made)
    x = torch.randn(5, width, generator=generator).to(weight.device)
    names = list(inspect.signature(plain.forward).parameters)[1:]
    further = [torch.zeros(experts, device=weight.device) for _ in names]  # a bias an expert
    same, reason = False, None
    for given in (x, x[None]):  # tokens, or sequences of them
        try:
            pairs = list(zip(plain(given, *further), swapped(given.clone(), *further), strict=True))
            same = len(pairs) == 3 and all(torch.allclose(wide(a), wide(b), atol=1e-5) for a, b in pairs)
            break
        except (TypeError, RuntimeError, AttributeError, ValueError, LookupError) as error:
            reason = reason or error
    else:
        raise DataError(f"the scoring of {type(old).__name__} ({name}) cannot be kept: {reason}") from reason
    if not same:
        raise DataError(
            f"{type(old).__name__} ({name}) is more than a linear map and a scoring: "
            "its router cannot be swapped"
        )

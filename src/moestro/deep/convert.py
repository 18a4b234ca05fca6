"""Between feed-forward networks and experts: a dense network becomes a sparse layer, and the experts of other
people's models become ours and back.

Two shapes of a network are known: a Sequential of a linear layer, an activation, perhaps dropout, and a
linear layer; and what `transformers` calls an MLP, with gate_proj, up_proj, down_proj and act_fn. Side by
side, experts are a list of these, or one module with gate_up_proj (n_experts, 2 hidden, d_model), down_proj
(n_experts, d_model, hidden) and act_fn. That a module computes what its names say is looked at with an
example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import DataError
from .assignment import choose_experts
from .experts import MLPExperts
from .fused import ACTIVATIONS
from .layer import SparseMoE
from .routers.base import check_kind, check_list, check_positive, check_size


class Network(NamedTuple):
    """w2 act(w1 x + b1) + b2, or gated. Tensors are the module's own, w1 and b1 in as many parts as it
    has."""

    w1: tuple[Tensor, ...]
    b1: tuple[Tensor, ...]
    w2: Tensor
    b2: Tensor | None
    activation: str

    @property
    def gated(self) -> bool:
        return len(self.w1) == 2


def upcycle(
    mlp: nn.Module, n_experts: int, top_k: int = 2, *, noise: float = 0.0, **options: Any
) -> SparseMoE:
    """A sparse layer whose experts all begin as copies of a dense network (arXiv 2212.05055).

    Where the weights of a token sum to 1 its output at first is that of the network.

    Parameters
    ----------
    mlp : nn.Module
        A Sequential of Linear, activation, Linear, or an MLP of `transformers`.
    n_experts, top_k : int
    noise : float
        Standard deviation of what is added to each expert's weights, as a share of theirs: copies that see
        the same tokens stay alike.
    **options
        Of `SparseMoE`: `router`, `score`, `returns`, ...

    Examples
    --------
    >>> import torch
    >>> from moestro.deep import upcycle
    >>> mlp = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 8))
    >>> layer = upcycle(mlp, n_experts=4, router="linear", returns="output")
    >>> x = torch.randn(5, 8)
    >>> bool(torch.allclose(layer(x), mlp(x), atol=1e-5))
    True
    """
    for name in ("expert", "hidden", "expert_options"):
        if name in options:
            raise DataError(f"the experts are copies of the network: leave {name} out")
    if noise != 0:
        check_positive("noise, where it is not 0,", noise)
    experts = read_experts([mlp] * check_size("n_experts", n_experts))
    layer = SparseMoE(experts.d_model, n_experts, top_k, expert=experts, **options)
    with torch.no_grad():
        for weight in (experts.w1, experts.w2) if noise else ():
            weight += noise * weight.std() * torch.randn_like(weight)
    return layer.to(experts.w1.device, experts.w1.dtype)


@torch.no_grad()
def read_experts(source: nn.Module | Sequence[nn.Module]) -> MLPExperts:
    """The same experts as `MLPExperts`; weights are copied.

    Parameters
    ----------
    source : sequence of nn.Module, or nn.Module
        Networks, or one module that holds all experts as `transformers` does (Mixtral, Qwen2-MoE, OLMoE).
    """
    if isinstance(source, nn.Module) and not isinstance(source, nn.ModuleList):
        experts = _of_one(source)
    else:
        networks = [_network(m) for m in check_list("source", source)]
        first = networks[0] if networks else None
        if first is None or any(_kind(n) != _kind(first) for n in networks):
            raise DataError("experts must be at least one network, all of one shape and one activation")
        experts = _empty(first, len(networks))
        for e, network in enumerate(networks):
            _copy(experts, e, network, read=True)
    _compare(experts, source)
    return experts


@torch.no_grad()
def write_experts(experts: MLPExperts, target: nn.Module | Sequence[nn.Module]) -> None:
    """Copy the weights of experts into networks, or into one module that holds all of them: the inverse of
    `read_experts`."""
    check_kind("experts", experts, MLPExperts)
    if isinstance(target, nn.Module) and not isinstance(target, nn.ModuleList):
        other = _of_one(target)
        _same_shape(experts, other)
        target.gate_up_proj.copy_(experts.w1)  # type: ignore[operator]
        target.down_proj.copy_(experts.w2)  # type: ignore[operator]
    else:
        networks = [_network(m) for m in check_list("target", target)]
        if not networks:
            raise DataError("there is no network to write to")
        _same_shape(experts, _empty(networks[0], len(networks)))
        for e, network in enumerate(networks):
            _copy(experts, e, network, read=False)
    _compare(experts, target)


def _network(module: nn.Module) -> Network:
    check_kind("a network", module)
    parts = [m for m in module.children() if not isinstance(m, nn.Dropout)]
    if isinstance(module, nn.Sequential) and len(parts) == 3:
        first, act, second = parts
        if isinstance(first, nn.Linear) and isinstance(second, nn.Linear):
            return _made((first,), second, act)
    of = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    gate, up, down = of
    if isinstance(gate, nn.Linear) and isinstance(up, nn.Linear) and isinstance(down, nn.Linear):
        return _made((gate, up), down, getattr(module, "act_fn", None))
    raise DataError(
        f"{type(module).__name__} is no network that is known: Sequential(Linear, activation, Linear), or a "
        "module with gate_proj, up_proj, down_proj and act_fn"
    )


def _made(inner: tuple[nn.Linear, ...], outer: nn.Linear, act: Any) -> Network:
    biases = tuple(layer.bias for layer in inner if layer.bias is not None)
    if (len(biases) == len(inner)) != (outer.bias is not None) or 0 < len(biases) < len(inner):
        raise DataError("either all layers of a network have a bias, or none has")
    return Network(tuple(layer.weight for layer in inner), biases, outer.weight, outer.bias, _name_of(act))


def _name_of(act: Any) -> str:
    """The activation's name in our table: the one that gives the same numbers."""
    x = torch.linspace(-4.0, 4.0, 41)
    y: Any = act(x) if callable(act) else None
    for name, function in ACTIVATIONS.items():
        if isinstance(y, Tensor) and y.shape == x.shape and torch.allclose(y, function(x), atol=1e-6):
            return name
    raise DataError(f"the activation {act} is none of {', '.join(ACTIVATIONS)}")


def _kind(n: Network) -> tuple[Any, ...]:
    return (*(w.shape for w in n.w1), len(n.b1), n.w2.shape, n.activation)


def _empty(n: Network, n_experts: int) -> MLPExperts:
    d_model, hidden = n.w2.shape
    if any(w.shape != (hidden, d_model) for w in n.w1):
        raise DataError(
            f"the network maps {n.w1[0].shape[1]} columns to {d_model}: an expert keeps the width"
        )
    made = MLPExperts(
        d_model, hidden, n_experts, activation=n.activation, gated=n.gated, bias=n.b2 is not None
    )
    return made.to(n.w2.device, n.w2.dtype)


def _copy(experts: MLPExperts, e: int, n: Network, read: bool) -> None:
    pairs = list(zip(experts.w1[e].chunk(len(n.w1)), n.w1, strict=True)) + [(experts.w2[e], n.w2)]
    if experts.b1 is not None and experts.b2 is not None and n.b2 is not None:
        pairs += [*zip(experts.b1[e].chunk(len(n.b1)), n.b1, strict=True), (experts.b2[e], n.b2)]
    for ours, theirs in pairs:
        ours.copy_(theirs) if read else theirs.copy_(ours)


def _of_one(module: nn.Module) -> MLPExperts:
    """Of a module that holds all experts side by side."""
    w1: Any = getattr(module, "gate_up_proj", None)
    w2: Any = getattr(module, "down_proj", None)
    known = isinstance(w1, nn.Parameter) and isinstance(w2, nn.Parameter) and w1.ndim == w2.ndim == 3
    if not known or any("bias" in name for name, _ in module.named_parameters()):
        raise DataError(
            f"{type(module).__name__} does not hold its experts as gate_up_proj (n_experts, 2 hidden, "
            "d_model) and down_proj (n_experts, d_model, hidden) without biases"
        )
    E, d_model, hidden = w2.shape
    if w1.shape != (E, 2 * hidden, d_model):
        raise DataError(f"gate_up_proj has shape {tuple(w1.shape)}, expected {(E, 2 * hidden, d_model)}")
    act = _name_of(getattr(module, "act_fn", None))
    experts = MLPExperts(d_model, hidden, E, activation=act, gated=True, bias=False).to(w2.device, w2.dtype)
    experts.w1.copy_(w1)
    experts.w2.copy_(w2)
    return experts


def _same_shape(ours: MLPExperts, theirs: MLPExperts) -> None:
    def shape(of: MLPExperts) -> tuple[Any, ...]:
        return (of.d_model, of.hidden, of.n_experts, of.activation, of.gated, of.b1 is not None)

    if shape(ours) != shape(theirs):
        raise DataError(
            f"the experts are ({ours.extra_repr()}), the target is made for ({theirs.extra_repr()})"
        )


def _compare(experts: MLPExperts, other: nn.Module | Sequence[nn.Module]) -> None:
    """Refuse a module whose names mean something else than they say: by the first and the last expert."""
    like = experts.w1
    if like.is_meta:
        return
    x = torch.randn(3, experts.d_model, generator=torch.Generator().manual_seed(0)).to(like)
    for e in {0, experts.n_experts - 1}:
        logits = torch.zeros(3, experts.n_experts, device=like.device)
        logits[:, e] = 1.0
        ours = experts(x, choose_experts(logits, 1), "sorted")
        if isinstance(other, nn.Module) and not isinstance(other, nn.ModuleList):
            one: nn.Module = other
            theirs = one(x, torch.full((3, 1), e, device=like.device), torch.ones(3, 1).to(like))
        else:
            one = other[e]  # type: ignore[index]
            before = one.training
            theirs = one.eval()(x)
            one.train(before)
        if (ours - theirs).abs().max() > 64 * torch.finfo(like.dtype).eps * ours.abs().max().clamp_min(1.0):
            raise DataError(
                f"{type(one).__name__} computes more than its weights say: it cannot be converted"
            )

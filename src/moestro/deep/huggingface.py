"""Other routers in Hugging Face models of Mixtral's kind: a router takes the place of the model's own, as one
of its class.

The models record router logits from instances of their router class, so that a stranger's output would
silently vanish from `output_router_logits` and from the auxiliary loss. The new router is therefore a
subclass of the old one, with its contract (logits, weights, indices); experts stay untouched.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ..errors import DataError
from .assignment import choose_experts
from .routers import Router, make_router

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


@cache
def _subclass(cls: type[nn.Module]) -> type[nn.Module]:
    class Routed(cls):  # type: ignore[misc, valid-type]
        """A model's router class around a router of moestro."""

        def __init__(self, router: Router, top_k: int):
            nn.Module.__init__(self)
            self.router = router
            self.top_k = top_k
            self.num_experts, self.hidden_dim = router.n_experts, router.d_model

        def forward(
            self, hidden_states: Tensor, *_args: Any, **_kwargs: Any
        ) -> tuple[Tensor, Tensor, Tensor]:
            logits = self.router(hidden_states.reshape(-1, self.hidden_dim))
            found = choose_experts(logits, self.top_k)
            shape = (len(logits), self.top_k)
            return logits, found.weight.view(shape).to(logits.dtype), found.expert.view(shape)

    Routed.__name__ = Routed.__qualname__ = f"Routed{cls.__name__}"
    return Routed


def _is_router(module: nn.Module) -> bool:
    ours = isinstance(getattr(module, "router", None), Router)
    return type(module).__name__.endswith("TopKRouter") and (
        ours or isinstance(getattr(module, "weight", None), Tensor)
    )


def swap_routers(model: nn.Module, router: str = "hyper", **options: Any) -> list[str]:
    """Replace every top-k router of a model, in place.

    Parameters
    ----------
    model : nn.Module
        A Hugging Face model whose router modules are called ...TopKRouter and have `weight` (n_experts,
        d_model) and `top_k`: Mixtral and its kind.
    router : str
        One of `moestro.deep.ROUTERS` that reads no token ids.
    **options
        Of the router.

    Returns
    -------
    list of str
        Names of the modules that were replaced.
    """
    if router in ("hash", "expert_choice"):
        raise DataError(
            f"a {router} router does not fit such models: they pass neither token ids nor whole batches to it"
        )
    found = [(name, module) for name, module in model.named_modules() if _is_router(module)]
    if not found:
        raise DataError(
            "the model has no top-k router that could be replaced (a module called ...TopKRouter)"
        )
    for name, old in found:
        again = isinstance(getattr(old, "router", None), Router)
        known: Any = next(chain(old.parameters(), old.buffers())) if again else old.weight
        sizes: Any = (old.hidden_dim, old.num_experts) if again else (known.shape[1], known.shape[0])
        width, experts = sizes
        made: Any = make_router(router, int(width), int(experts), **options)
        made = made.to(known.device, known.dtype)
        cls = type(old).__bases__[0] if again else type(old)
        routed = _subclass(cls)(made, int(old.top_k)).train(old.training)  # type: ignore[arg-type]
        for hooks in HOOKS:  # a model that has run already records logits by hooks on its router
            setattr(routed, hooks, getattr(old, hooks))
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, routed)
    return [name for name, _ in found]

"""Routers: one file each. A new one is a file, a line here, and a line in the test table."""

from typing import Any

from ...errors import DataError
from .base import Router
from .cosine import CosineRouter
from .expert_choice import ExpertChoiceRouter
from .fixed import HashRouter, RandomRouter
from .hyper import HyperRouter
from .linear import FrozenRouter, LinearRouter
from .stable import StableRouter

ROUTERS: dict[str, type[Router]] = {
    "linear": LinearRouter,
    "frozen": FrozenRouter,
    "hyper": HyperRouter,
    "cosine": CosineRouter,
    "stable": StableRouter,
    "hash": HashRouter,
    "random": RandomRouter,
    "expert_choice": ExpertChoiceRouter,
}


def make_router(router: "str | Router", d_model: int, n_experts: int, **options: Any) -> Router:
    """The router called `router`, or the router itself."""
    if isinstance(router, Router):
        if options:
            raise DataError(f"options describe a new router: {', '.join(options)} cannot change this one")
        if (router.d_model, router.n_experts) != (d_model, n_experts):
            raise DataError(
                f"the router is made for d_model={router.d_model} and {router.n_experts} experts, the layer "
                f"has {d_model} and {n_experts}"
            )
        return router
    if router not in tuple(ROUTERS):
        raise DataError(f"router={router!r} is unknown: choose one of {', '.join(ROUTERS)}")
    try:
        return ROUTERS[router](d_model, n_experts, **options)
    except TypeError as error:
        raise DataError(f"the {router} router: {error}") from error


__all__ = [
    "ROUTERS",
    "CosineRouter",
    "ExpertChoiceRouter",
    "FrozenRouter",
    "HashRouter",
    "HyperRouter",
    "LinearRouter",
    "RandomRouter",
    "Router",
    "StableRouter",
    "make_router",
]

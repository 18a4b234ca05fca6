"""Sparse mixtures of experts as PyTorch layers: HyperRouter and its rivals (extra: torch)."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("moestro.deep needs PyTorch: pip install 'moestro[deep]'")

from .assignment import Assignment, balance_loss, choose_experts, choose_tokens, z_loss
from .experts import MLPExperts
from .layer import RoutingInfo, SparseMoE, set_top_k
from .routers import (
    ROUTERS,
    CosineRouter,
    ExpertChoiceRouter,
    FrozenRouter,
    HashRouter,
    HyperRouter,
    LinearRouter,
    RandomRouter,
    Router,
    StableRouter,
)
from .schedule import TopKSchedule

__all__ = [
    "ROUTERS",
    "Assignment",
    "CosineRouter",
    "ExpertChoiceRouter",
    "FrozenRouter",
    "HashRouter",
    "HyperRouter",
    "LinearRouter",
    "MLPExperts",
    "RandomRouter",
    "Router",
    "RoutingInfo",
    "SparseMoE",
    "StableRouter",
    "TopKSchedule",
    "balance_loss",
    "choose_experts",
    "choose_tokens",
    "set_top_k",
    "z_loss",
]

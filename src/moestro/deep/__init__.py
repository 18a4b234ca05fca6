"""Sparse mixtures of experts as PyTorch layers: HyperRouter and its rivals (extra: torch)."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("moestro.deep needs PyTorch: pip install 'moestro[deep]'")

from .assignment import Assignment, balance_loss, choose_experts, choose_tokens, z_loss
from .bridge import gate_measure, linear_router
from .experts import MLPExperts
from .huggingface import swap_routers
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
from .stats import RoutingStats, agreement, effective_rank, expert_similarity, quality_vs_k

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
    "RoutingStats",
    "SparseMoE",
    "StableRouter",
    "TopKSchedule",
    "agreement",
    "balance_loss",
    "choose_experts",
    "choose_tokens",
    "effective_rank",
    "expert_similarity",
    "gate_measure",
    "linear_router",
    "quality_vs_k",
    "set_top_k",
    "swap_routers",
    "z_loss",
]

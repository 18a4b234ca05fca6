"""Sparse mixtures of experts as PyTorch layers: HyperRouter and its rivals (extra: torch)."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("moestro.deep needs PyTorch: pip install 'moestro[deep]'")

from .assignment import Assignment, choose_experts, choose_tokens, limit
from .balancing import LoadBalancer, step_balance
from .bridge import gate_measure, linear_router, router_drift
from .callbacks import lightning_callback, trainer_callback
from .convert import read_experts, upcycle, write_experts
from .experts import MLPExperts
from .huggingface import load_swapped, swap_routers
from .layer import RoutingInfo, SparseMoE
from .losses import balance_loss, sequence_balance_loss, z_loss
from .model import set_top_k, sum_losses
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
from .scoring import Scoring
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
    "LoadBalancer",
    "MLPExperts",
    "RandomRouter",
    "Router",
    "RoutingInfo",
    "RoutingStats",
    "Scoring",
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
    "lightning_callback",
    "limit",
    "linear_router",
    "load_swapped",
    "quality_vs_k",
    "read_experts",
    "router_drift",
    "sequence_balance_loss",
    "set_top_k",
    "step_balance",
    "sum_losses",
    "swap_routers",
    "trainer_callback",
    "upcycle",
    "write_experts",
    "z_loss",
]

"""Watching the routing: entropies, mutual information, load, collapse. By hooks, and free when off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DataError
from ..tables import Table
from .assignment import Assignment, choose_experts
from .experts import MLPExperts
from .layer import RoutingInfo, SparseMoE
from .model import set_top_k, sparse_layers
from .precision import wide
from .routers.base import check_kind, check_list, check_tensor

COLUMNS = (
    "layer", "tokens", "top_k", "entropy", "kept_entropy", "entropy_of_mean", "mutual_information",
    "max_violation", "dead_share",
    "effective_experts", "gate_mass_max", "logit_std", "margin",
)  # fmt: skip


class RoutingStats:
    """What the sparse layers of a model, or the routers of a Hugging Face model, did with their tokens,
    summed over calls; padding is left out (a Hugging Face router is not told of it).

    Entropies are in nats. H(mean p) - mean H(p) is the mutual information of token and expert: low entropy
    with high mutual information is specialisation, low entropy with low mutual information is collapse.

    Parameters
    ----------
    model : nn.Module

    Examples
    --------
    >>> import torch
    >>> from moestro.deep import RoutingStats, SparseMoE
    >>> layer = SparseMoE(8, n_experts=4, top_k=2)
    >>> with RoutingStats(layer) as stats:
    ...     _ = layer(torch.randn(100, 8))
    >>> stats.table()["tokens"]
    [100]
    """

    def __init__(self, model: nn.Module):
        self._layers = sparse_layers(model)
        self._sums: dict[str, dict[str, Any]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for name, layer in self._layers.items():
            self._hooks.append(layer.register_forward_hook(self._watch(name)))
        return self

    def __exit__(self, *exc: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _watch(self, name: str) -> Any:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(module, SparseMoE):
                info: Any = output[1] if module.returns == "both" else module.info_
                found = _sums_of(info)
            else:
                found = _sums_of(_info_of(*output))
            old = self._sums.get(name)
            if old is None:
                self._sums[name] = found
                return
            for key, value in found.items():
                old[key] = value if key == "top_k" else old[key] + value

        return hook

    def table(self) -> Table:
        """One row a layer: see `COLUMNS`.

        max_violation is (largest load - mean load) / mean load; effective_experts is exp of the entropy of
        the load.
        """
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for name, s in self._sums.items():
            n, E = s["tokens"], len(s["count"])
            mean = s["p"] / n
            load = s["count"] / s["count"].sum()
            variance = s["square"] / (n * E) - (s["sum"] / (n * E)) ** 2
            values = {
                "layer": name,
                "tokens": n,
                "top_k": s["top_k"],
                "entropy": float(s["entropy"] / n),
                "kept_entropy": float(s["kept_entropy"] / n),
                "entropy_of_mean": float(_entropy(mean)),
                "mutual_information": float(_entropy(mean) - s["entropy"] / n),
                "max_violation": float(load.max() * E - 1.0),
                "dead_share": float((s["count"] == 0).double().mean()),
                "effective_experts": float(_entropy(load).exp()),
                "gate_mass_max": float((s["mass"] / s["mass"].sum()).max()),
                "logit_std": float(variance.clamp_min(0.0).sqrt()),
                "margin": float(s["margin"] / n),
            }
            for column in COLUMNS:
                columns[column].append(values[column])
        return Table(columns)

    def loads(self) -> np.ndarray:
        """Share of the assignments of each expert, (layers, experts); NaN where a layer has fewer experts, or
        saw no tokens."""
        counts = [s["count"].cpu().numpy() for s in self._sums.values()]
        out = np.full((len(counts), max((len(c) for c in counts), default=0)), np.nan)
        for row, count in zip(out, counts, strict=True):
            row[: len(count)] = count / (count.sum() or np.nan)
        return out

    def log_to(self, writer: Any, step: int) -> None:
        """Scalars for a TensorBoard writer, or anything else with add_scalar(name, value, step)."""
        for row in self.table().rows():
            for name in COLUMNS[3:]:
                writer.add_scalar(f"routing/{row['layer']}/{name}", row[name], step)

    def reset(self) -> None:
        """Forget what was seen."""
        self._sums.clear()


def _info_of(logits: Tensor, weights: Tensor, indices: Tensor) -> RoutingInfo:
    """The same of what a Hugging Face router returns."""
    logits, k = wide(logits), indices.shape[1]
    token = torch.arange(len(logits), device=logits.device).repeat_interleave(k)
    assignment = Assignment(token, indices.reshape(-1), weights.reshape(-1), logits.softmax(dim=1), k)
    return RoutingInfo(logits, assignment, {}, k, None)


def _entropy(p: Tensor) -> Tensor:
    return -torch.special.xlogy(p, p).sum(dim=-1)


@torch.no_grad()
def _sums_of(info: RoutingInfo) -> dict[str, Any]:
    a, keep = info.assignment, info.mask
    t, E = a.probabilities.shape
    keep = torch.ones(t, dtype=torch.bool, device=a.probabilities.device) if keep is None else keep
    p, logits = a.probabilities[keep].double(), info.logits[keep].double()
    gates = a.gates()[keep].double()
    share = gates / gates.sum(dim=1, keepdim=True).clamp_min(1e-300)
    top = logits.topk(min(2, E), dim=1).values
    return {
        "tokens": int(keep.sum()),
        "top_k": info.top_k,
        "entropy": _entropy(p).sum(),
        "kept_entropy": _entropy(share).sum(),
        "p": p.sum(dim=0),
        "count": a.tally(a.counted(info.mask)).double(),
        "mass": gates.sum(dim=0),
        "sum": logits.sum(),
        "square": logits.square().sum(),
        "margin": (top[:, 0] - top[:, -1]).sum(),
    }


@torch.no_grad()
def agreement(first: Assignment, second: Assignment) -> float:
    """Share of first choices that two assignments of the same tokens have in common: stability between
    checkpoints."""
    check_kind("first", first, Assignment)
    check_kind("second", second, Assignment)
    if not len(first.probabilities):
        raise DataError("there is no token whose choices may agree")
    if first.probabilities.shape != second.probabilities.shape:
        raise DataError("the assignments are of different numbers of tokens or of experts")
    return float((first.probabilities.argmax(1) == second.probabilities.argmax(1)).double().mean())


@torch.no_grad()
def expert_similarity(layer: SparseMoE, x: Tensor) -> Tensor:
    """Mean cosine of the outputs of each pair of experts on the same tokens x (t, d_model), (n_experts,
    n_experts): near 1 is collapse."""
    check_kind("layer", layer, SparseMoE)
    check_tensor("x", x, "t", layer.d_model)
    if not len(x) or not x.is_floating_point():
        raise DataError("x must hold floating-point numbers of at least one token")
    t, E = len(x), layer.n_experts
    outputs = []
    for e in range(E):
        logits = x.new_full((t, E), -1e4)
        logits[:, e] = 0.0
        backend = "sorted" if isinstance(layer.experts, MLPExperts) else "auto"
        outputs.append(layer.experts(x, choose_experts(logits, 1), backend))
    unit = nn.functional.normalize(torch.stack(outputs).double(), dim=2)
    return torch.einsum("etd,ftd->ef", unit, unit) / t


@torch.no_grad()
def effective_rank(weight: Tensor) -> float:
    """exp of the entropy of the normalised singular values (Roy and Vetterli, 2007) of a router's matrix
    (n_experts, d_model), which must be finite and not zero."""
    check_tensor("weight", weight, "n_experts", "d_model")
    if not bool(torch.isfinite(weight).all()) or not bool(weight.any()):
        raise DataError("weight must be finite, and not zero alone: zeros have no rank to measure")
    values = torch.linalg.svdvals(weight.double())
    return float(_entropy(values / values.sum()).exp())


@torch.no_grad()
def quality_vs_k(model: nn.Module, loss: Any, data: Iterable[Any], ks: Iterable[int]) -> Table:
    """Mean loss of a model over batches at each number of experts, with the multiply-adds (as two operations
    each) of its experts a token; None where experts of one's own do not say.

    Parameters
    ----------
    model : nn.Module
        With sparse layers.
    loss : callable (model, batch) -> scalar Tensor
    data : iterable of batches
        Gone through once for each k: give a list.
    ks : iterable of int
    """
    check_kind("model", model)
    batches, ks = check_list("data", data), check_list("ks", ks)
    if not batches:
        raise DataError("there is no batch to measure on")
    layers = [m for m in model.modules() if isinstance(m, SparseMoE)]
    before = model.training
    model.eval()
    columns: dict[str, list[Any]] = {"k": [], "loss": [], "flops_per_token": []}
    try:
        for k in ks:
            with set_top_k(model, k):
                values = [float(loss(model, batch)) for batch in batches]
            columns["k"].append(k)
            columns["loss"].append(sum(values) / len(values))
            own = [layer.experts for layer in layers if isinstance(layer.experts, MLPExperts)]
            known = len(own) == len(layers)
            columns["flops_per_token"].append(sum(e.flops(1, k) for e in own) if known else None)
    finally:
        model.train(before)
    return Table(columns)

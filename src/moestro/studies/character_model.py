"""A small transformer over characters whose feed-forward layers are sparse mixtures; trained, and measured.
Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..deep import MLPExperts, RoutingInfo, RoutingStats, SparseMoE, StableRouter, TopKSchedule, quality_vs_k
from ..deep.routers import make_router
from .corpora import Corpus, mutual_information_share

PAPER_STD = 0.02  # of the body's linear weights and embeddings


@dataclass(frozen=True)
class Shape:
    """Sizes of the model: `experts` of `hidden` units each; without a router, one layer of experts * hidden
    units."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 64
    experts: int = 16
    hidden: int = 64


class Block(nn.Module):
    """x + attention(norm x), then + experts(norm x): the experts' input has unit mean square."""

    def __init__(self, shape: Shape, feed: SparseMoE | nn.Module):
        super().__init__()
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv, self.out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
        self.feed = feed

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, RoutingInfo | None]:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, d))
        if isinstance(self.feed, SparseMoE):
            y, info = self.feed(self.norm2(x), ids=ids)
            return x + y, info
        return x + self.feed(self.norm2(x)), None


class CharacterModel(nn.Module):
    """Logits of the next character, and what each sparse layer did.

    Parameters
    ----------
    shape : Shape
    router : str or None
        One of `moestro.deep.ROUTERS`; None for dense layers with as many parameters as all experts.
    router_options : dict
    seed : int
        Everything but the routers is drawn from it, routers from a stream of their own: two models that
        differ in the router start with the same experts.
    """

    def __init__(self, shape: Shape, router: str | None, router_options: dict[str, Any], seed: int):
        super().__init__()
        self.shape = shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.symbols = nn.Embedding(shape.vocabulary, shape.width)
            self.places = nn.Embedding(shape.context, shape.width)
            self.blocks = nn.ModuleList(Block(shape, nn.Identity()) for _ in range(shape.layers))
            self.norm = nn.LayerNorm(shape.width)
            self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    nn.init.normal_(module.weight, std=PAPER_STD)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
            for i, block in enumerate(self.blocks):
                block.feed = _feed(shape, router, router_options, 1000 * (seed + 1) + i)

    def forward(self, ids: Tensor) -> tuple[Tensor, list[RoutingInfo]]:
        x = self.symbols(ids) + self.places.weight[: ids.shape[1]]
        infos = []
        for block in self.blocks:
            x, info = block(x, ids)
            infos += [] if info is None else [info]
        return self.head(self.norm(x)), infos


def _feed(shape: Shape, router: str | None, options: dict[str, Any], stream: int) -> nn.Module:
    """One feed-forward part; the router's draws come from `stream` and leave the body's where they were."""
    experts = MLPExperts(shape.width, shape.hidden, shape.experts)
    for name, parameter in experts.named_parameters():
        if name.startswith("w"):
            nn.init.normal_(parameter, std=PAPER_STD)
        else:
            nn.init.zeros_(parameter)
    if router is None:
        wide = shape.experts * shape.hidden
        return _dense(experts, nn.Linear(shape.width, wide), nn.Linear(wide, shape.width), **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream)
        made = make_router(router, shape.width, shape.experts, **options)
    return SparseMoE(shape.width, shape.experts, shape.experts, router=made, expert=experts)


@torch.no_grad()
def _dense(experts: MLPExperts, first: nn.Linear, second: nn.Linear, dropout: float = 0.0) -> nn.Module:
    """One layer with the experts' own initial weights: as many units, all of them on but for dropout."""
    first.weight.copy_(experts.w1.reshape(first.weight.shape))
    second.weight.copy_(experts.w2.permute(1, 0, 2).reshape(second.weight.shape))
    first.bias.zero_()
    second.bias.zero_()
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), second)


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam, warm-up, cosine to zero, a schedule of k, weights of the routers' losses.

    Attributes
    ----------
    steps, batch : int
    rate, clip : float
    balance : float
        Weight of the balance loss.
    stage1 : float
        Share of the steps after which a two-stage router is frozen.
    train_k : int or None
        Experts a token in training, throughout; None for the schedule.
    """

    steps: int
    batch: int = 16
    rate: float = 4e-3
    warm_up: float = 0.05
    clip: float = 0.25
    balance: float = 0.0
    stage1: float = 0.1
    train_k: int | None = None


def train(model: CharacterModel, corpus: Corpus, how: Training, rng: np.random.Generator) -> None:
    """Train in place. The batches depend on `rng` alone; without a `train_k`, k(step) rises linearly from
    half of the experts to all of them."""
    E, k = model.shape.experts, how.train_k
    schedule = TopKSchedule("linear_increase", max(1, E // 2), E, how.steps)
    if k is not None:
        schedule = TopKSchedule("constant", k, k, how.steps)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=how.rate)
    layers = [m for m in model.modules() if isinstance(m, SparseMoE)]
    data = torch.from_numpy(np.ascontiguousarray(corpus.train, dtype=np.int64)).to(device())
    model.train()
    for step in range(how.steps):
        if step == round(how.stage1 * how.steps):
            for layer in layers:
                if isinstance(layer.router, StableRouter):
                    layer.router.freeze()
        for layer in layers:
            layer.top_k = schedule(step)
        warm = min(1.0, (step + 1) / max(1.0, how.warm_up * how.steps))
        for group in optimiser.param_groups:
            group["lr"] = how.rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / how.steps))
        at = torch.from_numpy(rng.integers(len(data) - model.shape.context - 1, size=how.batch))
        window = data[(at[:, None] + torch.arange(model.shape.context + 1)).to(data.device)]
        logits, infos = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        for info in infos:
            loss = loss + how.balance * info.losses["balance"] + info.losses.get("distillation", 0.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), how.clip)
        optimiser.step()
    for layer in layers:
        layer.top_k = E
    model.eval()


@torch.no_grad()
def measure(model: CharacterModel, corpus: Corpus, ks: tuple[int, ...], windows: int) -> dict[str, Any]:
    """Bits per character on held-out windows at each k, and the routing with all experts on (means over
    layers)."""
    batches, labels = held_out_windows(corpus, model.shape.context, windows)
    row: dict[str, Any] = {}
    if not any(isinstance(m, SparseMoE) for m in model.modules()):
        total = float(np.mean([float(_bits(model, batch)) for batch in batches]))
        return _each_k(dict.fromkeys(ks, total), corpus)
    curve = quality_vs_k(model, _bits, batches, ks)
    row |= _each_k(dict(zip(curve["k"], curve["loss"], strict=True)), corpus)
    row |= routing(model, batches)
    if labels is not None:
        row["source_information"] = _source_information(model, batches, labels)
    return row


def _each_k(bits: dict[int, float], corpus: Corpus) -> dict[str, float]:
    """Bits a character and, where there are words, perplexity a word, at each k."""
    row = {f"bits_{k}": value for k, value in bits.items()}
    if corpus.per_word is not None:
        row |= {f"word_perplexity_{k}": 2.0 ** (value * corpus.per_word) for k, value in bits.items()}
    return row


@torch.no_grad()
def routing(model: CharacterModel, batches: list[Tensor]) -> dict[str, float]:
    """Entropies, mutual information and spread of the full softmax, and the load of the first choices: means
    over layers.

    dead is the share of experts that are nobody's first, max_violation (largest load - mean load) / mean
    load.
    """
    E = model.shape.experts
    counts = np.zeros((model.shape.layers, E))
    with RoutingStats(model) as stats:
        for batch in batches:
            for layer, info in enumerate(model(batch[:, :-1])[1]):
                counts[layer] += np.bincount(info.logits.argmax(1).cpu().numpy(), minlength=E)
    table = stats.table()
    load = counts / counts.sum(1, keepdims=True)
    names = ("entropy", "mutual_information", "logit_std", "margin")
    return {name: float(np.mean(table[name])) for name in names} | {
        "dead": float((load == 0).mean()),
        "max_violation": float((load.max(1) * E - 1).mean()),
    }


def held_out_windows(
    corpus: Corpus, context: int, count: int
) -> tuple[list[Tensor], list[np.ndarray] | None]:
    """The first `count` windows of the held-out symbols in batches of 16, and the sources of their inputs."""
    width = context + 1
    count = min(count, len(corpus.held_out) // width)
    cut = corpus.held_out[: count * width].reshape(count, width).astype(np.int64)
    batches = list(torch.from_numpy(cut).to(device()).split(16))
    if corpus.labels is None:
        return batches, None
    of = corpus.labels[: count * width].reshape(count, width)[:, :-1]
    return batches, [of[i : i + 16] for i in range(0, count, 16)]


def _bits(model: nn.Module, window: Tensor) -> Tensor:
    logits, _ = model(window[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten()) / math.log(2.0)


def _source_information(model: CharacterModel, batches: list[Tensor], labels: list[np.ndarray]) -> float:
    """Normalised mutual information of the last layer's first choice and the true source."""
    chosen = [model(batch[:, :-1])[1][-1].logits.argmax(1).cpu().numpy() for batch in batches]
    return mutual_information_share(np.concatenate(chosen), np.concatenate([of.ravel() for of in labels]))


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(name: str) -> torch.autocast:
    """Within the block products are in bfloat16, or in float32."""
    return torch.autocast(device().type, torch.bfloat16, enabled=name == "bfloat16")


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: studies run one training a process, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

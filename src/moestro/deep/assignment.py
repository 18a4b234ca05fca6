"""From logits to weighted experts: which experts compute a token, with what weight, and how evenly they are
used."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError

SCORES = ("topk_softmax", "softmax_topk_renorm", "softmax_topk", "sigmoid")


@dataclass(frozen=True)
class Assignment:
    """Pairs of a token and an expert, in the order of the tokens.

    Attributes
    ----------
    token, expert : Tensor of shape (m,)
    weight : Tensor of shape (m,)
        Differentiable.
    probabilities : Tensor of shape (t, n_experts)
        Softmax of all logits, in float32 or better.
    per_token : int or None
        Experts a token, where every token has as many.
    """

    token: Tensor
    expert: Tensor
    weight: Tensor
    probabilities: Tensor
    per_token: int | None

    def gates(self) -> Tensor:
        """Weights as a matrix (t, n_experts), zero where an expert does not compute."""
        out = torch.zeros_like(self.probabilities)
        return out.index_put((self.token, self.expert), self.weight)

    def counts(self) -> Tensor:
        """Tokens of each expert, (n_experts,)."""
        return torch.bincount(self.expert, minlength=self.probabilities.shape[1])


def check_top_k(top_k: int, n_experts: int) -> int:
    """A whole number between 1 and the number of experts."""
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= n_experts:
        raise DataError(f"top_k must be a whole number between 1 and {n_experts} experts, got {top_k!r}")
    return top_k


def wide(logits: Tensor) -> Tensor:
    """float32 or better."""
    return logits if logits.dtype == torch.float64 else logits.float()


def choose_experts(logits: Tensor, top_k: int, score: str = "topk_softmax") -> Assignment:
    """The top_k experts of each token.

    Parameters
    ----------
    logits : Tensor of shape (t, n_experts)
    top_k : int
    score : {"topk_softmax", "softmax_topk_renorm", "softmax_topk", "sigmoid"}
        Softmax over the kept logits (equal to softmax over all, renormalised); softmax over all, kept as it
        is; the sigmoid of each kept logit.
    """
    if score not in SCORES:
        raise DataError(f"score={score!r} is unknown: choose one of {', '.join(SCORES)}")
    check_top_k(top_k, logits.shape[1])
    logits = wide(logits)
    kept, expert = logits.topk(top_k, dim=1)
    probabilities = logits.softmax(dim=1)
    if score == "topk_softmax":
        weight = kept.softmax(dim=1)
    elif score == "sigmoid":
        weight = kept.sigmoid()
    else:
        weight = probabilities.gather(1, expert)
        if score == "softmax_topk_renorm":
            weight = weight / weight.sum(dim=1, keepdim=True)
    token = torch.arange(len(logits), device=logits.device).repeat_interleave(top_k)
    return Assignment(token, expert.reshape(-1), weight.reshape(-1), probabilities, top_k)


def choose_tokens(logits: Tensor, top_k: int, mask: Tensor | None = None) -> Assignment:
    """Each expert takes the t * top_k / n_experts tokens of its largest softmax weight (at least one);
    padding is never taken."""
    t, E = logits.shape
    check_top_k(top_k, E)
    probabilities = wide(logits).softmax(dim=1)
    wanted = probabilities if mask is None else probabilities.masked_fill(~mask[:, None], -1.0)
    available = t if mask is None else int(mask.sum())
    capacity = min(max(1, round(available * top_k / E)), available)
    token = wanted.topk(capacity, dim=0).indices.T.reshape(-1)
    expert = torch.arange(E, device=logits.device).repeat_interleave(capacity)
    order = token.argsort(stable=True)
    token, expert = token[order], expert[order]
    return Assignment(token, expert, probabilities[token, expert], probabilities, None)


def balance_loss(assignment: Assignment, mask: Tensor | None = None) -> Tensor:
    """n_experts sum_e f_e P_e: f_e the share of assignments, P_e the mean probability, 1 where both are
    uniform.

    Both are means over tokens (Switch, arXiv 2101.03961); padding is left out.
    """
    p = assignment.probabilities
    expert = assignment.expert
    if mask is not None:
        p = p[mask]
        expert = expert[mask[assignment.token]]
    share = torch.bincount(expert, minlength=p.shape[1]).to(p.dtype) / max(expert.numel(), 1)
    return p.shape[1] * (share * p.mean(dim=0)).sum() if len(p) else p.sum()


def z_loss(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared log-sum-exp of the logits (ST-MoE, arXiv 2202.08906)."""
    level = torch.logsumexp(wide(logits), dim=1).square()
    if mask is not None:
        level = level[mask]
    return level.mean() if len(level) else level.sum()

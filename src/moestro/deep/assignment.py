"""From logits to weighted experts: which experts compute a token, and with what weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral

import torch
from torch import Tensor

from ..errors import DataError
from .precision import wide
from .routers.base import check_kind, check_mask, check_positive, check_tensor
from .scoring import SCORES, Scoring, preference, scoring_of, weights_of

__all__ = ["SCORES", "Assignment", "check_top_k", "choose_experts", "choose_tokens", "limit"]


@dataclass(frozen=True)
class Assignment:
    """Pairs of a token and an expert, in the order of the tokens.

    Attributes
    ----------
    token, expert : Tensor of shape (m,)
    weight : Tensor of shape (m,)
        Differentiable; zero where a pair is dropped.
    probabilities : Tensor of shape (t, n_experts)
        Softmax of all logits, in float32 or better.
    per_token : int or None
        Experts a token, where every token has as many.
    kept : bool Tensor of shape (m,) or None
        False where a pair is dropped: by a capacity, or because its token is padding. None where none is.
    """

    token: Tensor
    expert: Tensor
    weight: Tensor
    probabilities: Tensor
    per_token: int | None
    kept: Tensor | None = None

    def gates(self) -> Tensor:
        """Weights as a matrix (t, n_experts), zero where an expert does not compute."""
        out = torch.zeros_like(self.probabilities)
        return out.index_put((self.token, self.expert), self.weight, accumulate=True)

    def counts(self) -> Tensor:
        """Pairs of each expert, (n_experts,), dropped ones too: what the experts compute."""
        return self.tally(torch.ones_like(self.expert))

    def tally(self, values: Tensor) -> Tensor:
        """Sums of the values (m,) of each expert's pairs, (n_experts,): one scatter, nothing read back."""
        return values.new_zeros(self.probabilities.shape[1]).scatter_add_(0, self.expert, values)

    def counted(self, mask: Tensor | None = None) -> Tensor:
        """1 for the pairs that are kept and whose token is no padding, in the type of the probabilities."""
        out = torch.ones_like(self.expert, dtype=self.probabilities.dtype)
        if self.kept is not None:
            out = out * self.kept
        return out if mask is None else out * mask[self.token]


def check_top_k(top_k: int, n_experts: int) -> int:
    """A whole number between 1 and the number of experts, Python's or NumPy's."""
    if not isinstance(top_k, Integral) or isinstance(top_k, bool) or not 1 <= top_k <= n_experts:
        raise DataError(f"top_k must be a whole number between 1 and {n_experts} experts, got {top_k!r}")
    return int(top_k)


def choose_experts(
    logits: Tensor,
    top_k: int,
    score: str | Scoring = "topk_softmax",
    *,
    select: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Assignment:
    """The top_k experts of each token.

    Parameters
    ----------
    logits : Tensor of shape (t, n_experts)
    top_k : int
    score : str or Scoring
        "topk_softmax", softmax over the kept logits; "softmax_topk", softmax over all, kept as it is;
        "softmax_topk_renorm", the same divided by its sum, which is "topk_softmax" again; "sigmoid", the
        sigmoid of each kept logit. A `Scoring` normalises, scales and limits groups besides.
    select : Tensor of shape (t, n_experts), optional
        What the experts are chosen by, in place of their scores.
    bias : Tensor of shape (n_experts,), optional
        Added to the scores where experts are chosen, not to their weights.
    mask : bool Tensor of shape (t,), optional
        False for padding: its pairs are dropped.
    """
    rule = scoring_of(score)
    check_tensor("logits", logits, "t", "n_experts")
    if select is not None:
        check_tensor("select", select, *logits.shape)
    if bias is not None:
        check_tensor("bias", bias, logits.shape[1])
    check_mask(mask, logits.shape[0])
    top_k = check_top_k(top_k, logits.shape[1])
    logits = wide(logits)
    probabilities = logits.softmax(dim=1)
    with torch.no_grad():
        expert = preference(rule, logits, probabilities, select, bias).topk(top_k, dim=1).indices
    weight = weights_of(rule, logits, probabilities, expert)
    token = torch.arange(logits.shape[0], device=logits.device)[:, None].expand_as(expert).reshape(-1)
    expert, weight = expert.reshape(-1), weight.reshape(-1)
    if mask is None:
        return Assignment(token, expert, weight, probabilities, top_k)
    kept = mask[token]
    return Assignment(token, expert, weight * kept, probabilities, top_k, kept)


def choose_tokens(logits: Tensor, top_k: int, mask: Tensor | None = None) -> Assignment:
    """Each expert takes the t * top_k / n_experts tokens of its largest softmax weight (at least one), t the
    tokens that are not padding; padding is never kept."""
    check_tensor("logits", logits, "t", "n_experts")
    t, E = logits.shape
    check_mask(mask, t)
    top_k = check_top_k(top_k, E)
    probabilities = wide(logits).softmax(dim=1)
    wanted = probabilities if mask is None else probabilities.masked_fill(~mask[:, None], -1.0)
    capacity = min(max(1, round(t * top_k / E)), t)
    token = wanted.topk(capacity, dim=0).indices.T.reshape(-1)
    expert = torch.arange(E, device=logits.device).repeat_interleave(capacity)
    place = torch.arange(capacity, device=logits.device).repeat(E)
    order = token.argsort(stable=True)
    token, expert, place = token[order], expert[order], place[order]
    weight = probabilities[token, expert]
    if mask is None:
        return Assignment(token, expert, weight, probabilities, None)
    allowed = (mask.sum() * (top_k / E)).round().clamp_min(1)
    kept = mask[token] & (place < allowed)
    return Assignment(token, expert, weight * kept, probabilities, None, kept)


def limit(assignment: Assignment, factor: float, drop: str = "position") -> Assignment:
    """The assignment with at most ceil(factor * t * top_k / n_experts) pairs an expert; the others are
    dropped.

    Parameters
    ----------
    assignment : Assignment
        As `choose_experts` gives it.
    factor : float
        Capacity over an even share.
    drop : {"position", "weight"}
        Which pairs an expert drops: those of its last tokens, first choices of all tokens before second ones
        (GShard, arXiv 2006.16668), or those of the smallest weight. Padding takes no place.
    """
    check_kind("assignment", assignment, Assignment)
    k = assignment.per_token
    if k is None:
        raise DataError("experts that choose their tokens have a capacity of their own")
    check_positive("capacity", factor)
    if drop not in ("position", "weight"):
        raise DataError(f"drop={drop!r} is unknown: choose position or weight")
    m, E = assignment.expert.shape[0], assignment.probabilities.shape[1]
    t = m // k
    capacity = math.ceil(factor * m / E)
    counted = assignment.counted().bool()
    at = torch.arange(m, device=assignment.expert.device)
    first = at % k * t + assignment.token if drop == "position" else _falling(assignment.weight)
    order = first.argsort(stable=True)
    key = torch.where(counted, assignment.expert, E)[order]
    order = order[key.argsort(stable=True)]
    expert = assignment.expert[order]
    live = counted[order].long()
    before = live.new_zeros(E).scatter_add_(0, expert, live)
    start = before.cumsum(0) - before
    place = torch.empty_like(at)
    place[order] = at - start[expert]
    kept = counted & (place < capacity)
    return replace(assignment, weight=assignment.weight * kept, kept=kept)


def _falling(weight: Tensor) -> Tensor:
    """Ranks of the weights, the largest first."""
    return (-weight.detach()).argsort(stable=True).argsort()

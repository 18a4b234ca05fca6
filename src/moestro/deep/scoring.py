"""From logits to weights: softmax before or after the top-k, sigmoid, normalised, scaled, within the best
groups of experts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError
from ..reading import check_flag
from .routers.base import check_positive, check_size

KINDS = ("topk_softmax", "softmax_topk", "sigmoid")
SCORES = ("topk_softmax", "softmax_topk_renorm", "softmax_topk", "sigmoid")
TINY = 1e-20  # below any sum of weights that float32 tells from zero


@dataclass(frozen=True)
class Scoring:
    """How logits become weights.

    Attributes
    ----------
    kind : {"topk_softmax", "softmax_topk", "sigmoid"}
        Softmax over the kept logits; softmax over all; the sigmoid of each.
    normalise : bool
        Divide the kept weights by their sum.
    scale : float
        Times this at the end (routed_scaling_factor).
    groups, top_groups : int
        The experts are cut into `groups` of equal size in their order, and a token's experts come from its
        `top_groups` best ones.
    group_by : {"top2", "max"}
        A group's score: the sum of its two best experts' (DeepSeek-V3), or its best (DeepSeek-V2).

    Examples
    --------
    >>> from moestro.deep import Scoring
    >>> deepseek_v3 = Scoring("sigmoid", normalise=True, scale=2.5, groups=8, top_groups=4)
    """

    kind: str = "topk_softmax"
    normalise: bool = False
    scale: float = 1.0
    groups: int = 1
    top_groups: int = 1
    group_by: str = "top2"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"score={self.kind!r} is unknown: choose one of {', '.join(KINDS)}")
        if self.normalise and self.kind == "topk_softmax":
            raise DataError("topk_softmax weights sum to 1 as they are: leave normalise out")
        check_flag("normalise", self.normalise)
        check_positive("scale", self.scale)
        for name in ("groups", "top_groups"):
            check_size(name, getattr(self, name))
        if not 1 <= self.top_groups <= self.groups:
            raise DataError(
                f"top_groups must lie between 1 and {self.groups} groups, got {self.top_groups!r}"
            )
        if self.group_by not in ("top2", "max"):
            raise DataError(f"group_by={self.group_by!r} is unknown: choose top2 or max")

    def check(self, n_experts: int, top_k: int) -> None:
        """Refuse groups that do not fit the layer."""
        size, rest = divmod(n_experts, self.groups)
        if rest:
            raise DataError(f"{n_experts} experts cannot be cut into {self.groups} groups of equal size")
        if top_k > size * self.top_groups:
            raise DataError(
                f"{self.top_groups} groups of {size} experts are fewer than the {top_k} that a token needs"
            )

    def alone(self, top_k: int) -> bool:
        """Whether a token's weights always sum to `scale`, and are one: nothing trains the router then."""
        return top_k == 1 and (self.kind == "topk_softmax" or self.normalise)


def scoring_of(score: str | Scoring) -> Scoring:
    """The rule of a name."""
    if isinstance(score, Scoring):
        return score
    if score not in SCORES:
        raise DataError(f"score={score!r} is unknown: choose one of {', '.join(SCORES)}")
    if score == "softmax_topk_renorm":
        return Scoring("softmax_topk", normalise=True)
    return Scoring(score)


def preference(
    rule: Scoring, logits: Tensor, probabilities: Tensor, select: Tensor | None, bias: Tensor | None
) -> Tensor:
    """What a token's experts are the largest of, (t, n_experts)."""
    if bias is None and rule.groups == 1:
        return logits if select is None else select  # scores rise with logits
    score = select
    if score is None:
        score = logits.sigmoid() if rule.kind == "sigmoid" else probabilities
    if bias is not None:
        score = score + bias
    if rule.groups == 1:
        return score
    t, E = score.shape
    parts = score.reshape(t, rule.groups, E // rule.groups)
    best = parts.topk(min(2, parts.shape[2]) if rule.group_by == "top2" else 1, dim=2).values.sum(dim=2)
    open_ = torch.zeros_like(best, dtype=torch.bool).scatter(
        1, best.topk(rule.top_groups, dim=1).indices, True
    )
    return parts.masked_fill(~open_[:, :, None], -torch.inf).reshape(t, E)


def weights_of(rule: Scoring, logits: Tensor, probabilities: Tensor, expert: Tensor) -> Tensor:
    """Weights of the chosen experts (t, top_k); differentiable."""
    if rule.kind == "topk_softmax":
        weight = logits.gather(1, expert).softmax(dim=1)
    elif rule.kind == "sigmoid":
        weight = logits.gather(1, expert).sigmoid()
    else:
        weight = probabilities.gather(1, expert)
    if rule.normalise:
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(TINY)
    return weight if rule.scale == 1.0 else weight * rule.scale

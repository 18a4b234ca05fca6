"""How evenly experts are used, and how large logits are: losses, each as its authors define it. Padding is
left out by masked means, so that nothing is read back from the device."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError
from .assignment import Assignment
from .precision import wide


def balance_loss(assignment: Assignment, mask: Tensor | None = None, *, per: str = "assignment") -> Tensor:
    """n_experts sum_e f_e P_e, P_e the mean probability.

    f_e is the share of assignments, so that the loss is 1 where both are uniform (Switch, arXiv 2101.03961);
    with per="token" the number of assignments a token, so that it is top_k there (Mixtral and OLMoE as
    `transformers` computes them; for several layers of one model it is the mean over layers there).

    Parameters
    ----------
    assignment : Assignment
    mask : bool Tensor of shape (t,), optional
        False for padding.
    per : {"assignment", "token"}
    """
    if per not in ("assignment", "token"):
        raise DataError(f"per={per!r} is unknown: choose assignment or token")
    p = assignment.probabilities
    counted = assignment.counted(mask)
    share = assignment.tally(counted) / (
        counted.sum() if per == "assignment" else _tokens(p, mask)
    ).clamp_min(1)
    return p.shape[1] * (share * masked_mean(p, mask)).sum()


def z_loss(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared log-sum-exp of the logits (ST-MoE, arXiv 2202.08906)."""
    return masked_mean(torch.logsumexp(wide(logits), dim=1).square(), mask)


def sequence_balance_loss(
    logits: Tensor, assignment: Assignment, sequences: int, mask: Tensor | None = None
) -> Tensor:
    """Mean over sequences of sum_e f_e P_e within each (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).

    f_e = n_experts / (top_k T) times the number of the sequence's T tokens that have expert e; P_e the mean
    over them of sigmoid(logit_e) / sum_j sigmoid(logit_j).

    Parameters
    ----------
    logits : Tensor of shape (t, n_experts)
    assignment : Assignment
        Of the same tokens, top_k for each.
    sequences : int
        The tokens are that many sequences of equal length, one after the other.
    mask : bool Tensor of shape (t,), optional
        False for padding; a sequence of padding only is left out of the mean.
    """
    t, E = logits.shape
    if assignment.per_token is None:
        raise DataError("a loss within sequences needs tokens that choose as many experts each")
    if sequences < 1 or t % sequences:
        raise DataError(f"{t} tokens cannot be cut into {sequences} sequences of equal length")
    kept = torch.ones(t, dtype=torch.bool, device=logits.device) if mask is None else mask
    score = wide(logits).sigmoid()
    share = score / score.sum(dim=1, keepdim=True)
    chosen = torch.zeros_like(share).index_put(
        (assignment.token, assignment.expert), assignment.counted(mask).to(share.dtype), accumulate=True
    )
    cut = (sequences, t // sequences, E)
    length = kept.reshape(cut[:2]).sum(dim=1).to(share.dtype)
    present = (length > 0).to(share.dtype)
    length = length.clamp_min(1)[:, None]
    f = E * chosen.reshape(cut).sum(dim=1) / (assignment.per_token * length)
    p = torch.where(kept[:, None], share, 0.0).reshape(cut).sum(dim=1) / length
    return ((f * p).sum(dim=1) * present).sum() / present.sum().clamp_min(1)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the first axis of the entries that are not padding; zero where there is none."""
    kept = values if mask is None else values.masked_fill(~mask.reshape(-1, *[1] * (values.ndim - 1)), 0.0)
    return kept.sum(dim=0) / _tokens(values, mask).clamp_min(1)


def _tokens(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.full((), len(values), dtype=values.dtype, device=values.device)
    return mask.sum().to(values.dtype)

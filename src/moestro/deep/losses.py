"""How evenly experts are used, and how large logits are: losses, each as its authors define it. Padding is
left out by masked means, so that nothing is read back from the device.

Over ranks: DistributedDataParallel takes the mean of the ranks' gradients, which is that of a mean over all
tokens only where every rank has as many. With `over_ranks` a rank's sum is divided by an even share of all
tokens instead of by its own number, and shares of experts are those of all ranks, so that the mean over
ranks of values, and of gradients, is that of one batch of all tokens (the global-batch balance of arXiv
2501.11873). Every rank must then call it, one without tokens too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError
from ..reading import check_flag
from .assignment import Assignment
from .precision import wide
from .routers.base import check_kind, check_mask, check_size, check_tensor

TINY = 1e-6  # below any mean number of tokens of a rank: with none at all losses are zero


def balance_loss(
    assignment: Assignment,
    mask: Tensor | None = None,
    *,
    per: str = "assignment",
    over_ranks: bool = False,
) -> Tensor:
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
    over_ranks : bool
        Of the tokens of all ranks.
    """
    if per not in ("assignment", "token"):
        raise DataError(f"per={per!r} is unknown: choose assignment or token")
    check_kind("assignment", assignment, Assignment)
    p = assignment.probabilities
    _asked(mask, p.shape[0], over_ranks)
    counted = assignment.counted(mask)
    tally = _mean_of_ranks(assignment.tally(counted)) if over_ranks else assignment.tally(counted)
    share = tally / (tally.sum() if per == "assignment" else _tokens(p, mask, over_ranks)).clamp_min(TINY)
    return p.shape[1] * (share * masked_mean(p, mask, over_ranks)).sum()


def z_loss(logits: Tensor, mask: Tensor | None = None, *, over_ranks: bool = False) -> Tensor:
    """Mean squared log-sum-exp of the logits (ST-MoE, arXiv 2202.08906); of the tokens of all ranks with
    `over_ranks`."""
    check_tensor("logits", logits, "t", "n_experts")
    _asked(mask, logits.shape[0], over_ranks)
    return masked_mean(torch.logsumexp(wide(logits), dim=1).square(), mask, over_ranks)


def sequence_balance_loss(
    logits: Tensor,
    assignment: Assignment,
    sequences: int,
    mask: Tensor | None = None,
    *,
    over_ranks: bool = False,
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
    over_ranks : bool
        The mean over the sequences of all ranks.
    """
    check_kind("assignment", assignment, Assignment)
    t, E = assignment.probabilities.shape
    check_tensor("logits of the assignment's tokens", logits, t, E)
    _asked(mask, t, over_ranks)
    if assignment.per_token is None:
        raise DataError("a loss within sequences needs every token to choose the same number of experts")
    if t % check_size("sequences", sequences):
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
    count = _mean_of_ranks(present.sum()) if over_ranks else present.sum()
    return ((f * p).sum(dim=1) * present).sum() / count.clamp_min(TINY)


def masked_mean(values: Tensor, mask: Tensor | None, over_ranks: bool = False) -> Tensor:
    """Mean over the first axis of the entries that are not padding; zero where there is none."""
    kept = values if mask is None else values.masked_fill(~mask.reshape(-1, *[1] * (values.ndim - 1)), 0.0)
    return kept.sum(dim=0) / _tokens(values, mask, over_ranks).clamp_min(TINY)


def _asked(mask: object, tokens: int, over_ranks: object) -> None:
    check_mask(mask, tokens)
    check_flag("over_ranks", over_ranks)


def _tokens(values: Tensor, mask: Tensor | None, over_ranks: bool = False) -> Tensor:
    """Tokens that are not padding, or their mean number over ranks."""
    if mask is None:
        count = torch.full((), values.shape[0], dtype=values.dtype, device=values.device)
    else:
        count = mask.sum().to(values.dtype)
    return _mean_of_ranks(count) if over_ranks else count


@torch.no_grad()
def _mean_of_ranks(values: Tensor) -> Tensor:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        raise DataError("over_ranks needs a process group: torch.distributed.init_process_group")
    values = values.clone()
    torch.distributed.all_reduce(values)
    return values / torch.distributed.get_world_size()

"""Experts: small feed-forward networks side by side, and three ways to compute the chosen ones. None drops a
token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import DataError
from .assignment import Assignment
from .fused import ChosenExperts

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
BACKENDS = ("auto", "dense", "sorted", "grouped_mm")


class MLPExperts(nn.Module):
    """n_experts two-layer networks: w2 act(w1 x + b1) + b2, or, gated, w2 (act(w1 x + b1) * (v1 x + c1)) +
    b2.

    Parameters
    ----------
    d_model, hidden, n_experts : int
    activation : {"relu", "gelu", "silu"}
    gated : bool
        A gating unit (GLU): w1 then holds both maps.
    bias : bool
    init : {"torch", "paper"}
        PyTorch's default, or N(0, 0.02^2) as in the released code.
    """

    def __init__(
        self,
        d_model: int,
        hidden: int,
        n_experts: int,
        *,
        activation: str = "relu",
        gated: bool = False,
        bias: bool = True,
        init: str = "torch",
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise DataError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
        if init not in ("torch", "paper"):
            raise DataError(f"init={init!r} is unknown: choose torch or paper")
        if min(d_model, hidden, n_experts) < 1:
            raise DataError("d_model, hidden and n_experts must be at least 1")
        self.d_model, self.hidden, self.n_experts = d_model, hidden, n_experts
        self.activation, self.gated = activation, gated
        inner = 2 * hidden if gated else hidden
        self.w1 = nn.Parameter(torch.empty(n_experts, inner, d_model))
        self.w2 = nn.Parameter(torch.empty(n_experts, d_model, hidden))
        self.b1 = nn.Parameter(torch.zeros(n_experts, inner)) if bias else None
        self.b2 = nn.Parameter(torch.zeros(n_experts, d_model)) if bias else None
        with torch.no_grad():
            for weight, offset in ((self.w1, self.b1), (self.w2, self.b2)):
                bound = weight.shape[2] ** -0.5
                if init == "paper":
                    weight.normal_(0.0, 0.02)
                else:
                    weight.uniform_(-bound, bound)
                    if offset is not None:
                        offset.uniform_(-bound, bound)

    def forward(self, x: Tensor, assignment: Assignment, backend: str = "auto") -> Tensor:
        """sum over a token's experts of weight * expert(x), for x (t, d_model)."""
        return COMPUTE[self._backend(x, assignment, backend)](self, x, assignment)

    def _backend(self, x: Tensor, assignment: Assignment, backend: str) -> str:
        if backend not in BACKENDS:
            raise DataError(f"backend={backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
        if backend == "grouped_mm" and not can_group(self, x):
            raise DataError(
                "grouped_mm needs float32 or bfloat16, widths that are multiples of 8 and torch >= 2.10: "
                "use backend='sorted'"
            )
        if backend != "auto":
            return backend
        if torch.compiler.is_compiling():
            return "dense"  # the only one whose shapes do not depend on the data
        # On CPUs the sorted loop was the fastest at every number of experts (docs/benchmarks.md).
        return "grouped_mm" if x.is_cuda and can_group(self, x) else "sorted"

    def act(self, h: Tensor) -> Tensor:
        """Activation of the first layer's output (..., inner)."""
        function = ACTIVATIONS[self.activation]
        if not self.gated:
            return function(h)
        a, b = h.chunk(2, dim=-1)
        return function(a) * b

    def flops(self, tokens: int, top_k: int) -> int:
        """Multiply-adds, counted as two, of a forward pass in which every token has top_k experts."""
        inner = self.w1.shape[1]
        return 2 * tokens * top_k * self.d_model * (inner + self.hidden)

    def extra_repr(self) -> str:
        return (
            f"d_model={self.d_model}, hidden={self.hidden}, n_experts={self.n_experts}, "
            f"activation={self.activation}, gated={self.gated}"
        )


def can_group(experts: MLPExperts, x: Tensor) -> bool:
    """Whether torch's grouped product takes these types and widths."""
    return (
        hasattr(F, "grouped_mm")
        and x.dtype in (torch.float32, torch.bfloat16)
        and experts.d_model % 8 == 0
        and experts.hidden % 8 == 0
    )


def dense(experts: MLPExperts, x: Tensor, assignment: Assignment) -> Tensor:
    """All experts, hidden units times their gate: two large products, nothing sorted."""
    E, inner, d = experts.w1.shape
    gates = assignment.gates().to(x.dtype)
    h = F.linear(x, experts.w1.reshape(E * inner, d), None if experts.b1 is None else experts.b1.reshape(-1))
    h = experts.act(h.view(len(x), E, inner)) * gates[:, :, None]
    out = h.reshape(len(x), -1) @ experts.w2.transpose(1, 2).reshape(E * experts.hidden, d)
    return out if experts.b2 is None else out + gates @ experts.b2


def sort_by_expert(assignment: Assignment) -> tuple[Tensor, Tensor]:
    """The pairs in order of their expert, and how many each expert has."""
    return assignment.expert.argsort(stable=True), assignment.counts()


def sorted_slices(experts: MLPExperts, x: Tensor, assignment: Assignment) -> Tensor:
    """Pairs sorted by expert; each expert computes its slice, forward and backward in one piece of code."""
    order, counts = sort_by_expert(assignment)
    e = experts
    weight = assignment.weight[order].to(x.dtype)
    return ChosenExperts.apply(  # type: ignore[return-value]
        x, weight, e.w1, e.b1, e.w2, e.b2, assignment.token[order], counts.tolist(), e.act
    )


def grouped(experts: MLPExperts, x: Tensor, assignment: Assignment) -> Tensor:
    """The same with torch's grouped product."""
    order, counts = sort_by_expert(assignment)
    offsets = counts.cumsum(0).to(torch.int32)
    expert = assignment.expert[order]
    h = F.grouped_mm(x.index_select(0, assignment.token[order]), experts.w1.transpose(1, 2), offs=offsets)
    if experts.b1 is not None:
        h = h + experts.b1[expert]
    y = F.grouped_mm(experts.act(h), experts.w2.transpose(1, 2), offs=offsets)
    if experts.b2 is not None:
        y = y + experts.b2[expert]
    return combine(y, x, order, assignment)


def combine(y: Tensor, x: Tensor, order: Tensor, assignment: Assignment) -> Tensor:
    """Outputs of sorted pairs, weighted and summed for each token."""
    weighted = y * assignment.weight[order].to(y.dtype)[:, None]
    if assignment.per_token is None:
        return torch.zeros_like(x).index_add(0, assignment.token[order], weighted)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    back = weighted.index_select(0, inverse)
    k = assignment.per_token
    return back if k == 1 else back.view(len(x), k, -1).sum(dim=1)


COMPUTE: dict[str, Callable[[MLPExperts, Tensor, Assignment], Tensor]] = {
    "dense": dense,
    "sorted": sorted_slices,
    "grouped_mm": grouped,
}

"""Experts: small feed-forward networks side by side, and three ways to compute the chosen ones. None drops a
token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from ..errors import DataError
from ..reading import check_flag
from .assignment import Assignment
from .compiled import chosen_experts
from .fused import ACTIVATIONS, ChosenExperts, Operands, activate
from .precision import autocast_type, full_precision
from .routers.base import check_kind, check_size, check_tensor

FEW = 1024  # bytes an expert, one number a pair (256 pairs in float32, 512 in bfloat16), and
IDLE = 16  # experts a pair: on a CPU the grouped product is the faster one between (docs/deep.md)
BACKENDS = ("auto", "dense", "sorted", "grouped_mm")
Weights = tuple[Tensor, Tensor | None, Tensor, Tensor | None]


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
        if activation not in tuple(ACTIVATIONS):
            raise DataError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
        if init not in ("torch", "paper"):
            raise DataError(f"init={init!r} is unknown: choose torch or paper")
        self.d_model, self.hidden = check_size("d_model", d_model), check_size("hidden", hidden)
        self.n_experts = check_size("n_experts", n_experts)
        self.activation, self.gated, self.init = activation, check_flag("gated", gated), init
        bias = check_flag("bias", bias)
        inner = 2 * hidden if gated else hidden
        self.w1 = nn.Parameter(torch.empty(n_experts, inner, d_model))
        self.w2 = nn.Parameter(torch.empty(n_experts, d_model, hidden))
        self.b1 = nn.Parameter(torch.zeros(n_experts, inner)) if bias else None
        self.b2 = nn.Parameter(torch.zeros(n_experts, d_model)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all experts anew."""
        for weight, offset in ((self.w1, self.b1), (self.w2, self.b2)):
            bound = weight.shape[2] ** -0.5
            if self.init == "paper":
                weight.normal_(0.0, 0.02)
            else:
                weight.uniform_(-bound, bound)
            if offset is not None:
                offset.uniform_(-bound, bound) if self.init == "torch" else offset.zero_()

    def forward(self, x: Tensor, assignment: Assignment, backend: str = "auto") -> Tensor:
        """sum over a token's experts of weight * expert(x), for x (t, d_model).

        Under autocast the products are in its type; the result has the type of x. On the meta device, where
        there are shapes alone, every backend is the dense one.
        """
        if backend not in BACKENDS:
            raise DataError(f"backend={backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
        check_tensor("x", x, "t", self.d_model)
        check_kind("assignment", assignment, Assignment)
        check_tensor("the assignment", assignment.probabilities, x.shape[0], self.n_experts)
        kind = autocast_type(x) or x.dtype
        parts = [None if p is None else p.to(kind) for p in (self.w1, self.b1, self.w2, self.b2)]
        chosen = self._backend(x, kind, assignment, backend)
        with full_precision(x):
            return COMPUTE[chosen](self, x.to(kind), assignment, parts).to(x.dtype)  # type: ignore[arg-type]

    def _backend(self, x: Tensor, kind: torch.dtype, assignment: Assignment, backend: str) -> str:
        groups = can_group(self, kind)
        if backend == "grouped_mm" and not groups:
            raise DataError(
                "grouped_mm needs float32, bfloat16 or float16 (in torch.compile bfloat16 alone), widths "
                "that are multiples of 8 and torch >= 2.10: use backend='sorted'"
            )
        if backend == "sorted" and _transformed():
            raise DataError(
                "torch.func and forward mode go through backend='dense', which 'auto' takes there"
            )
        if x.is_meta:
            return "dense"  # no numbers say which experts are chosen
        if backend != "auto":
            return backend
        if _transformed():
            return "dense"  # torch.func differentiates operations of its own alone
        grouped = groups and (x.is_cuda or self._suits(assignment.expert.shape[0], kind.itemsize))
        return "grouped_mm" if grouped else "sorted"

    def _suits(self, pairs: int, itemsize: int) -> bool:
        """Whether a CPU is faster with the grouped product.

        It calls fewer operations for each expert that has pairs, but walks through all experts, with pairs or
        without, and goes over every pair a few times more, in memory instead of in the cache: half as long
        where numbers have half the bytes.
        """
        if torch.compiler.is_exporting():
            return False  # the graph is for any number of tokens
        return pairs > max(1.0, self.n_experts / IDLE) and pairs * itemsize <= FEW * self.n_experts

    def act(self, h: Tensor) -> Tensor:
        """Activation of the first layer's output (..., inner)."""
        return activate(h, self.activation, self.gated)

    def flops(self, tokens: int, top_k: int) -> int:
        """Multiply-adds, counted as two, of a forward pass in which every token has top_k experts."""
        inner = self.w1.shape[1]
        return 2 * tokens * top_k * self.d_model * (inner + self.hidden)

    def extra_repr(self) -> str:
        return (
            f"d_model={self.d_model}, hidden={self.hidden}, n_experts={self.n_experts}, "
            f"activation={self.activation}, gated={self.gated}"
        )


def _transformed() -> bool:
    """Whether a transform of torch.func, or a derivative in forward mode, is at work."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def can_group(experts: MLPExperts, kind: torch.dtype) -> bool:
    """Whether torch's grouped product takes this type and these widths."""
    kinds = (torch.bfloat16,)
    if not torch.compiler.is_compiling():
        kinds = (torch.float32, torch.bfloat16, torch.float16)
    return hasattr(F, "grouped_mm") and kind in kinds and experts.d_model % 8 == 0 and experts.hidden % 8 == 0


def dense(experts: MLPExperts, x: Tensor, assignment: Assignment, weights: Weights) -> Tensor:
    """All experts, hidden units times their gate: two large products, nothing sorted."""
    w1, b1, w2, b2 = weights
    E, inner, d = w1.shape
    gates = assignment.gates().to(x.dtype)
    h = F.linear(x, w1.reshape(E * inner, d), None if b1 is None else b1.reshape(-1))
    h = experts.act(h.view(x.shape[0], E, inner)) * gates[:, :, None]
    out = h.reshape(x.shape[0], E * experts.hidden) @ w2.transpose(1, 2).reshape(E * experts.hidden, d)
    return out if b2 is None else out + gates @ b2


def sorted_slices(experts: MLPExperts, x: Tensor, assignment: Assignment, weights: Weights) -> Tensor:
    """Pairs sorted by expert, dropped ones last; each expert computes its slice, forward and backward in one
    piece of code."""
    key, counts = assignment.expert, assignment.counts()
    if assignment.kept is not None:
        key = torch.where(assignment.kept, key, experts.n_experts)
        counts = assignment.tally(assignment.kept.long())
    order = key.argsort(stable=True)
    weight, token = assignment.weight[order].to(x.dtype), assignment.token[order]
    of = Operands(x, weight, *weights, token, counts, experts.activation, experts.gated)
    if torch.compiler.is_compiling():
        return chosen_experts(*of)[0]
    return ChosenExperts.apply(*of)  # type: ignore[return-value]


def grouped(experts: MLPExperts, x: Tensor, assignment: Assignment, weights: Weights) -> Tensor:
    """The same with torch's grouped product; dropped pairs are computed too, with weight zero."""
    w1, b1, w2, b2 = weights
    order, counts = assignment.expert.argsort(stable=True), assignment.counts()
    ends = counts.cumsum(0).to(torch.int32)
    expert = assignment.expert[order]
    h = F.grouped_mm(x.index_select(0, assignment.token[order]), w1.transpose(1, 2), offs=ends)
    h = experts.act(h if b1 is None else h + b1[expert])
    y = F.grouped_mm(h, w2.transpose(1, 2), offs=ends)
    return combine(y if b2 is None else y + b2[expert], x, order, assignment)


def combine(y: Tensor, x: Tensor, order: Tensor, assignment: Assignment) -> Tensor:
    """Outputs of sorted pairs, weighted and summed for each token."""
    weighted = y * assignment.weight[order].to(y.dtype)[:, None]
    if assignment.per_token is None:
        return torch.zeros_like(x).index_add(0, assignment.token[order], weighted)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(order.shape[0], device=order.device)
    back = weighted.index_select(0, inverse)
    k = assignment.per_token
    return back if k == 1 else back.view(x.shape[0], k, x.shape[1]).sum(dim=1)


COMPUTE: dict[str, Callable[[MLPExperts, Tensor, Assignment, Weights], Tensor]] = {
    "dense": dense,
    "sorted": sorted_slices,
    "grouped_mm": grouped,
}

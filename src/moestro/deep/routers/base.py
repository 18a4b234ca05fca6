"""What a router is: a module that gives every token one logit an expert. Which experts compute is decided
elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import DataError
from ..precision import full_precision, wide

INITS = ("paper", "unit_logit", "torch")
PAPER_STD = 0.02  # of every linear weight in the released code


class Router(nn.Module):
    """Logits (..., n_experts) of tokens (..., d_model), in float32 or better under any autocast.

    A router of one's own has `logits` and, with weights, `reset_parameters`.

    Attributes
    ----------
    d_model, n_experts : int
    score : str
        How a layer turns the logits into weights where it is not told.
    """

    chooses_tokens = False  # experts choose their tokens, instead of tokens their experts
    score = "topk_softmax"

    def __init__(self, d_model: int, n_experts: int):
        super().__init__()
        self.d_model = check_size("d_model", d_model)
        self.n_experts = check_size("n_experts", n_experts)

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits of x (..., d_model); `ids` (...) are token numbers, for routers that read them."""
        if not isinstance(x, Tensor) or x.shape[-1:] != (self.d_model,):
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise DataError(f"x must be of shape (..., {self.d_model}), got {got}")
        with full_precision(x):
            return self.logits(wide(x), ids)

    def logits(self, x: Tensor, ids: Tensor | None) -> Tensor:
        """The same for x in float32 or better, with autocast off."""
        raise NotImplementedError

    def selection(self, x: Tensor, ids: Tensor | None) -> Tensor | None:
        """What the experts are chosen by, (..., n_experts), where that is not the logits; no gradient."""
        return None

    def losses(
        self, x: Tensor, logits: Tensor, ids: Tensor | None, mask: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Losses of the router's own, by name, over the tokens that are not padding."""
        return {}

    def reset_parameters(self) -> None:
        """Draw everything anew."""

    def extra_repr(self) -> str:
        return f"d_model={self.d_model}, n_experts={self.n_experts}"


def check_size(name: str, value: object, low: int | None = 1) -> int:
    """A whole number of at least `low`, Python's or NumPy's."""
    fine = isinstance(value, Integral) and not isinstance(value, bool)
    if not fine or not (low is None or int(value) >= low):  # type: ignore[call-overload]
        least = "" if low is None else f" of at least {low}"
        raise DataError(f"{name} must be a whole number{least}, got {value!r}")
    return int(value)  # type: ignore[call-overload]


def check_positive(name: str, value: object) -> float:
    """A finite number above 0, Python's or NumPy's."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise DataError(f"{name} must be positive and finite, got {value!r}")
    return float(value)


def check_kind(name: str, value: object, kind: type = nn.Module) -> None:
    """An object of a class."""
    if not isinstance(value, kind):
        raise DataError(f"{name} must be of class {kind.__name__}, got {type(value).__name__}")


def check_list(name: str, value: Any) -> list[Any]:
    """What can be gone through, text aside."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise DataError(f"{name} must be a sequence, got {type(value).__name__}")
    return list(value)


def check_tensor(name: str, value: object, *shape: int | str, mask: bool = False) -> None:
    """A tensor of a shape, in which a word stands for any number; a mask is of bools."""
    got = type(value).__name__
    if isinstance(value, Tensor):
        fits = value.layout == torch.strided and value.ndim == len(shape)
        fits = fits and all(isinstance(n, str) or n == m for n, m in zip(shape, value.shape, strict=True))
        if fits and (value.dtype == torch.bool or not mask):
            return
        got = f"{value.dtype} {tuple(value.shape)}"
    words = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    raise DataError(f"{name} must be{' bool' if mask else ''} of shape ({words}), got {got}")


def check_mask(mask: object, tokens: int) -> None:
    """A bool for each token, or None."""
    if mask is not None:
        check_tensor("mask", mask, tokens, mask=True)


def check_init(init: str, logit_std: float | None) -> None:
    """Refuse an unknown initialisation, and two that contradict each other."""
    if init not in INITS:
        raise DataError(f"init={init!r} is unknown: choose one of {', '.join(INITS)}")
    if logit_std is not None:
        check_positive("logit_std", logit_std)
    if logit_std is not None and init == "unit_logit":
        raise DataError("init='unit_logit' is logit_std=1: give one of them")


def check_ids(ids: Tensor | None, size: int, what: str) -> Tensor:
    """Token ids: whole numbers below `size` (looked at on the CPU only: elsewhere it would wait for the
    device)."""
    if ids is None:
        raise DataError(f"{what} reads token ids: pass ids= to the layer")
    check_kind("ids", ids, Tensor)
    if ids.dtype not in (torch.int64, torch.int32):
        raise DataError(f"token ids must be int64 or int32, got {ids.dtype}")
    looked_at = ids.device.type == "cpu" and ids.numel() and not torch.compiler.is_compiling()
    if looked_at and not (int(ids.min()) >= 0 and int(ids.max()) < size):
        raise DataError(
            f"token ids go from {int(ids.min())} to {int(ids.max())}, {what} knows 0 to {size - 1}"
        )
    return ids


def linear_init(weight: Tensor, bias: Tensor | None, init: str) -> None:
    """Fill a linear map (out, in): N(0, 0.02^2) as the released code, N(0, 1 / in), or PyTorch's own."""
    with torch.no_grad():
        if init == "torch":
            bound = weight.shape[1] ** -0.5
            weight.uniform_(-bound, bound)
            if bias is not None:
                bias.uniform_(-bound, bound)
            return
        weight.normal_(0.0, PAPER_STD if init == "paper" else weight.shape[1] ** -0.5)
        if bias is not None:
            bias.zero_()


def spread(weight: Tensor) -> float:
    """Standard deviation of the logits W x of inputs of unit mean square: sqrt of the mean squared row norm
    of W."""
    return float(weight.detach().double().square().sum(dim=1).mean().sqrt())

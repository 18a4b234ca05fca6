"""Families on torch's tensors: twins of `experts`, with experts first and rows last.

A law takes eta (..., k, m, b), nuisances (..., k, nu, 1), y (b,) and an order, and gives the log-densities
less their base (..., k, b); from order 1 scores (..., k, m + nu, b); from 2 information and curvature in the
pairs (0, 0), (1, 0), (1, 1), (2, 0), ... of predictors and nuisances, (..., k, pairs, b); None before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..experts import known_as
from ..experts.gaussian import LOG_2PI
from ..experts.poisson import ETA_CAP, LARGE
from ..gates import SoftmaxGate
from ..model import Model
from .base import Order
from .layout import diagonal

if TYPE_CHECKING:
    from torch import Tensor

Law = Callable[["Tensor", "Tensor", "Tensor", Order], tuple[Any, ...]]


def closed(logits: Tensor) -> Tensor:
    """Logits (..., T, b) with those of the last, zeros, (..., T + 1, b)."""
    import torch

    return torch.cat([logits, logits.new_zeros((*logits.shape[:-2], 1, logits.shape[-1]))], -2)


def gaussian(eta: Tensor, nuisances: Tensor, y: Tensor, order: Order) -> tuple[Any, ...]:
    """A mean, and the log-variance as a nuisance."""
    import torch

    residual, precision = y - eta[..., 0, :], (-nuisances[..., 0, :]).exp()
    slope = residual * precision
    square = residual * slope
    density = -0.5 * (LOG_2PI + nuisances[..., 0, :] + square)
    score, information, curvature = None, None, None
    if order >= Order.GRADIENT:
        score = torch.stack([slope, 0.5 * (square - 1)], -2)
    if order >= Order.INFORMATION:
        of_all = torch.stack([precision, torch.zeros_like(precision), torch.full_like(precision, 0.5)], -2)
        information = of_all.expand(*of_all.shape[:-1], len(y))
        curvature = torch.stack([-information[..., 0, :], -slope, -0.5 * square], -2)
    return density, score, information, curvature


def poisson(eta: Tensor, nuisances: Tensor, y: Tensor, order: Order) -> tuple[Any, ...]:
    """A log-rate; counts above `LARGE` are split as `experts.poisson` says."""
    eta = eta[..., 0, :].clamp(max=ETA_CAP)
    rate = eta.exp()
    density, score, large = y * eta - rate, y - rate, y > LARGE
    if large.any():
        d = eta - y.clamp(min=LARGE).log()
        density = density.where(~large, y * (d - d.expm1()))
        score = score.where(~large, -y * d.expm1())
    if order == Order.VALUE:
        return density, None, None, None
    rate = rate.unsqueeze(-2)
    return density, score.unsqueeze(-2), rate, -rate


def multinomial(eta: Tensor, nuisances: Tensor, y: Tensor, order: Order) -> tuple[Any, ...]:
    """Logits of all classes but the last; y holds their indices."""
    import torch

    m = eta.shape[-2]
    log_p = closed(eta).log_softmax(-2)
    density = log_p.gather(-2, y.long().expand(*eta.shape[:-2], 1, -1)).squeeze(-2)
    if order == Order.VALUE:
        return density, None, None, None
    p, classes = log_p[..., :m, :].exp(), torch.arange(m, dtype=y.dtype, device=y.device)
    score = (y == classes[:, None]).to(p.dtype) - p
    if order == Order.GRADIENT:
        return density, score, None, None
    information = torch.cat([-p[..., t : t + 1, :] * p[..., : t + 1, :] for t in range(m)], -2)
    information[..., diagonal(m), :] += p
    return density, score, information, -information


LAWS: dict[str, Law] = {"multinomial": multinomial, "gaussian": gaussian, "poisson": poisson}


def law_of(model: Model) -> Law:
    """The twin of the model's family."""
    name = known_as(model.family)
    law = LAWS.get(name) if isinstance(name, str) else None
    if law is None or type(model.gate) is not SoftmaxGate:
        raise DataError(
            f"engine='torch' has no {model.gate.name} gate with {model.family.name} experts, only softmax "
            f"with {', '.join(LAWS)}: use engine='auto'"
        )
    return law

"""Sums over rows on torch's tensors, on the device of one's choice, in float64.

The rows go to the device once, scaled, columns first: X (p, n) and Z (q, n), each with a one for the
intercept. With the logits V of the gate (the last is zero) and eta of the experts, a nuisance counted as a
logit of the constant,

    V = G Z,  pi = softmax(V),  eta = B X,  L = log sum_e pi_e exp(l_e),  r_e = pi_e exp(l_e - L)

the gradient is (r - pi) diag(w) Z' and (r_e s_e) diag(w) X', a product each, or one where X = Z. Logits t and
t', of the experts e and e', have the block X diag(w W_tt') X' of the Hessian, where h is 1 for a gate's logit
and the score s for an expert's:

    W_tt' = [e = e'] r_e h_t h_t'  -  r_e h_t r_e' h_t'  +  [both of the gate] (pi_t pi_t' - [t = t'] pi_t)
            + [both of an expert] r_e d2l_e / deta_t deta_t'

All these blocks are one product, of W (pairs of logits, n) and the weighted pairs of features. So is EM's
information: W_tt' is [t = t'] pi_t - pi_t pi_t' of the gate, r_e times the family's information of an expert.
Sums at several thetas of few rows, as searches ask for, are made together: tensors of logits have the thetas
first, (S, logits, rows).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..model import Model
from ..rows import Block, Rows
from .base import IMPOSSIBLE, Evaluation, Order, Rowwise, Together, base_of, joined, log_base_sum
from .device import device_of
from .layout import Layout, diagonal, row, triangle
from .torch_laws import closed, law_of

if TYPE_CHECKING:
    from torch import Tensor

# Bytes of a block's products: what a core's caches hold, or what a device of its own memory can spare.
ON_CPU, ELSEWHERE = 2**23, 2**30
FEWEST = 64  # rows of a block


class TorchEngine(Together):
    """Engine over `rows` on a torch device: softmax gates; multinomial, Gaussian and Poisson experts.

    The device holds a copy of the rows, 8 bytes a number. On the CPU the threads are torch's own,
    ``torch.set_num_threads``; with the same number of them a pass repeats its bits.

    Parameters
    ----------
    model : Model
    rows : Rows
    name : str
        "torch:cuda:0" for the device of this name, "torch" for the CPU, whatever torch's default device is:
        that is a thread's own, and searches have several.

    Raises
    ------
    DataError
        Without torch, for a device that is not here or has no float64, for other gates and families, and for
        groups of rows.
    """

    def __init__(self, model: Model, rows: Rows, name: str = "torch"):
        self._law = law_of(model)
        if rows.groups is not None:
            raise DataError("engine='torch' has no groups of rows that share their expert: use engine='auto'")
        self.model, self.rows, self.device = model, rows, device_of(name)
        self._offset, self._kept = log_base_sum(model, rows), threading.local()
        self._layout = Layout(model, rows.shared)
        logits = self._layout.n_gate + self._layout.n_experts
        numbers = triangle(logits) + triangle(model.p) + 4 * logits + model.p + model.q
        work = ON_CPU if self.device.type == "cpu" else ELSEWHERE
        self._most = max(FEWEST, work // (8 * numbers))  # rows of a block, times thetas
        self._parts = [self._part(block) for block in rows.blocks(self._most)]

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        together = max(1, self._most // self.rows.n)  # of few rows several thetas make a block
        found = []
        for start in range(0, len(thetas), together):
            at = slice(start, start + together)
            found.append(
                self._all(thetas[at], order, None if responsibilities is None else responsibilities[at])
            )
        return joined(found)

    def _all(self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None) -> Evaluation:
        """The sums at each of thetas (S, P), stacked."""
        at, total = self._parameters(thetas), None
        for part in self._parts:
            given = None
            if responsibilities is not None:
                given = self._tensor(responsibilities[:, part.at].transpose(0, 2, 1))
            sums = self._sums(part, at, order, given)
            total = sums if total is None else [a + b for a, b in zip(total, sums, strict=True)]
        assert total is not None
        value, mass, *products = (a.cpu().numpy() for a in total)
        sides, lay = 1 if self.rows.shared else 2, self._layout
        every: Any = value + self._offset
        return Evaluation(
            every,
            mass,
            lay.gradient(products[:sides]) if order >= Order.GRADIENT else None,
            lay.information(products[sides : 2 * sides]) if order >= Order.INFORMATION else None,
            lay.curvature(products[2 * sides :]) if order >= Order.CURVATURE else None,
        )

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        at, found = self._parameters(theta[None]), []
        for part in self._parts:
            terms, log_pi, joint = self._terms(part, at, Order.GRADIENT if scores else Order.VALUE)
            L = joint.logsumexp(1)
            r = (joint - L[:, None]).exp()
            found.append([L[0], r[0]])
            if scores:
                of_gate = (r - log_pi.exp())[0, : self._layout.n_gate] * part.w
                found[-1] += [of_gate, (terms[1] * (r * part.w)[:, :, None])[0].flatten(0, 1)]
        density, r, *of_logits = (
            np.concatenate([a.cpu().numpy() for a in parts], axis=-1) for parts in zip(*found, strict=True)
        )
        return Rowwise(
            density + self._base,
            np.ascontiguousarray(r.T),
            np.ascontiguousarray(np.concatenate(of_logits).T) if scores else None,
        )

    @cached_property
    def _base(self) -> np.ndarray:
        return base_of(self.model, self.rows)

    def _tensor(self, a: np.ndarray) -> Tensor:
        import torch

        return torch.tensor(np.ascontiguousarray(a), dtype=torch.float64, device=self.device)

    def _part(self, block: Block) -> Part:
        x = self._tensor(block.x.T)
        z = x if self.rows.shared else self._tensor(block.z.T)
        known = None if block.known is None else self._tensor(block.known[:, 0])
        return Part(x, z, self._tensor(block.y), self._tensor(block.w), known, block.at)

    def _parameters(self, thetas: np.ndarray) -> tuple[Tensor, ...]:
        """Coefficients of the gates (S, k - 1, q) and of the experts (S, k m, p), nuisances (S, k, nu, 1)."""
        m, every = self.model, len(thetas)
        gate, of_gate = m.n_gate * m.q, m.gate_size
        experts, nuisances = np.split(thetas[:, of_gate:], [m.k * m.m * m.p], axis=1)
        shaped = (
            thetas[:, :gate].reshape(every, m.n_gate, m.q),
            experts.reshape(every, m.k * m.m, m.p),
            nuisances.reshape(every, m.k, m.family.nuisances, 1),
        )
        return tuple(map(self._tensor, shaped))

    def _terms(self, part: Part, at: tuple[Tensor, ...], order: Order) -> tuple[Any, Tensor, Tensor]:
        """The family's terms, log pi_e and log pi_e + l_e, (S, k, b)."""
        gate, experts, nuisances = at
        eta = (experts @ part.x).unflatten(1, (self.model.k, self.model.m))
        terms = self._law(eta if part.known is None else eta + part.known, nuisances, part.y, order)
        log_pi = closed(gate @ part.z).log_softmax(1)
        return terms, log_pi, log_pi + terms[0].clamp(min=IMPOSSIBLE)

    def _sums(self, part: Part, at: tuple[Tensor, ...], order: Order, given: Tensor | None) -> list[Tensor]:
        """Value, mass and the products that gradient, information and curvature are laid out from."""
        import torch

        (_, s, information, curvature), log_pi, joint = self._terms(part, at, order)
        w, n_gate = part.w, self._layout.n_gate
        L = joint.logsumexp(1)
        r = (joint - L[:, None]).exp() if given is None else given
        out = [(L if given is None else (r * joint).sum(1)) @ w, r @ w]
        if order == Order.VALUE:
            return out
        # Given responsibilities need not sum to one: those of a part of the rows are zero elsewhere.
        rest = w.new_zeros((1, 1, 1)) if given is None else 1 - r.sum(1, keepdim=True)
        pi, rs = log_pi[:, :n_gate].exp(), (r[:, :, None] * s).flatten(1, 2)
        gate = r[:, :n_gate] + rest * pi
        out += self._by_side(gate - pi, rs, part.z * w, part.x * w, part)
        if order == Order.GRADIENT:
            return out
        every, each = len(r), information.shape[2]
        W = self._room("weights", every, triangle(n_gate + rs.shape[1]), w)
        of_z = of_x = _pairs(part.x * w, part.x, self._room("x", 1, triangle(len(part.x)), w)[0])
        if part.x is not part.z:
            of_z = _pairs(part.z * w, part.z, self._room("z", 1, triangle(len(part.z)), w)[0])
        first = triangle(n_gate)
        of_gate, of_experts = W[:, :first], W[:, first : first + each * self.model.k]
        _pairs(-pi, pi, of_gate)
        of_gate[:, diagonal(n_gate)] += pi
        torch.mul(r[:, :, None], information, out=of_experts.unflatten(1, (self.model.k, each)))
        out += self._by_side(of_gate, of_experts, of_z, of_x, part)
        if order == Order.INFORMATION:
            return out
        _weigh(W, gate, rs, r, s, curvature)
        for t in range(n_gate):
            W[:, row(t)] += (1 + rest) * pi[:, t : t + 1] * pi[:, : t + 1]
        of_gate[:, diagonal(n_gate)] += r[:, :n_gate] - pi
        if part.x is part.z:
            return [*out, W @ of_x.T]
        of_both = ((part.x * w)[:, None] * part.z).flatten(0, 1)
        across, within = self._layout.sides
        return [*out, of_gate @ of_z.T, W[:, within] @ of_x.T, W[:, across] @ of_both.T]

    def _room(self, name: str, every: int, rows: int, like: Tensor) -> Tensor:
        """(S, rows, b) of this thread for what `name` says, from one block to the next: pages of the memory
        that a system takes back and gives anew cost as much as the sums in them."""
        kept, size = vars(self._kept), every * rows * len(like)
        if name not in kept or len(kept[name]) < size:
            kept[name] = like.new_empty(size)
        return kept[name][:size].view(every, rows, len(like))

    def _by_side(self, gate: Tensor, experts: Tensor, z: Tensor, x: Tensor, part: Part) -> list[Tensor]:
        """gate z' and experts x', as one product where z is x."""
        import torch

        return [torch.cat([gate, experts], 1) @ x.T] if part.x is part.z else [gate @ z.T, experts @ x.T]


@dataclass(frozen=True)
class Part:
    """Rows on a device: x (p, b), z (q, b), which may be x, y, w and offsets (b,); `at` is their slice."""

    x: Tensor
    z: Tensor
    y: Tensor
    w: Tensor
    known: Tensor | None
    at: slice


def _weigh(W: Tensor, gate: Tensor, rs: Tensor, r: Tensor, s: Tensor, curvature: Tensor) -> None:
    """Write W (S, pairs, b) less what only the gate's logits have: - r h r' h', and what an expert's have
    with its own."""
    import torch

    n_gate, each = gate.shape[1], s.shape[2]
    rh = torch.cat([gate, rs], 1)
    _pairs(-rh, rh, W)
    for t in range(n_gate, rh.shape[1]):
        e, j = divmod(t - n_gate, each)
        of_t, own = W[:, row(t)], rs[:, t - n_gate]
        of_t[:, t - j :] += own[:, None] * s[:, e, : j + 1] + r[:, e, None] * curvature[:, e, row(j)]
        if e < n_gate:
            of_t[:, e] += own


def _pairs(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Write a_t b_t' of the pairs t >= t', (..., pairs, b) of (..., T, b)."""
    import torch

    for t in range(a.shape[-2]):
        torch.mul(b[..., : t + 1, :], a[..., t : t + 1, :], out=out[..., row(t), :])
    return out

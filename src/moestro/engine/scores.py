"""Compiled sums under a gate that is written in NumPy.

The gate turns a piece of the rows into scores v, and the core does the rest: their differences v_a - v_k are
columns of a softmax gate whose slopes are ones, so log-densities, responsibilities and what the experts have
in the gradient and in the Hessian are sums of the core. The gate's own part is left, with f_a = dv_a/dtheta,
r the responsibilities, pi the gate's weights, and s_e the scores of expert e (`array` has the whole in
letters):

    gradient         sum w (r_a - pi_a) f_a
    gate and gate    sum w ([a=b] (r_a - pi_a) - r_a r_b + pi_a pi_b) f_a f_b' + sum w (r_a - pi_a) d2v_a
    gate and expert  sum w ([a=e] - r_a) f_a (r_e S_e)',   S_e = sum_i s_e(i) x (features of i)

where all pairs are products of three matrices: [r_a f_a], [pi_a f_a] and [w r_e S_e].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from threading import Lock

import numpy as np

from ..design import Scaling
from ..gates import SoftmaxGate
from ..gates.base import Feature
from ..model import Model
from ..rows import Block, Rows
from .array import ArrayEngine
from .base import IMPOSSIBLE, Engine, Evaluation, OneByOne, Order, Rowwise, added
from .native import NativeEngine, supports
from .terms import PIECE, TermsEngine

BLOCK = 1024  # rows at a time: what the gate makes of them stays in the caches


@dataclass(frozen=True)
class Piece:
    """Consecutive rows, their units, the scores' columns (n, k - 1), and the engine that reads them."""

    rows: Rows
    units: slice
    columns: np.ndarray
    core: Engine

    @cached_property
    def _few(self) -> list[Block]:
        return list(self.rows.blocks(BLOCK))

    def blocks(self) -> Iterable[Block]:
        """The rows, scaled; of few rows once, for a search asks for thousands of sums over them."""
        return self._few if self.rows.n <= BLOCK else self.rows.blocks(BLOCK)


class ScoresEngine(OneByOne):
    """Engine over `rows` on `threads` threads, for any gate and any family."""

    def __init__(self, model: Model, rows: Rows, threads: int = 1):
        self.model, self.rows = model, rows
        k = model.k
        plain = Model(SoftmaxGate(), model.family, k, k, model.p)
        make = NativeEngine if supports(plain) else TermsEngine
        self._slopes = np.eye(k - 1, k, 1).ravel()  # rows of a gate: no intercept, one score each
        self._pieces, start = [], 0
        for part in rows.parts(PIECE):
            units = slice(start, start + part.n_units)
            columns = np.zeros((part.n, k - 1))
            as_they_are = Scaling(np.zeros(k - 1), np.ones(k - 1))
            core = make(plain, replace(part, z=columns, z_scaling=as_they_are), threads)
            self._pieces.append(Piece(part, units, columns, core))
            start = units.stop
        self._reference = ArrayEngine(model, rows)
        self._lock = Lock()  # a call writes the columns that the core reads

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        if order == Order.CURVATURE and responsibilities is not None:  # the core scores posterior ones alone
            return self._reference.evaluate(theta, order, responsibilities)
        with self._lock:
            return added([self._sums(piece, theta, order, responsibilities) for piece in self._pieces])

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        within, parts = self._within(theta), []
        with self._lock:
            for piece in self._pieces:
                self._score(piece, theta)
                parts.append(piece.core.rowwise(within, scores=scores))
        density = np.concatenate([part.log_density for part in parts])
        r = np.concatenate([part.responsibilities for part in parts])
        if not scores:
            return Rowwise(density, r, None)
        of_logits = np.concatenate([part.scores for part in parts])
        gate, experts = np.split(of_logits, [self.model.k - 1], axis=1)
        if self.model.n_gate == self.model.k:  # w (r_a - pi_a) of all experts sum to zero
            gate = np.column_stack([gate, -gate.sum(axis=1)])
        return Rowwise(density, r, np.column_stack([gate, experts]))

    def _within(self, theta: np.ndarray) -> np.ndarray:
        """theta of the softmax gate whose columns are the scores."""
        return np.concatenate([self._slopes, theta[self.model.gate_size :]])

    def _score(self, piece: Piece, theta: np.ndarray) -> np.ndarray:
        """log pi (u, k), of which the core reads the differences."""
        out, start = np.empty((piece.rows.n_units, self.model.k)), 0
        for block in piece.blocks():
            with np.errstate(all="ignore"):  # a theta that is no number has no value
                log_pi = np.maximum(self.model.log_gate(theta, block.z), IMPOSSIBLE)
            out[block.at] = log_pi
            columns = block.expand(log_pi[:, :-1] - log_pi[:, -1:])
            piece.columns[start : start + len(columns)] = columns
            start += len(columns)
        return out

    def _sums(
        self, piece: Piece, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None
    ) -> Evaluation:
        model, within = self.model, self._within(theta)
        log_pi = self._score(piece, theta)
        r = None if responsibilities is None else np.ascontiguousarray(responsibilities[piece.units])
        scores, both = None, order == Order.CURVATURE
        if r is not None or order == Order.VALUE:
            core = piece.core.evaluate(within, order, r)
        else:
            if isinstance(piece.core, TermsEngine):
                core, of_units = piece.core.evaluate_rows(within, order, both)
            else:
                core = piece.core.evaluate(within, order)
                of_units = piece.core.rowwise(within, scores=both)
            r, scores = of_units.responsibilities, of_units.scores
        if core.gradient is None or r is None:
            return core
        gate, start = GateSums(model, theta, order, piece.rows.w is not None), 0
        for block in piece.blocks():
            rows = slice(start, start + len(block.x))
            own = None if scores is None else scores[rows, model.k - 1 :]
            gate.add(block, np.exp(log_pi[block.at]), r[block.at], own)
            start = rows.stop
        first, size = len(self._slopes), model.gate_size
        gradient = np.concatenate([gate.gradient, core.gradient[first:]])
        if core.information is None:
            return Evaluation(core.value, core.mass, gradient)
        complete, observed, cross = gate.matrices()
        information = np.zeros((model.size, model.size))
        information[:size, :size] = complete
        information[size:, size:] = core.information[first:, first:]
        if core.curvature is None:
            return Evaluation(core.value, core.mass, gradient, information)
        curvature = np.zeros((model.size, model.size))
        curvature[:size, :size] = observed - complete + gate.bent
        curvature[size:, size:] = core.curvature[first:, first:]
        curvature[:size, size:], curvature[size:, :size] = cross, cross.T
        return Evaluation(core.value, core.mass, gradient, information, curvature)


class GateSums:
    """What the gate's parameters add at one theta, block after block.

    The features of all free rows stand beside one another, J columns, and are added up in their places of the
    gate's vector at the end.
    """

    def __init__(self, model: Model, theta: np.ndarray, order: Order, weighted: bool):
        self.model, self.order, self.weighted = model, order, weighted
        self._vector = model.gate_coefficients(theta), model.gate_shared(theta)
        size = model.gate_size
        self.gradient, self.bent = np.zeros(size), np.zeros((size, size))
        self._places: list[np.ndarray] = []  # of each row's columns in the gate's vector
        self._spans: list[slice] = []  # and among all
        self._pairs: list[np.ndarray] = []  # by pi (J, J), by r (J, J), with the experts (J, E)

    def add(self, block: Block, pi: np.ndarray, r: np.ndarray, scores: np.ndarray | None) -> None:
        """Add a block of u units: weights pi and responsibilities r (u, k), and the weighted scores
        w r_e s_e (b, k (m + nu)) of its rows' predictors, where a Hessian is wanted."""
        model, n_gate = self.model, self.model.n_gate
        d = ((r - r.sum(axis=1, keepdims=True) * pi) * block.w[:, None])[:, :n_gate]
        features = model.gate.features(*self._vector, block.z)
        for a, (feature, at) in enumerate(features):
            self.gradient[at] += d[:, a] @ feature
        if self.order < Order.INFORMATION or not features:
            return
        if not self._places:
            every = np.arange(model.gate_size)
            self._places = [every[at] for _, at in features]
            ends = np.cumsum([0, *map(len, self._places)])
            self._spans = [slice(int(a), int(b)) for a, b in pairwise(ends)]
            J, E = int(ends[-1]), model.size - model.gate_size
            self._pairs = [np.zeros((J, J)), np.zeros((J, J)), np.zeros((J, E))]
        self._pairs[0] += self._of_gate(features, pi, block.w)[0]
        if scores is None:
            return
        pairs, of_r = self._of_gate(features, r, block.w)
        S = self._of_experts(block, scores)
        self._pairs[1] += pairs
        self._pairs[2] -= of_r.T @ S
        for e, (feature, _) in enumerate(features):
            for own in self._own(e):
                self._pairs[2][self._spans[e], own] += feature.T @ S[:, own]
        bent = model.gate.score_curvature(*self._vector, block.z, d)
        if bent is not None:
            self.bent += bent

    def matrices(self) -> tuple[np.ndarray, ...]:
        """sum w ([a=b] pi_a - pi_a pi_b) f_a f_b' and the same of r, (G, G), and
        sum w ([a=e] - r_a) f_a (r_e S_e)', (G, E), G entries of the gate's vector, E of the experts."""
        size = self.model.gate_size
        if not self._places:
            return np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, self.model.size - size))
        place = np.concatenate(self._places)
        to = np.zeros((size, len(place)))
        to[place, np.arange(len(place))] = 1.0
        of_pi, of_r, cross = self._pairs
        return to @ of_pi @ to.T, to @ of_r @ to.T, to @ cross

    def _of_gate(
        self, features: list[Feature], p: np.ndarray, w: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """sum w ([a=b] p_a - p_a p_b) f_a f_b', (J, J), and [p_a f_a], (u, J), of p (u, k)."""
        of_p = self._beside(features, p)
        weighted = self._beside(features, p * w[:, None]) if self.weighted else of_p
        out = -(of_p.T @ weighted)
        for (feature, _), at in zip(features, self._spans, strict=True):
            out[at, at] += feature.T @ weighted[:, at]
        return out, of_p

    def _beside(self, features: list[Feature], p: np.ndarray) -> np.ndarray:
        """[p_a f_a], (u, J)."""
        out = np.empty((len(p), self._spans[-1].stop))
        for a, ((feature, _), at) in enumerate(zip(features, self._spans, strict=True)):
            np.multiply(feature, p[:, a, None], out=out[:, at])
        return out

    def _of_experts(self, block: Block, scores: np.ndarray) -> np.ndarray:
        """w r_e S_e of all experts, (u, E)."""
        m, p, k = self.model.m, self.model.p, self.model.k
        s = scores.reshape(len(scores), k, -1)
        out = np.empty((len(s), self.model.size - self.model.gate_size))
        of_predictors = out[:, : k * m * p].reshape(len(s), k, m, p)
        np.multiply(s[:, :, :m, None], block.x[:, None, None, :], out=of_predictors)
        out[:, k * m * p :] = s[:, :, m:].reshape(len(s), -1)
        return block.sum(out)

    def _own(self, e: int) -> tuple[slice, slice]:
        """Where expert e's predictors and nuisances are among those of all experts."""
        mp, nu = self.model.m * self.model.p, self.model.family.nuisances
        last = self.model.k * mp
        return slice(e * mp, (e + 1) * mp), slice(last + e * nu, last + (e + 1) * nu)

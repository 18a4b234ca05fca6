"""The compiled engine: fused, vectorised, threaded sums over rows that it never copies."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np

from .. import _core
from ..errors import DataError
from ..experts import Family, known_as
from ..model import Model
from ..rows import Rows
from .base import Evaluation, Order, Rowwise, base_of, log_base_sum

GATES = ("softmax", "top-k", "relaxed-top-k")
CODES = {"multinomial": 0, "gaussian": 1, "poisson": 2}
OUTSIDE = 3  # terms come from NumPy
ISA_VARIABLE = "MOESTRO_ISA"


def is_compiled(model: Model) -> bool:
    """Whether the core makes the sums over rows of this gate; the terms of the family may come from NumPy."""
    return model.gate.name in GATES


def supports(model: Model) -> bool:
    """Whether the compiled core has this gate and family."""
    return is_compiled(model) and code_of(model.family) != OUTSIDE


def code_of(family: Family) -> int:
    """What the core calls a family."""
    name = known_as(family)
    return CODES.get(name, OUTSIDE) if isinstance(name, str) else OUTSIDE


def instruction_set(isa: str | None) -> str:
    """The one that was asked for, here or in the environment; "" is the best one."""
    return os.environ.get(ISA_VARIABLE, "") if isa is None else isa


def problem_of(model: Model, rows: Rows, code: int) -> _core.Problem:
    """The core's view of a model on rows, which it does not copy; `code` is what it calls the family."""
    xs, zs = rows.x_scaling, rows.z_scaling
    return _core.Problem(
        rows.x,
        np.ascontiguousarray(xs.center),
        np.ascontiguousarray(xs.inv_scale),
        rows.z,
        np.ascontiguousarray(zs.center),
        np.ascontiguousarray(zs.inv_scale),
        np.ascontiguousarray(rows.y),
        None if rows.w is None else np.ascontiguousarray(rows.w),
        rows.y_center,
        rows.y_scale,
        code,
        model.k,
        model.m,
        model.family.nuisances,
        getattr(model.gate, "top_k", 0),
        getattr(model.gate, "rank_on", "") == "logit",
        getattr(model.gate, "tau", 0.0),
        None if rows.groups is None else rows.groups.offsets,
        None if rows.scaled_known is None else np.ascontiguousarray(rows.scaled_known[:, 0]),
    )


class NativeEngine:
    """C++ engine over `rows` on `threads` threads. Results do not depend on the number of threads.

    The environment variable ``MOESTRO_ISA`` (baseline, avx2, avx512) forces an instruction set.
    """

    def __init__(self, model: Model, rows: Rows, threads: int = 1, isa: str | None = None):
        if not supports(model):
            raise DataError(
                f"the native engine has no {model.gate.name} gate with {model.family.name} experts: "
                "use engine='array'"
            )
        self.model, self.rows, self.threads = model, rows, threads
        self.isa = instruction_set(isa)
        self._problem = problem_of(model, rows, code_of(model.family))
        self._offset = log_base_sum(model, rows)

    def evaluate(
        self, theta: np.ndarray, order: Order, responsibilities: np.ndarray | None = None
    ) -> Evaluation:
        value, mass, gradient, information, curvature = self._problem.sums(
            theta, int(order), self.threads, self.isa, responsibilities
        )
        return Evaluation(value + self._offset, mass, gradient, information, curvature)

    def evaluate_all(
        self, thetas: np.ndarray, order: Order, responsibilities: np.ndarray | None = None, threads: int = 1
    ) -> Evaluation:
        thetas = np.ascontiguousarray(thetas)
        value: Any  # (S,)
        value, mass, gradient, information, curvature = self._problem.sums_of(
            thetas, int(order), threads, self.isa, responsibilities
        )
        return Evaluation(value + self._offset, mass, gradient, information, curvature)

    def newton(
        self,
        points: np.ndarray,
        owner: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        threads: int,
        **region: Any,
    ) -> tuple[np.ndarray, ...]:
        """Newton's method from each of `points` (S, size), one thread a point: ends, values (S,), masses (S,
        k), steps and convergence (S,).

        theta is points[:, owner], 0 where owner is -1; `region` is what `solvers.together` calls its trust
        region.
        """
        phi, value, mass, iterations, converged = self._problem.newton(
            np.ascontiguousarray(points), np.ascontiguousarray(owner, dtype=np.intc), lower, upper,
            _core.Region(offset=self._offset, weight_sum=self.rows.weight_sum, **region), threads, self.isa,
        )  # fmt: skip
        return phi, value, mass, iterations.astype(int), converged.astype(bool)

    @cached_property
    def _base(self) -> np.ndarray:
        return base_of(self.model, self.rows)

    def rowwise(self, theta: np.ndarray, *, scores: bool = False) -> Rowwise:
        density, resp, score = self._problem.rowwise(theta, scores, self.threads, self.isa)
        density += self._base
        return Rowwise(density, resp, score)

"""A design, its units and a fit: everything that prediction needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ..design import Design, Units, split_known
from ..design.holes import Dropped
from ..distribution import PredictiveDistribution
from ..errors import quiet
from ..inference import FORMULAS, Covariance, Estimates, Request, covariance, mixture_estimates, refitted
from ..inference.delta import STEP, by_directions, errors_of, refuse_unknown, root_of
from ..inference.influence import influence
from ..measure import MixingMeasure, measure_of
from ..model import ActiveModel
from ..problems import MixtureFit
from ..reading import read_json
from ..rows import Rows
from ..selection import CRITERIA, Dendrogram
from .file import from_dict, to_dict, write_file
from .outputs import finite, no_nan
from .sample import Sample

BLOCK = 16384


@dataclass(frozen=True)
class FittedModel:
    """A fitted mixture of experts that predicts from the user's data.

    Attributes
    ----------
    design : Design
    units : Units
    fit : MixtureFit
    covariances : mapping of str to Covariance
        Of the estimate, by their kind, where they were computed before: what a file keeps of the training
        data.
    sample : Sample or None
        The rows of the fit.
    dropped : Dropped or None
        Rows left out for missing values; None where these are refused.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group of rows.
    """

    design: Design
    units: Units
    fit: MixtureFit
    covariances: Mapping[str, Covariance] = field(default_factory=dict)
    sample: Sample | None = None
    dropped: Dropped | None = None
    gate_at: str = "constant"

    single: ClassVar[bool] = True  # the response is one column
    takes_holes: ClassVar[bool] = False  # there is no law of the columns

    @cached_property
    def measure(self) -> MixingMeasure:
        """Gate and experts in the user's units."""
        return measure_of(self.fit.model, self.units, self.fit.theta)

    def in_user_units(self, tree: Dendrogram) -> Dendrogram:
        """A dendrogram with mixing measures for its stages."""
        stages = {k: measure_of(a.model, self.units, a.theta) for k, a in tree.stages.items()}
        return replace(tree, stages=stages)

    @property
    def responses(self) -> tuple[str, ...]:
        """The name of the response."""
        return (self.units.response,)

    @property
    def classes(self) -> tuple:
        """Labels of the classes; none for numbers."""
        return self.units.classes

    def estimate_covariance(
        self, rows: Rows, request: Request, engine: str = "auto", threads: int = 1
    ) -> Covariance:
        """Covariance of the estimate on the rows of the fit."""
        by = covariance if request.kind in FORMULAS else refitted
        with quiet():
            return by(self.fit, rows, request, engine, threads)

    def influence(self, rows: Rows, found: Covariance, engine: str = "auto", threads: int = 1) -> np.ndarray:
        """Change (units, U) of each parameter without each unit, by one step; `found` is the observed
        covariance."""
        return influence(self.fit, self.units, rows, found, engine, threads)

    def estimates(self, covariance: Covariance | None = None) -> Estimates:
        """Names, numbers, covariance and notes in the user's units."""
        return mixture_estimates(self.fit, self.units, covariance)

    def criterion(self, name: str) -> float:
        """AIC, BIC or ICL of the fit."""
        return CRITERIA[name](self.fit)

    # Predictions: x (n, d), with an offset (n, d + 1), with trials (n, d + 2), and z (n, e) or None as
    # `design.matrices` gives them.

    def gate_columns(self, x: Any, z: Any) -> Any:
        """Columns of the gate, (n, e)."""
        return self._split(x)[0] if z is None else z

    def _split(self, x: Any) -> tuple[Any, np.ndarray | None]:
        """The experts' columns, and the offset and trials that stand after them."""
        return split_known(x, x.shape[1] - len(self.design.expert_names))

    def log_gate(self, x: Any, z: Any) -> np.ndarray:
        """log g_i(x), shape (n, k)."""
        source = self.gate_columns(x, z)
        part = self._on(source)
        out = np.empty((source.shape[0], self.fit.model.k))
        with quiet():
            for at, block in part.blocks(source, "gate"):
                out[at] = part.model.log_gate(part.theta, part.z_scaling.apply(block))
        return finite(out, "gate")

    def _on(self, source: Any) -> ActiveModel:
        """The model, on all columns; of a sparse matrix on those that carry slopes, so that no other is made
        dense."""
        return self._with_slopes if sp.issparse(source) else self._all

    @cached_property
    def _all(self) -> ActiveModel:
        return ActiveModel(
            self.fit.model, self.fit.theta, self.units.x_scaling, self.units.z_scaling, None, None
        )

    @cached_property
    def _with_slopes(self) -> ActiveModel:
        return self._all.with_slopes()

    def eta(self, x: Any) -> np.ndarray:
        """Linear predictors and nuisances of the experts, scaled response, shape (n, k, m)."""
        x, known = self._split(x)
        if known is not None:
            known = np.column_stack([known[:, :1] / self.units.y_scale, known[:, 1:]])
        model, part = self.fit.model, self._on(x)
        trials = 0 if known is None else known.shape[1] - 1
        width = model.m + model.family.nuisances + trials + bool(model.family.members)
        out = np.empty((x.shape[0], model.k, width))
        with quiet():
            for at, block in part.blocks(x, "experts"):
                own = None if known is None else known[at]
                out[at] = part.model.predictors(part.theta, part.x_scaling.apply(block), own)
        return finite(out, "prediction")

    def distribution(self, x: Any, z: Any, log_weights: np.ndarray | None = None) -> PredictiveDistribution:
        """The predictive distribution of each row, by the gate's weights or by these (n, k)."""
        log_weights = self.log_gate(x, z) if log_weights is None else log_weights
        return PredictiveDistribution(
            self.fit.model.family, log_weights, self.eta(x), self.units.y_center, self.units.y_scale
        )

    def marginals(
        self, x: Any, z: Any, log_weights: np.ndarray | None = None
    ) -> dict[str, PredictiveDistribution]:
        """The predictive distribution of each row, by the name of the response."""
        return {self.units.response: self.distribution(x, z, log_weights)}

    def mean(self, x: Any, z: Any, log_weights: np.ndarray | None = None) -> np.ndarray:
        """E[Y | x] (n,), or class probabilities (n, K), by the gate's weights or by these (n, k)."""
        model = self.fit.model
        out = []
        for start in range(0, max(x.shape[0], 1), BLOCK):
            at = slice(start, start + BLOCK)
            gate = (
                self.log_gate(x[at], None if z is None else z[at]) if log_weights is None else log_weights[at]
            )
            g = np.exp(gate)
            mean = model.family.mean(self.eta(x[at]))
            mixed = np.einsum("nk,nkc->nc", g, mean) if mean.ndim == 3 else np.einsum("nk,nk->n", g, mean)
            with quiet():
                out.append(mixed if mean.ndim == 3 else self.units.y_center + self.units.y_scale * mixed)
        return finite(np.concatenate(out), "prediction")

    def expert_means(self, x: Any) -> np.ndarray:
        """E[Y | x, expert] (n, k, 1), or class probabilities (n, k, K)."""
        mean = self.fit.model.family.mean(self.eta(x))
        return mean if mean.ndim == 3 else (self.units.y_center + self.units.y_scale * mean)[:, :, None]

    def uncertainty(
        self, function: Callable[[FittedModel], np.ndarray], covariance: Covariance
    ) -> tuple[np.ndarray, np.ndarray]:
        """A function of the model, m numbers, and R (m, r) with R R' their covariance."""
        if covariance.draws is not None:
            drawn = np.array([function(self._at(theta)) for theta in covariance.draws])
            return function(self), covariance.deviations(drawn)
        found, estimates = function(self), self.estimates(covariance)
        lost = np.zeros(self.fit.model.size, dtype=bool)
        lost[self.fit.model.present] = [not has for has in estimates.known_or_held]
        moving = self._moving(function, found, lost)[self.fit.model.present]
        refuse_unknown(estimates.of(moving))
        return self._by_delta(function, found, covariance)

    def _moving(
        self, function: Callable[[FittedModel], np.ndarray], found: np.ndarray, lost: np.ndarray
    ) -> np.ndarray:
        """Which of the parameters `lost`, boolean (P,), the function, `found` at the estimate, depends on:
        where a dispersion has no standard error, a mean still has one."""
        out, steps = np.zeros(len(lost), dtype=bool), STEP * np.eye(len(lost))
        for j in np.flatnonzero(lost):
            out[j] = not np.array_equal(function(self._at(self.fit.theta + steps[j])), found)
        return out

    def _by_delta(
        self, function: Callable[[FittedModel], np.ndarray], found: np.ndarray, covariance: Covariance
    ) -> tuple[np.ndarray, np.ndarray]:
        theta, root = self.fit.theta, STEP * root_of(covariance.matrix)
        pairs = ((self._at(theta + step), self._at(theta - step)) for step in root.T)
        return found, by_directions(function, pairs, len(found))

    def shares(
        self, x: Any, z: Any, w: np.ndarray, covariance: Covariance | None
    ) -> tuple[np.ndarray, list[float | None]]:
        """The gate's average weights (k,) on rows, and their standard errors."""

        def average(model: FittedModel) -> np.ndarray:
            return w @ np.exp(model.log_gate(x, z)) / w.sum()

        found = average(self)
        if covariance is None:
            return found, [None] * self.fit.k
        if covariance.draws is not None:
            return found, errors_of(self.uncertainty(average, covariance)[1]).tolist()
        # The gate's parameters alone count, thin experts or not.
        if self._moving(average, found, self.fit.coordinates.free & ~covariance.identified).any():
            return found, [None] * self.fit.k
        return found, errors_of(self._by_delta(average, found, covariance)[1]).tolist()

    def _at(self, theta: np.ndarray) -> FittedModel:
        return replace(self, fit=replace(self.fit, theta=theta), covariances={})

    def log_experts(self, x: Any, y: np.ndarray) -> np.ndarray:
        """log f_i(y | x) in the user's units, shape (n, k)."""
        family, eta = self.fit.model.family, self.eta(x)
        with quiet():
            u = (y - self.units.y_center) / self.units.y_scale
            base = np.asarray(family.log_base(u) - np.log(self.units.y_scale)).reshape(-1, 1)
            return no_nan(family.log_density(eta, u[:, None]) + base, "density")

    def log_joint(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        """log g_i(x) f_i(y | x) in the user's units, shape (n, k)."""
        return no_nan(self.log_gate(x, z) + self.log_experts(x, y), "density")

    def log_density(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,)."""
        return np.logaddexp.reduce(self.log_joint(x, z, y), axis=1)

    # File

    def to_dict(self) -> dict[str, Any]:
        """JSON description."""
        return to_dict(
            self.design, self.units, self.fit, self.covariances, self.sample, self.dropped, self.gate_at
        )

    @classmethod
    def from_dict(cls, data: Any) -> FittedModel:
        """Inverse of `to_dict`."""
        return cls(*from_dict(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON, whole or not at all."""
        write_file(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FittedModel:
        """Read a model that `save` wrote, or an estimator's `save`. Nothing in the file is executed."""
        return read_json(path, cls.from_dict)

"""A design, its units and a fit: everything that prediction needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ..design import Design, Units
from ..distribution import PredictiveDistribution
from ..inference import Covariance, bootstrap, covariance
from ..measure import MixingMeasure, measure_of
from ..model import ActiveModel
from ..problems import MixtureFit
from ..reading import read_json
from ..rows import Rows
from ..selection import CRITERIA, Dendrogram
from .file import from_dict, to_dict, write_file
from .outputs import finite, no_nan, quiet

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
    """

    design: Design
    units: Units
    fit: MixtureFit
    covariances: Mapping[str, Covariance] = field(default_factory=dict)

    single: ClassVar[bool] = True  # the response is one column

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
        self,
        rows: Rows,
        kind: str,
        engine: str = "auto",
        threads: int = 1,
        n_bootstrap: int = 100,
        seed: int | None = None,
    ) -> Covariance:
        """Covariance of the estimate on the rows of the fit."""
        if kind == "bootstrap":
            return bootstrap(self.fit, rows, n_bootstrap, seed, engine, threads)
        return covariance(self.fit, rows, kind, engine, threads)

    def criterion(self, name: str) -> float:
        """AIC, BIC or ICL of the fit."""
        return CRITERIA[name](self.fit)

    # Predictions: x (n, d) and z (n, e) or None as `design.matrices` gives them.

    def log_gate(self, x: Any, z: Any) -> np.ndarray:
        """log g_i(x), shape (n, k)."""
        source = x if z is None else z
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
        model, part = self.fit.model, self._on(x)
        out = np.empty((x.shape[0], model.k, model.m + model.family.nuisances))
        with quiet():
            for at, block in part.blocks(x, "experts"):
                out[at] = part.model.predictors(part.theta, part.x_scaling.apply(block))
        return finite(out, "prediction")

    def distribution(self, x: Any, z: Any) -> PredictiveDistribution:
        """The predictive distribution of each row."""
        return PredictiveDistribution(
            self.fit.model.family, self.log_gate(x, z), self.eta(x), self.units.y_center, self.units.y_scale
        )

    def marginals(self, x: Any, z: Any) -> dict[str, PredictiveDistribution]:
        """The predictive distribution of each row, by the name of the response."""
        return {self.units.response: self.distribution(x, z)}

    def mean(self, x: Any, z: Any) -> np.ndarray:
        """E[Y | x] (n,), or class probabilities (n, K)."""
        model = self.fit.model
        out = []
        source = x if z is None else z
        for start in range(0, max(x.shape[0], 1), BLOCK):
            at = slice(start, start + BLOCK)
            g = np.exp(self.log_gate(source[at], None))
            mean = model.family.mean(self.eta(x[at]))
            mixed = np.einsum("nk,nkc->nc", g, mean) if mean.ndim == 3 else np.einsum("nk,nk->n", g, mean)
            with quiet():
                out.append(mixed if mean.ndim == 3 else self.units.y_center + self.units.y_scale * mixed)
        return finite(np.concatenate(out), "prediction")

    def log_joint(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        """log g_i(x) f_i(y | x) in the user's units, shape (n, k)."""
        family, eta = self.fit.model.family, self.eta(x)
        with quiet():
            u = (y - self.units.y_center) / self.units.y_scale
            base = np.asarray(family.log_base(u) - np.log(self.units.y_scale)).reshape(-1, 1)
            return no_nan(self.log_gate(x, z) + family.log_density(eta, u[:, None]) + base, "density")

    def log_density(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,)."""
        return np.logaddexp.reduce(self.log_joint(x, z, y), axis=1)

    # File

    def to_dict(self) -> dict[str, Any]:
        """JSON description."""
        return to_dict(self.design, self.units, self.fit, self.covariances)

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

"""A design, its units and a fit: everything that prediction needs, and the file it is kept in."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from .design import Design, Scaling, Units, design_from_dict, fit_scaling
from .design.files import write_text
from .distribution import PredictiveDistribution
from .errors import DataError, FileError
from .experts import Family, make_family
from .gates import Gate, SoftmaxGate, make_gate
from .measure import MixingMeasure, measure_of
from .model import Live, Model
from .rows import MERGE_LIMIT, Rows, merge_rows
from .search import Evidence, Fit
from .selection import CRITERIA, Dendrogram
from .solvers import Coordinates, Status, StatusKind
from .tables import Table

FORMAT = "moestro.model/1"
BLOCK = 16384


def prepare(
    design: Design,
    x: np.ndarray,
    z: np.ndarray | None,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Family,
    response: str = "y",
    classes: tuple = (),
    gate: Gate | None = None,
) -> tuple[Rows, Units]:
    """Rows with their scaling, and the units that turn results back.

    Parameters
    ----------
    x : ndarray of shape (n, d)
    z : ndarray of shape (n, e) or None
    y : ndarray of shape (n,)
        Numbers, or class indices as floats.
    w : ndarray of shape (n,) or None
    gate : Gate, optional
        Softmax by default; it says how its columns may be scaled.
    """
    scaling = (SoftmaxGate() if gate is None else gate).scaling
    if scaling != "affine" and z is None:
        z = x  # the same columns, scaled differently
    ax, az, ay, aw = x, z, y, w
    if len(y) <= MERGE_LIMIT and (
        w is None or w.any()
    ):  # so that rounding cannot tell a weight from a repeated row
        index, aw = merge_rows(x, z, y, w)
        ax, az, ay = x[index], None if z is None else z[index], y[index]
    x_scaling = fit_scaling(ax, design.expert_names, aw)
    z_scaling = x_scaling if az is None else fit_scaling(az, design.gate_names, aw).limited(scaling)
    center, scale = 0.0, 1.0
    if family.scales_response:
        used = y if w is None else y[w > 0]
        family.check_response(used)
        with np.errstate(over="ignore"):
            spread = float(np.max(used) - np.min(used))
        if not np.isfinite(spread):
            raise DataError("the response is too large for double precision: rescale it")
        y_scaling = fit_scaling(ay[:, None], (response,), aw)
        center, scale = float(y_scaling.center[0]), float(y_scaling.scale[0])
    units = Units(
        x_scaling, z_scaling, design.expert_names, design.gate_names, center, scale, response, classes
    )
    return Rows(x, z, y, w, x_scaling, z_scaling, center, scale), units


@dataclass(frozen=True)
class FittedModel:
    """A fitted mixture of experts that predicts from the user's data.

    Attributes
    ----------
    design : Design
    units : Units
    fit : Fit
    """

    design: Design
    units: Units
    fit: Fit

    @cached_property
    def measure(self) -> MixingMeasure:
        """Gate and experts in the user's units."""
        return measure_of(self.fit.model, self.units, self.fit.theta)

    def in_user_units(self, tree: Dendrogram) -> Dendrogram:
        """A dendrogram with mixing measures for its stages."""
        stages = {k: measure_of(a.model, self.units, a.theta) for k, a in tree.stages.items()}
        return replace(tree, stages=stages)

    def criterion(self, name: str) -> float:
        """AIC, BIC or ICL of the fit."""
        return CRITERIA[name](self.fit)

    # Predictions: x (n, d) and z (n, e) or None as `design.matrices` gives them.

    def log_gate(self, x: Any, z: Any) -> np.ndarray:
        """log g_i(x), shape (n, k)."""
        source = x if z is None else z
        part = self._on(source)
        out = np.empty((source.shape[0], self.fit.model.k))
        for at, block in part.blocks(source, "gate"):
            out[at] = part.model.log_gate(part.theta, part.z_scaling.apply(block))
        return out

    def _on(self, source: Any) -> Live:
        """The model, on all columns; of a sparse matrix on those that carry slopes, so that no other is made dense."""
        return self._live if sp.issparse(source) else self._all

    @cached_property
    def _all(self) -> Live:
        return Live(self.fit.model, self.fit.theta, self.units.x_scaling, self.units.z_scaling, None, None)

    @cached_property
    def _live(self) -> Live:
        return self._all.with_slopes()

    def eta(self, x: Any) -> np.ndarray:
        """Linear predictors and nuisances of the experts, scaled response, shape (n, k, m)."""
        model, part = self.fit.model, self._on(x)
        out = np.empty((x.shape[0], model.k, model.m + model.family.nuisances))
        for at, block in part.blocks(x, "experts"):
            out[at] = part.model.predictors(part.theta, part.x_scaling.apply(block))
        return out

    def distribution(self, x: Any, z: Any) -> PredictiveDistribution:
        """The predictive distribution of each row."""
        return PredictiveDistribution(
            self.fit.model.family, self.log_gate(x, z), self.eta(x), self.units.y_center, self.units.y_scale
        )

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
            out.append(mixed if mean.ndim == 3 else self.units.y_center + self.units.y_scale * mixed)
        return np.concatenate(out)

    def log_joint(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        """log g_i(x) f_i(y | x) in the user's units, shape (n, k)."""
        u = (y - self.units.y_center) / self.units.y_scale
        family = self.fit.model.family
        base = np.asarray(family.log_base(u) - np.log(self.units.y_scale))
        return self.log_gate(x, z) + family.log_density(self.eta(x), u[:, None]) + base.reshape(-1, 1)

    # File

    def to_dict(self) -> dict[str, Any]:
        """JSON description. Parameters are those of the scaled columns; the measure is derived from them."""
        fit, units = self.fit, self.units
        model = fit.model
        return {
            "format": FORMAT,
            "design": self.design.to_dict(),
            "units": {
                "x": _scaling_to_dict(units.x_scaling),
                "z": _scaling_to_dict(units.z_scaling),
                "y_center": units.y_center,
                "y_scale": units.y_scale,
                "response": units.response,
                "classes": [c.item() if isinstance(c, np.generic) else c for c in units.classes],
            },
            "model": {
                "gate": model.gate.name,
                "gate_options": model.gate.options(),
                "family": model.family.name,
                "shared_variance": model.family.tied_nuisances,
                "k": model.k,
            },
            "theta": fit.theta.tolist(),
            "fit": {
                "log_likelihood": fit.log_likelihood,
                "status": {
                    "kind": fit.status.kind.value,
                    "sentence": fit.status.sentence,
                    "experts": list(fit.status.experts),
                },
                "n_iter": fit.n_iter,
                "n_parameters": fit.n_parameters,
                "weight_sum": fit.weight_sum,
                "mass": fit.mass.tolist(),
                "entropy": fit.entropy,
                "starts": {k: _jsonable(v) for k, v in fit.starts.columns.items()},
                "history": {k: _jsonable(v) for k, v in fit.history.columns.items()},
                "evidence": None if fit.evidence is None else fit.evidence.to_dict(),
            },
            "measure": self.measure.to_dict(),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON, whole or not at all."""
        write_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FittedModel:
        """Read a model that `save` wrote. Nothing in the file is executed."""
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        except OSError as error:
            raise FileError(f"{os.fspath(path)}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise FileError(f"{os.fspath(path)}: is not a complete JSON file ({error})") from error
        try:
            return cls.from_dict(data)
        except DataError as error:
            raise FileError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def from_dict(cls, data: Any) -> FittedModel:
        """Inverse of `to_dict`."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f"not a moestro model: expected format '{FORMAT}'")
        try:
            return cls._from_dict(data)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"the model file is incomplete or damaged: {error!r}") from error

    @classmethod
    def _from_dict(cls, data: dict[str, Any]) -> FittedModel:
        design = design_from_dict(data["design"])
        u, m, f = data["units"], data["model"], data["fit"]
        units = Units(
            _scaling_from_dict(u["x"], len(design.expert_names)),
            _scaling_from_dict(u["z"], len(design.gate_names)),
            design.expert_names,
            design.gate_names,
            float(u["y_center"]),
            float(u["y_scale"]),
            str(u["response"]),
            tuple(u["classes"]),
        )
        family = make_family(
            m["family"], classes=len(units.classes), shared_variance=bool(m["shared_variance"])
        )
        gate = make_gate(m["gate"], **m.get("gate_options", {}))
        model = Model(gate, family, int(m["k"]), len(design.gate_names) + 1, len(design.expert_names) + 1)
        theta = np.array(data["theta"], dtype=float)
        if theta.shape != (model.size,) or not np.isfinite(theta).all():
            raise DataError(
                f"the model file has {theta.size} parameters, expected {model.size} finite numbers"
            )
        status = Status(
            StatusKind(f["status"]["kind"]), f["status"]["sentence"], tuple(f["status"]["experts"])
        )
        fit = Fit(
            model=model,
            coordinates=Coordinates.of(model, units.x_scaling, units.z_scaling),
            theta=theta,
            log_likelihood=float(f["log_likelihood"]),
            status=status,
            n_iter=int(f["n_iter"]),
            n_parameters=int(f["n_parameters"]),
            weight_sum=float(f["weight_sum"]),
            mass=np.array(f["mass"], dtype=float),
            entropy=float(f["entropy"]),
            starts=Table(f["starts"]),
            history=Table(f["history"]),
            evidence=None if f.get("evidence") is None else Evidence.from_dict(f["evidence"]),
        )
        return cls(design, units, fit)


def _scaling_to_dict(scaling: Any) -> dict[str, Any]:
    return {
        "center": scaling.center.tolist(),
        "inv_scale": scaling.inv_scale.tolist(),
        "aliased": [list(a) for a in scaling.aliased],
    }


def _scaling_from_dict(data: dict[str, Any], columns: int) -> Any:
    center, inv_scale = np.array(data["center"], dtype=float), np.array(data["inv_scale"], dtype=float)
    if center.shape != (columns,) or inv_scale.shape != (columns,):
        raise DataError(f"the model file scales {center.size} columns, expected {columns}")
    return Scaling(center, inv_scale, tuple((int(j), str(why)) for j, why in data["aliased"]))


def _jsonable(values: Any) -> list[Any]:
    return [v.item() if isinstance(v, np.generic) else v for v in values]

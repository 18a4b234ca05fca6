"""The file of a fitted model: its parts as JSON data, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from ..design import Design, Scaling, Units, design_from_dict
from ..design.files import read_json
from ..errors import DataError, FileError
from ..experts import known_as, make_family
from ..gates import GATES, make_gate
from ..inference import Covariance
from ..measure import measure_of
from ..model import Model
from ..problems import MixtureFit
from ..solvers import Coordinates
from ..writing import write
from .parts import agrees, fit_from_dict, fit_to_dict, from_triangle, triangle

FORMAT = "moestro.model/2"
READABLE = ("moestro.model/1", FORMAT)  # the first has neither covariances nor the estimator's words

Parts = tuple[Design, Units, MixtureFit, dict[str, Covariance]]
T = TypeVar("T")


def read_file(path: str | os.PathLike[str], parse: Callable[[Any], T]) -> T:
    """What `parse` makes of a JSON file. Nothing in the file is executed."""
    data = read_json(path)
    try:
        return parse(data)
    except DataError as error:
        raise FileError(f"{os.fspath(path)}: {error}") from error
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise FileError(f"{os.fspath(path)}: the model file is incomplete or damaged: {error!r}") from error


def write_file(path: str | os.PathLike[str], data: Any) -> None:
    """Write JSON, whole or not at all."""
    write(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def to_dict(
    design: Design, units: Units, fit: MixtureFit, covariances: Mapping[str, Covariance]
) -> dict[str, Any]:
    """JSON description. Parameters are those of the scaled columns; the measure is derived from them."""
    model = fit.model
    if type(model.gate) is not GATES.get(model.gate.name):
        raise DataError("a gate of one's own cannot be saved as JSON: pickle the estimator instead")
    if not isinstance(known_as(model.family), str):
        raise DataError("a family of one's own cannot be saved as JSON: pickle the estimator instead")
    return {
        "format": FORMAT,
        "design": design.to_dict(),
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
        "fit": fit_to_dict(fit),
        "group_sizes": None if fit.group_sizes is None else list(fit.group_sizes),
        "covariances": [_covariance_to_dict(c) for c in covariances.values()],
        "measure": measure_of(model, units, fit.theta).to_dict(),
    }


def from_dict(data: Any) -> Parts:
    """Inverse of `to_dict`; older formats are read too."""
    if not isinstance(data, dict) or data.get("format") not in READABLE:
        raise DataError(f"not a moestro model: expected format '{FORMAT}'")
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
    family = make_family(m["family"], classes=len(units.classes), shared_variance=bool(m["shared_variance"]))
    gate = make_gate(m["gate"], **m.get("gate_options", {}))
    model = Model(gate, family, int(m["k"]), len(design.gate_names) + 1, len(design.expert_names) + 1)
    theta = np.array(data["theta"], dtype=float)
    if theta.shape != (model.size,) or not np.isfinite(theta).all():
        raise DataError(f"the model file has {theta.size} parameters, expected {model.size} finite numbers")
    fit = MixtureFit(
        model=model,
        coordinates=Coordinates.of(model, units.x_scaling, units.z_scaling),
        theta=theta,
        n_parameters=int(f["n_parameters"]),
        group_sizes=_group_sizes(data.get("group_sizes")),
        **fit_from_dict(f, model.k),
    )
    known = [_covariance_from_dict(c, model.size) for c in data.get("covariances", [])]
    return design, units, fit, {c.kind: c for c in known}


def _group_sizes(data: Any) -> tuple[int, int, int] | None:
    if data is None:
        return None
    count, least, most = data
    return int(count), int(least), int(most)


def _scaling_to_dict(scaling: Scaling) -> dict[str, Any]:
    return {
        "center": scaling.center.tolist(),
        "inv_scale": scaling.inv_scale.tolist(),
        "aliased": [list(a) for a in scaling.aliased],
    }


def _scaling_from_dict(data: dict[str, Any], columns: int) -> Scaling:
    center, inv_scale = np.array(data["center"], dtype=float), np.array(data["inv_scale"], dtype=float)
    if center.shape != (columns,) or inv_scale.shape != (columns,):
        raise DataError(f"the model file scales {center.size} columns, expected {columns}")
    return Scaling(center, inv_scale, tuple((int(j), str(why)) for j, why in data["aliased"]))


def _covariance_to_dict(covariance: Covariance) -> dict[str, Any]:
    return {
        "kind": covariance.kind,
        "identified": covariance.identified.tolist(),
        "experts": list(covariance.experts),
        "lower": triangle(covariance.matrix),
    }


def _covariance_from_dict(data: dict[str, Any], size: int) -> Covariance:
    identified = np.array(data["identified"], dtype=bool)
    agrees("marks of identified parameters", len(identified), size)
    experts = tuple(int(e) for e in data["experts"])
    return Covariance(from_triangle(data["lower"], size), identified, str(data["kind"]), experts)

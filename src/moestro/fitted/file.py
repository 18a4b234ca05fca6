"""The file of a fitted model: its parts as JSON data, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..constraints import Constraints
from ..design import Design, FormulaDesign, Scaling, Units, design_from_dict
from ..design.groups import GATE_AT
from ..design.holes import Dropped
from ..design.scaling import LARGEST, SMALLEST
from ..errors import DataError, FileError
from ..experts import is_known, known_as, make_family
from ..gates import GATES, Gate, make_gate
from ..inference import KINDS, Covariance
from ..measure import measure_of
from ..model import Model
from ..problems import MixtureFit
from ..reading import check_format, check_size, flag, flags, from_numpy, number, numbers, sentence, whole
from ..solvers import Coordinates
from ..writing import write
from .parts import MOST, fit_from_dict, fit_to_dict, from_triangle, triangle
from .sample import Sample
from .values import decode, labels

FORMAT = "moestro.model/2"
READABLE = ("moestro.model/1", FORMAT)  # the first has neither covariances nor the estimator's words

ROUNDING = 1e-9  # between a parameter and its bound

Parts = tuple[Design, Units, MixtureFit, dict[str, Covariance], Sample | None, Dropped | None, str]


def write_file(path: str | os.PathLike[str], data: Any) -> None:
    """Write JSON, whole or not at all.

    Raises
    ------
    FileError
        Of a model that is larger than what would be read again.
    """
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    try:
        check_size(text.encode())
    except DataError as error:
        raise FileError(
            f"{os.fspath(path)}: the file of this model {error}, and could not be read again: "
            "save it without covariances (cov=()), or pickle the estimator"
        ) from error
    write(path, text)


def to_dict(
    design: Design,
    units: Units,
    fit: MixtureFit,
    covariances: Mapping[str, Covariance],
    sample: Sample | None = None,
    dropped: Dropped | None = None,
    gate_at: str = "constant",
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
            "classes": [from_numpy(c) for c in units.classes],
        },
        "model": {
            "gate": model.gate.name,
            "gate_options": model.gate.options(),
            "family": model.family.name,
            "shared_variance": model.family.tied_nuisances,
            "k": model.k,
            "constraints": model.constraints.to_dict(),
        },
        "theta": fit.theta.tolist(),
        "fit": fit_to_dict(fit),
        "group_sizes": None if fit.group_sizes is None else list(fit.group_sizes),
        "gate_at": gate_at,
        "sample": None if sample is None else sample.to_dict(),
        "dropped": None if dropped is None else dropped.to_dict(),
        "covariances": [_covariance_to_dict(c) for c in covariances.values()],
        "measure": measure_of(model, units, fit.theta).to_dict(),
    }


def from_dict(data: Any) -> Parts:
    """Inverse of `to_dict`; older formats are read too. Whatever does not agree is refused."""
    check_format(data, READABLE, "a moestro model")
    design = design_from_dict(data["design"])
    m, f = data["model"], data["fit"]
    units = _units_from_dict(data["units"], design)
    name, shared = m["family"], flag(m["shared_variance"], "mark of a shared variance")
    if not is_known(name):
        raise DataError(f"unknown family {name!r} in the model file")
    family = make_family(name, classes=len(units.classes), shared_variance=shared)
    if bool(family.labels) != bool(units.classes) or len(units.classes) == 1:
        raise DataError(f"the model file has {len(units.classes)} classes for {name} experts")
    if family.members and len(family.members) != m["k"]:
        raise DataError(
            f"the model file does not have the {len(family.members)} experts that its family names"
        )
    k, q, p = whole(m["k"], "number of experts", 1, MOST), len(design.gate_names), len(design.expert_names)
    family = family.on(units.y_center, units.y_scale)
    constraints = Constraints()
    if "constraints" in m:
        constraints = Constraints.from_dict(m["constraints"], p, q, k, family.predictors)
    model = Model(_gate_from_dict(m), family, k, q + 1, p + 1, constraints)
    theta = numbers(data["theta"], (model.size,), "parameters")
    response = units.y_center, units.y_scale
    coordinates = Coordinates.of(model, units.x_scaling, units.z_scaling, None, response)
    if not coordinates.allow(theta, ROUNDING):
        raise DataError("the model file has parameters outside their bounds, or that should be equal or zero")
    fit = MixtureFit(
        model=model,
        coordinates=coordinates,
        theta=theta,
        n_parameters=whole(f["n_parameters"], "number of free parameters", 0, 2 * model.size),
        group_sizes=_group_sizes(data.get("group_sizes")),
        **fit_from_dict(f, model.k),
    )
    known = [_covariance_from_dict(c, model) for c in data.get("covariances", [])]
    sample, dropped = Sample.from_dict(data.get("sample")), Dropped.from_dict(data.get("dropped"))
    gate_at = data.get("gate_at", "constant")
    if gate_at not in GATE_AT:
        raise DataError(f"unknown gate_at {gate_at!r} in the model file")
    return design, units, fit, {c.kind: c for c in known}, sample, dropped, gate_at


def _gate_from_dict(m: dict[str, Any]) -> Gate:
    options = m.get("gate_options", {})
    if m["gate"] not in GATES or not isinstance(options, dict):
        raise DataError(f"unknown gate {m['gate']!r} in the model file")
    return make_gate(m["gate"], **decode(options))


def _units_from_dict(u: dict[str, Any], design: Design) -> Units:
    response = sentence(u["response"], "response")
    if isinstance(design, FormulaDesign) and response != design.response:
        raise DataError(f"the model file's response '{response}' is not that of its formula")
    return Units(
        _scaling_from_dict(u["x"], len(design.expert_names)),
        _scaling_from_dict(u["z"], len(design.gate_names)),
        design.expert_names,
        design.gate_names,
        number(u["y_center"], "centre of the response", -LARGEST, LARGEST),
        number(u["y_scale"], "scale of the response", SMALLEST, LARGEST),
        response,
        labels(u["classes"], "classes"),
    )


def _group_sizes(data: Any) -> tuple[int, int, int] | None:
    if data is None:
        return None
    count, least, most = (whole(size, "number or size of groups", 1, 2**53) for size in data)
    return count, least, most


def _scaling_to_dict(scaling: Scaling) -> dict[str, Any]:
    return {
        "center": scaling.center.tolist(),
        "inv_scale": scaling.inv_scale.tolist(),
        "aliased": [list(a) for a in scaling.aliased],
    }


def _scaling_from_dict(data: dict[str, Any], columns: int) -> Scaling:
    center = numbers(data["center"], (columns,), "centres of columns", -LARGEST, LARGEST)
    inv_scale = numbers(data["inv_scale"], (columns,), "reciprocal scales of columns", 0.0, LARGEST)
    aliased = tuple(
        (whole(j, "aliased column", 0, columns - 1), sentence(why, "reason")) for j, why in data["aliased"]
    )
    if any(inv_scale[j] for j, _ in aliased):
        raise DataError("the model file scales a column that carries nothing new")
    return Scaling(center, inv_scale, aliased)


def _covariance_to_dict(covariance: Covariance) -> dict[str, Any]:
    return {
        "kind": covariance.kind,
        "identified": covariance.identified.tolist(),
        "experts": list(covariance.experts),
        "lower": triangle(covariance.matrix),
        "shares": None if covariance.shares is None else _shares_to_dict(covariance.shares),
    }


def _covariance_from_dict(data: dict[str, Any], model: Model) -> Covariance:
    if data["kind"] not in KINDS:
        raise DataError(f"unknown kind of covariance {data['kind']!r} in the model file")
    identified = flags(data["identified"], model.size, "marks of identified parameters")
    experts = tuple(whole(e, "expert", 0, model.k - 1) for e in data["experts"])
    shares = None if data.get("shares") is None else _shares_from_dict(data["shares"], model.k)
    return Covariance(
        from_triangle(data["lower"], model.size), identified, data["kind"], experts, shares=shares
    )


def _shares_to_dict(shares: np.ndarray) -> dict[str, Any]:
    return {
        "estimate": shares[0].tolist(),
        "se": shares[1].tolist() if np.isfinite(shares[1]).all() else None,
    }


def _shares_from_dict(data: dict[str, Any], k: int) -> np.ndarray:
    errors = data["se"]
    errors = np.full(k, np.nan) if errors is None else numbers(errors, (k,), "errors of shares", 0.0)
    return np.stack([numbers(data["estimate"], (k,), "shares", 0.0, 1.0 + ROUNDING), errors])

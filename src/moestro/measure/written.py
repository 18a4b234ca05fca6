"""A mixing measure as JSON data, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DataError
from ..experts import is_known
from ..gates import GATES
from ..reading import check_format, described_by, from_numpy, numbers

FORMAT = "moestro.measure/1"
ARRAYS = ("log_weights", "gate_slopes", "intercepts", "slopes", "nuisances")


def to_dict(measure: Any) -> dict[str, Any]:
    """Plain lists, numbers and strings."""
    if not isinstance(measure.family, str):
        raise DataError("a measure with a family of one's own cannot be written as JSON: pickle it instead")
    shapes = {name: list(getattr(measure, name).shape) for name in ARRAYS}
    values = {name: getattr(measure, name).ravel().tolist() for name in ARRAYS}
    return {
        "format": FORMAT,
        "family": measure.family,
        "gate": measure.gate,
        "gate_parameters": measure.gate_parameters.tolist(),
        "gate_options": dict(measure.gate_options),
        "shapes": shapes,
        **values,
        "expert_names": list(measure.expert_names),
        "gate_names": list(measure.gate_names),
        "classes": [from_numpy(c) for c in measure.classes],
    }


def from_dict(kind: Any, data: dict[str, Any]) -> Any:
    """A measure of this `kind`, checked."""
    check_format(data, (FORMAT,), "a mixing measure")
    with described_by("the mixing measure"):
        arrays = {
            name: numbers(data[name], (math.prod(shape),), name).reshape(shape)
            for name, shape in data["shapes"].items()
        }
        if not is_known(data["family"]) or data["gate"] not in GATES:
            raise DataError(f"unknown family '{data['family']}' or gate '{data['gate']}'")
        measure = kind(
            **arrays,
            family=data["family"],
            gate=data["gate"],
            gate_parameters=np.array(data.get("gate_parameters", ()), dtype=float),
            gate_options=dict(data.get("gate_options", {})),
            expert_names=tuple(data["expert_names"]),
            gate_names=tuple(data["gate_names"]),
            classes=tuple(data["classes"]),
        )
    law = measure.law
    several = len(law.members) not in (0, measure.k)
    if (
        several
        or measure.intercepts.shape[1] != law.predictors
        or measure.nuisances.shape[1] != law.nuisances
    ):
        raise DataError(f"the mixing measure has no {law.name} experts: their parameters do not agree")
    if not np.isfinite(measure.gate_parameters).all():
        raise DataError("the mixing measure has entries that are not finite")
    return measure

"""A located measure as JSON data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import check_format, described_by, whole
from . import polynomial
from .normal import check_positive

FORMAT = "moestro.located/2"
FIRST = "moestro.located/1"  # calls the degrees of freedom "tails"
MOST, DEGREE = 10**6, 100  # columns and degree in a file
PARTS = ("weights", "means", "covariances", "slopes", "intercepts", "noise")


def to_dict(measure: Any) -> dict[str, Any]:
    """Plain lists and numbers; singular covariances are refused, as they are by `from_dict`."""
    check_positive(measure.covariances)
    check_positive(measure.noise)
    nu = None if measure.degrees_of_freedom is None else measure.degrees_of_freedom.tolist()
    shapes = {"d": measure.d, "q": measure.q}
    return {
        "format": FORMAT, "degree": measure.degree, "degrees_of_freedom": nu, **shapes,
        **{name: getattr(measure, name).tolist() for name in PARTS},
    }  # fmt: skip


def from_dict(kind: Any, data: Any) -> Any:
    """A measure of this `kind`, checked."""
    check_format(data, (FIRST, FORMAT), "a located measure")
    with described_by("the located measure"):
        d, q = whole(data["d"], "columns of x", 0, MOST), whole(data["q"], "columns of y", 1, MOST)
        k, degree = len(data["weights"]), whole(data["degree"], "degree", 1, DEGREE)
        shapes = {
            "means": (k, d), "covariances": (k, d, d), "slopes": (k, q, polynomial.count(d, degree)),
            "intercepts": (k, q), "noise": (k, q, q), "weights": (k,),
        }  # fmt: skip
        parts = {name: np.array(data[name], dtype=float).reshape(shapes[name]) for name in PARTS}
        nu = data["tails" if data["format"] == FIRST else "degrees_of_freedom"]
        nu = None if nu is None else np.array(nu, dtype=float)
        measure = kind(**parts, degrees_of_freedom=nu, degree=degree)
    if not all(np.isfinite(a).all() for a in (measure.weights, *measure.components().values())):
        raise DataError("the located measure has entries that are not finite")
    check_positive(measure.covariances)
    check_positive(measure.noise)
    if measure.degrees_of_freedom is not None and not (measure.degrees_of_freedom > 0).all():
        raise DataError("the located measure has degrees of freedom that are not positive")
    return measure

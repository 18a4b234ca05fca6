"""A located measure as JSON data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import check_format, described_by, whole
from . import polynomial

FORMAT = "moestro.located/2"
FIRST = "moestro.located/1"  # calls the degrees of freedom "tails"
MOST, DEGREE = 10**6, 100  # columns and degree in a file
PARTS = ("weights", "means", "covariances", "slopes", "intercepts", "noise")


def to_dict(measure: Any) -> dict[str, Any]:
    """Plain lists and numbers."""
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
    for e, C in ((e, C) for part in (measure.covariances, measure.noise) for e, C in enumerate(part)):
        size = np.sqrt(np.maximum(np.diag(C), 0.0))  # what an entry near zero is rounded to
        skew = np.abs(C - C.T) > 1e-9 * np.outer(size, size)
        # of correlations: columns may differ by a hundred digits
        if (
            skew.any()
            or (size <= 0).any()
            or (len(C) and np.linalg.eigvalsh(C / size / size[:, None])[0] <= 0)
        ):
            raise DataError(f"a covariance of atom {e + 1} is not positive definite")
    if measure.degrees_of_freedom is not None and not (measure.degrees_of_freedom > 0).all():
        raise DataError("the located measure has degrees of freedom that are not positive")
    return measure

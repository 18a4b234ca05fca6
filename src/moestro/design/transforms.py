"""Input transforms M(x) of the modified softmax gate, by name or as the user's own object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DataError, quiet

NAMED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "sin": np.sin,
    "cube": lambda x: x**3,
    "sigmoid": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)),
}


def learn_transform(transform: Any, z: np.ndarray) -> Any:
    """What `apply_transform` needs: the name, the callable, or a fitted clone of a scikit-learn
    transformer."""
    if transform is None or callable(transform):
        return transform
    if isinstance(transform, str):
        if transform not in NAMED:
            raise DataError(
                f"gate_transform={transform!r} is unknown: choose one of {', '.join(NAMED)}, "
                "a callable, or a scikit-learn transformer"
            )
        return transform
    if hasattr(transform, "fit") and hasattr(transform, "transform"):
        from sklearn.base import clone

        copy: Any = clone(transform)
        return copy.fit(z)
    raise DataError("gate_transform must be a name, a callable, or a scikit-learn transformer")


def apply_transform(learned: Any, z: np.ndarray) -> np.ndarray:
    """M(z) as a float matrix with one row a row of z."""
    if isinstance(learned, str):
        with quiet():  # what is beyond doubles is refused below
            out = NAMED[learned](z)
    elif callable(learned):
        out = learned(z)
    else:
        out = learned.transform(z)
    out = np.asarray(out, dtype=float)
    if out.ndim == 1:
        out = out[:, None]
    if out.ndim != 2 or len(out) != len(z):
        raise DataError(
            f"gate_transform must return one row a row of its input: got shape {out.shape} for {z.shape}"
        )
    if not np.isfinite(out).all():
        raise DataError("gate_transform returned NaN or infinity")
    return out

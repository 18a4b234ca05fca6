"""The columns of rows by name, as people read of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import split_known


def named_columns(model: Any, x: Any, z: Any, y: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of experts and gate and the response, (n,) each, of rows as the design gives them; a class is
    its indicator."""
    own = split_known(np.asarray(x), model.design.known)[0]
    columns = dict(zip(model.design.expert_names, own.T, strict=False))  # trials stand after them
    if z is not None:
        columns |= dict(zip(model.design.gate_names, np.asarray(z).T, strict=True))
    if model.classes:
        return columns | {f"{model.responses[0]} = {c}": (y == i) * 1.0 for i, c in enumerate(model.classes)}
    return columns | dict(zip(model.responses, np.reshape(y, (len(y), -1)).T, strict=True))

"""The response of the rows that `moestro predict` reads, and what it says of the experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError


def _response(model: Any, frame: Any) -> np.ndarray:
    """The response of the rows, as the model takes it."""
    from ..design import FormulaDesign
    from ..design.frames import columns
    from ..design.known import ends_of
    from ..design.response import encode_classes, numeric_response
    from ..fitted import FittedModel

    if isinstance(model.design, FormulaDesign):
        values = model.design.read_response(frame)
    else:
        found = [np.asarray(v) for v in columns(frame, model.responses).values()]
        values = found[0] if model.single else np.column_stack(found)
    if model.classes:
        return encode_classes(values, model.classes, model.responses[0])[0]
    if values.ndim == 2 and isinstance(model, FittedModel) and model.fit.model.family.takes_bounds:
        family = model.fit.model.family
        values = ends_of(numeric_response(values, model.responses[0], open_ends=True), family.lowest)
    return numeric_response(values, model.responses[0], model.takes_holes)


def posteriors(model: Any, at: tuple[Any, Any], frame: Any, ids: Any = None) -> dict[str, Any]:
    """The most probable expert of each row, and the probability of each; with ids of groups those of the
    group."""
    from ..fitted import FittedModel, assigned, posterior
    from ..fitted.groups import group_joint

    if ids is None and isinstance(model, FittedModel) and model.fit.group_sizes is not None:
        raise DataError(
            "the rows of this model share their expert in groups: --posterior needs their column, --groups"
        )
    x, y = with_response(model, at[0], frame)
    if ids is not None:
        joint, of_row = group_joint(model, x, at[1], y, ids)
        return assigned(posterior(joint)[of_row])
    return assigned(posterior(model.log_joint(x, at[1], y)))


def with_response(model: Any, x: Any, frame: Any) -> tuple[Any, np.ndarray]:
    """The experts' columns, with trials where the response has them, and the response of the rows."""
    from ..design import append_second, split_trials
    from ..fitted import FittedModel

    y = _response(model, frame)
    if not isinstance(model, FittedModel):
        return x, y
    family = model.fit.model.family
    if not (family.takes_trials or family.takes_bounds):
        return x, y
    y, second = split_trials(y)
    return append_second(x, model.design.known, y, second, family), y

"""An estimator on rows that are elsewhere: files, datasets, lazy frames, iterators of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..errors import DataError
from ..experts import ORDERED
from ..rows import Held, Scan, refuse_partial, scan_columns, scan_formula
from .found import Found
from .plain import fit_plain


def fit_elsewhere(
    estimator: Any, data: Any, y: Any, sample_weight: Any, groups: Any, offset: Any, partial: Any
) -> Found:
    """Fit on a source; y and sample_weight are names of its columns, y where no formula has the response."""
    scan = _scan(estimator, data, y, sample_weight, groups, offset, partial)
    design = scan.design
    names = getattr(design, "variables", None) or getattr(design, "names", ())
    estimator.n_features_in_ = len(names)
    estimator.feature_names_in_ = np.array(names, dtype=object)
    if is_classifier(estimator):
        estimator.classes_ = np.array(scan.classes)
    return fit_plain(estimator, scan)


def _scan(
    estimator: Any, data: Any, y: Any, sample_weight: Any, groups: Any, offset: Any, partial: Any
) -> Scan:
    words = estimator.get_params(deep=False)
    if "memory_limit" not in words or words.get("penalty") is not None:
        raise DataError(
            "rows outside memory are fitted by MoERegressor and MoEClassifier without a penalty: give a frame"
        )
    refuse_partial(partial)
    held = Held(
        sample_weight, groups, estimator.gate_at, estimator.missing, estimator.memory_limit, estimator.cache
    )
    classes = is_classifier(estimator)
    how = {
        "classes": classes,
        "ordered": classes and words.get("family") in ORDERED,
        "levels": words.get("levels"),
    }
    sides = tuple(words.get(n) for n in ("expert_features", "gate_features", "gate_transform"))
    if estimator.formula is None:
        if not isinstance(y, str):
            raise DataError("for rows outside memory the response is the name of a column: fit(path, 'y')")
        if offset is not None:
            raise DataError("for rows outside memory an offset belongs in the formula: + offset(column)")
        return scan_columns(data, y, held, sides=sides, **how)
    if any(side is not None for side in sides):
        raise DataError("columns cannot be named beside a formula: write the gate's part after '|'")
    if y is not None:
        raise DataError("a formula names the response: leave y out")
    return scan_formula(estimator.formula, data, held, offset=offset, **how)

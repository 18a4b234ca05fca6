"""Checks and small helpers of the estimators."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..design.frames import text_columns
from ..errors import DataError, SearchWarning
from ..search import Evidence


def refuse_text(X: Any) -> None:
    found = text_columns(X)
    if found:
        raise DataError(
            f"column '{found[0]}' holds text: encode it as numbers, or use from_formula, which encodes categories"
        )


def printer() -> Any:
    from tqdm.auto import tqdm

    bars: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        bar = bars.get(stage)
        if bar is None or bar.n >= done:
            bar = bars[stage] = tqdm(total=total, desc=stage, leave=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


def seed_of(random_state: Any) -> int:
    """A whole number is the seed itself, as for `moestro fit --seed` and `select_experts`."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def refuse_columns_beside_a_formula(estimator: Any) -> None:
    for name in ("gate_features", "expert_features", "gate_transform"):
        if getattr(estimator, name) is not None:
            raise DataError(f"{name} cannot be given beside a formula: write the gate's part after '|'")


def warn_if_weak(found: Evidence | None) -> None:
    """Say that the best optimum was found once only."""
    if found is not None and found.is_weak:
        warnings.warn(f"{found}: another random_state may find a better one", SearchWarning, stacklevel=5)

"""Small things that the estimators need at the door."""

from __future__ import annotations

from typing import Any

from ..design.frames import text_columns
from ..errors import DataError


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

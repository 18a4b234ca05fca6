"""The rows that margins average over: data with a column moved a little, or set to a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..design import Design, FormulaDesign
from ..design.frames import columns
from ..design.known import OFFSET
from ..errors import DataError
from ..inference.margins import RELATIVE, Effect, Quantity

PARTS = ("mixture", "expert", "gate")


def columns_of(design: Design, X: Any) -> dict[str, np.ndarray]:
    """The columns that a design reads, by name; X is a frame, or numbers (n, d) that were checked."""
    if isinstance(design, FormulaDesign):
        return {n: np.asarray(v) for n, v in columns(X, design.variables).items()}
    return design.columns_of(X)


def matrices(design: Design, data: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
    """Inverse of `columns_of`, as the model takes it."""
    if isinstance(design, FormulaDesign):
        return design.matrices(dict(data))
    return design.matrices(design.encoded(data))


def effects_of(
    design: Design,
    data: dict[str, np.ndarray],
    kind: str,
    variables: Sequence[str] | None,
    contrasts: Mapping[str, tuple[Any, Any]] | None,
) -> list[Effect]:
    """What is averaged: predictions; slopes of numbers, and of categories the contrasts with their first
    level; or the `contrasts` (from, to) of columns."""
    if kind not in ("slopes", "predictions", "contrasts"):
        raise DataError(f"kind={kind!r} is unknown: choose one of slopes, predictions, contrasts")
    if (kind == "contrasts") != bool(contrasts):
        raise DataError("kind='contrasts' goes with contrasts={column: (from, to)}")
    if kind == "predictions":
        if variables is not None:
            raise DataError("kind='predictions' takes no variables: leave them out")
        return [Effect("", "", ((1.0, matrices(design, data)),))]
    wanted = [n for n in data if n != OFFSET] if variables is None else list(variables)
    unknown = [n for n in (*wanted, *(contrasts or ())) if n not in data]
    if unknown:
        raise DataError(f"'{unknown[0]}' is not a column of the model: these are {', '.join(data)}")

    def at(name: str, values: Any) -> tuple[Any, Any]:
        return matrices(design, {**data, name: values})

    def contrast(name: str, low: Any, high: Any) -> Effect:
        n = len(data[name])
        parts = tuple((s, at(name, _filled(name, data[name], v, n))) for s, v in ((1.0, high), (-1.0, low)))
        return Effect(name, f"{high} - {low}", parts)

    if contrasts:
        for name, pair in contrasts.items():
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise DataError(f"contrasts of '{name}' are (from, to), got {pair!r}")
        return [contrast(name, *pair) for name, pair in contrasts.items()]
    out = []
    for name in wanted:
        x = data[name]
        if x.dtype.kind in "fiu":
            x = x.astype(float)
            h = RELATIVE * (float(x.std()) or max(float(np.abs(x).max()), 1.0))
            out.append(Effect(name, "slope", ((0.5 / h, at(name, x + h)), (-0.5 / h, at(name, x - h)))))
        else:
            first, *levels = design.order_of(name) or sorted(set(x.tolist()))
            out += [contrast(name, first, level) for level in levels]
    return out


def at_values(data: dict[str, np.ndarray], at: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Data with some columns at one value in every row."""
    for name in at or ():
        if name not in data:
            raise DataError(f"'{name}' is not a column of the model: these are {', '.join(data)}")
    n = len(next(iter(data.values()))) if data else 0
    return {**data, **{name: _filled(name, data[name], v, n) for name, v in (at or {}).items()}}


def quantities_of(of: Any, k: int, outcomes: Sequence[str]) -> list[Quantity]:
    """What is averaged: of the mixture, of each expert and of the gate."""
    parts = tuple(of) if isinstance(of, Sequence) and not isinstance(of, str) else (of,)
    if not parts or any(part not in PARTS for part in parts):
        raise DataError(f"of={of!r} is unknown: choose from {', '.join(PARTS)}")
    out = []
    for part in parts:
        experts = [None] if part == "mixture" else range(k)
        out += [Quantity(part, e, y) for e in experts for y in ([""] if part == "gate" else outcomes)]
    return out


def values_of(quantities: Sequence[Quantity]) -> Any:
    """The function (model, x, z) to the quantities (n, m)."""
    parts = list(dict.fromkeys(q.of for q in quantities))

    def values(model: Any, x: Any, z: Any) -> np.ndarray:
        gate, means = np.exp(model.log_gate(x, z)), model.expert_means(x)
        every = {
            "mixture": np.einsum("nk,nkc->nc", gate, means),
            "expert": means.reshape(len(means), -1),
            "gate": gate,
        }
        return np.concatenate([every[part] for part in parts], axis=1)

    return values


def _filled(name: str, like: np.ndarray, value: Any, n: int) -> np.ndarray:
    """The column `name`, whose values are like these, at one value in all n rows."""
    number = like.dtype.kind in "fiu"
    try:
        return np.full(n, float(value) if number else value, dtype=float if number else like.dtype)
    except (TypeError, ValueError) as error:
        kind = "one number" if number else "one value"
        raise DataError(f"column '{name}' is set to {kind}, got {value!r}") from error

"""A design on the columns of one matrix: which feed the experts, which the gate, through which transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..errors import DataError
from ..reading import texts, whole
from .known import OFFSET
from .levels import MOST, codes, indicator_names, indicators
from .transforms import NAMED, apply_transform, learn_transform


@dataclass(frozen=True)
class ArrayDesign:
    """Columns of a matrix X; those of categories hold the index of the level, and feed experts and gate as
    indicators of all levels but the first.

    Attributes
    ----------
    names : tuple of str
        Name of each column of X.
    experts, gate : tuple of int or None
        Column indices; None for all.
    transform : str, callable, fitted transformer or None
        M of the modified gate, applied to the gate's columns.
    width : int
        Number of columns that the transform returns.
    levels : mapping of str to tuple
        Of the columns of categories.
    known : int
        1 where the experts have an offset: a column of X after those with names.
    """

    names: tuple[str, ...]
    experts: tuple[int, ...] | None = None
    gate: tuple[int, ...] | None = None
    transform: Any = None
    width: int = 0
    levels: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    known: int = 0

    common: ClassVar[tuple[str, ...]] = ()  # only a formula says so, whatever columns are called

    @classmethod
    def learn(
        cls,
        x: np.ndarray,
        names: Sequence[str],
        expert_features: Sequence[str | int] | None,
        gate_features: Sequence[str | int] | None,
        gate_transform: Any,
        levels: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> ArrayDesign:
        """Resolve names to columns and fit the transform on x (n, d)."""
        experts = _columns(expert_features, names, "expert_features")
        gate = _columns(gate_features, names, "gate_features")
        plain = cls(tuple(names), experts, gate, levels=dict(levels or {}))
        z = plain._side(x, gate)
        transform = learn_transform(gate_transform, z)
        width = 0 if transform is None else apply_transform(transform, z[:2]).shape[1]
        return cls(tuple(names), experts, gate, transform, width, plain.levels)

    @property
    def expert_names(self) -> tuple[str, ...]:
        return self._names(self.experts)

    @property
    def gate_names(self) -> tuple[str, ...]:
        plain = self._names(self.gate)
        if self.transform is None:
            return plain
        label = self.transform if isinstance(self.transform, str) else "M"
        if self.width == len(plain):
            return tuple(f"{label}({name})" for name in plain)
        return tuple(f"{label}[{j}]" for j in range(self.width))

    def sources(self, side: str) -> np.ndarray:
        """The column of X behind each column of the "experts" or of the "gate" before its transform."""
        chosen = self._chosen(self.experts if side == "experts" else self.gate)
        return np.repeat(chosen, [len(self._made(j)) for j in chosen]).astype(int)

    def _chosen(self, side: tuple[int, ...] | None) -> Sequence[int]:
        return range(len(self.names)) if side is None else side

    def _made(self, j: int) -> list[str]:
        """Names of the columns that column j feeds."""
        name = self.names[j]
        return indicator_names(name, self.levels[name]) if name in self.levels else [name]

    def _names(self, side: tuple[int, ...] | None) -> tuple[str, ...]:
        return tuple(name for j in self._chosen(side) for name in self._made(j))

    def _side(self, x: np.ndarray, side: tuple[int, ...] | None) -> np.ndarray:
        """Columns (n, e) of x for one side."""
        chosen = self._chosen(side)
        if not any(self.names[j] in self.levels for j in chosen):
            return x if side is None else x[:, list(side)]
        parts = [
            indicators(x[:, j], self.levels[self.names[j]]) if self.names[j] in self.levels else x[:, [j]]
            for j in chosen
        ]
        return np.concatenate(parts, axis=1)

    def matrices(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Experts' columns, the offset last, and the gate's; None where they are the same."""
        if self.known:
            own, gate = self._sides(x[:, : -self.known])
            return np.column_stack([own, x[:, -self.known :]]), gate
        return self._sides(x)

    def _sides(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        experts = self._side(x, self.experts)
        if self.transform is None:
            return experts, None if self.gate == self.experts else self._side(x, self.gate)
        return experts, apply_transform(self.transform, self._side(x, self.gate))

    def order_of(self, name: str) -> tuple[Any, ...]:
        """The levels of a column, the reference first; none of numbers."""
        return self.levels.get(name, ())

    def encoded(self, data: Mapping[str, np.ndarray]) -> np.ndarray:
        """X (n, d) from its columns by name, categories as they are called, and its offset by `OFFSET`."""
        known = self.levels
        parts = [codes(n, np.asarray(data[n]), known[n]) if n in known else data[n] for n in self.names]
        return np.column_stack([*parts, data[OFFSET]] if self.known else parts)

    def columns_of(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Inverse of `encoded`."""
        out = {}
        for j, name in enumerate(self.names):
            out[name] = x[:, j]
            if name in self.levels:
                called = np.empty(len(self.levels[name]), dtype=object)
                called[:] = self.levels[name]
                out[name] = called[x[:, j].astype(int)]
        return out | ({OFFSET: x[:, -1]} if self.known else {})

    def to_dict(self) -> dict[str, Any]:
        """JSON description; only a transform with a name can be written down."""
        if self.transform is not None and not isinstance(self.transform, str):
            raise DataError(
                "a gate transform that is a Python object cannot be saved as JSON: use one of "
                f"{', '.join(NAMED)}, "
                "or pickle the estimator"
            )
        return {
            "kind": "array",
            "names": list(self.names),
            "experts": None if self.experts is None else list(self.experts),
            "gate": None if self.gate is None else list(self.gate),
            "transform": self.transform,
            "width": self.width,
            "levels": {name: list(known) for name, known in self.levels.items()},
            "known": self.known,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ArrayDesign:
        """Inverse of `to_dict`."""
        if data["transform"] is not None and data["transform"] not in NAMED:
            raise DataError(f"unknown gate transform {data['transform']!r} in the model file")
        columns = texts(data["names"], "names of columns")
        experts, gate = (
            None if data[side] is None else tuple(whole(j, "column", 0, len(columns) - 1) for j in data[side])
            for side in ("experts", "gate")
        )
        levels = {name: _levels(known) for name, known in data.get("levels", {}).items()}
        if any(name not in columns for name in levels):
            raise DataError("the model file has levels of a column that it does not have")
        plain = cls(columns, experts, gate, levels=levels)
        width = 0 if data["transform"] is None else len(plain.gate_names)
        if data["width"] != width:  # a transform with a name works on each column alone
            raise DataError(f"the model file's gate transform makes {width} columns: it says otherwise")
        known = whole(data.get("known", 0), "number of offsets", 0, 1)
        return cls(columns, experts, gate, data["transform"], width, levels, known)


def _levels(known: Any) -> tuple[Any, ...]:
    if (
        not isinstance(known, list)
        or len(known) > MOST
        or any(not isinstance(v, bool | int | float | str) for v in known)
        or len(set(known)) < len(known)
    ):
        raise DataError("the model file has levels that are not different numbers or texts")
    return tuple(known)


def _columns(features: Sequence[str | int] | None, names: Sequence[str], what: str) -> tuple[int, ...] | None:
    if features is None:
        return None
    if isinstance(features, str | int):
        raise DataError(f"{what} must be a list of column names or indices, got {features!r}")
    out = []
    for feature in features:
        if isinstance(feature, str):
            if feature not in names:
                raise DataError(
                    f"{what} names '{feature}', which is not a column: the columns are {', '.join(names)}"
                )
            out.append(list(names).index(feature))
        else:
            j = int(feature)
            if not -len(names) <= j < len(names):
                raise DataError(f"{what} has index {j}, but X has {len(names)} columns")
            out.append(j % len(names))
    return tuple(out)

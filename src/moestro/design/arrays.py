"""A design on the columns of one matrix: which feed the experts, which the gate, through which transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import texts, whole
from .transforms import NAMED, apply_transform, learn_transform


@dataclass(frozen=True)
class ArrayDesign:
    """Columns of a matrix X.

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
    known : int
        1 where the experts have an offset: a column of X after those with names.
    """

    names: tuple[str, ...]
    experts: tuple[int, ...] | None = None
    gate: tuple[int, ...] | None = None
    transform: Any = None
    width: int = 0
    known: int = 0

    @classmethod
    def learn(
        cls,
        x: np.ndarray,
        names: Sequence[str],
        expert_features: Sequence[str | int] | None,
        gate_features: Sequence[str | int] | None,
        gate_transform: Any,
    ) -> ArrayDesign:
        """Resolve names to columns and fit the transform on x (n, d)."""
        experts = _columns(expert_features, names, "expert_features")
        gate = _columns(gate_features, names, "gate_features")
        z = x if gate is None else x[:, list(gate)]
        transform = learn_transform(gate_transform, z)
        width = 0 if transform is None else apply_transform(transform, z[:2]).shape[1]
        return cls(tuple(names), experts, gate, transform, width)

    @property
    def expert_names(self) -> tuple[str, ...]:
        return self.names if self.experts is None else tuple(self.names[j] for j in self.experts)

    @property
    def gate_names(self) -> tuple[str, ...]:
        plain = self.names if self.gate is None else tuple(self.names[j] for j in self.gate)
        if self.transform is None:
            return plain
        label = self.transform if isinstance(self.transform, str) else "M"
        if self.width == len(plain):
            return tuple(f"{label}({name})" for name in plain)
        return tuple(f"{label}[{j}]" for j in range(self.width))

    def matrices(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Experts' columns, the offset last, and the gate's; None where they are the same."""
        if self.known:
            own, gate = self._sides(x[:, : -self.known])
            return np.column_stack([own, x[:, -self.known :]]), gate
        return self._sides(x)

    def _sides(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self.transform is None and self.gate == self.experts:
            return (x if self.experts is None else x[:, list(self.experts)]), None
        z = x if self.gate is None else x[:, list(self.gate)]
        if self.transform is not None:
            z = apply_transform(self.transform, z)
        return (x if self.experts is None else x[:, list(self.experts)]), z

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
        width = 0 if data["transform"] is None else len(columns if gate is None else gate)
        if data["width"] != width:  # a transform with a name works on each column alone
            raise DataError(f"the model file's gate transform makes {width} columns: it says otherwise")
        known = whole(data.get("known", 0), "number of offsets", 0, 1)
        return cls(columns, experts, gate, data["transform"], width, known)


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

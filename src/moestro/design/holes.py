"""Rows with missing values: where they are, and data without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..errors import DataError
from ..reading import texts, whole
from ..tables import Table
from .frames import as_frame, columns, complete_rows, gaps, row_count

POLICIES = ("error", "drop")
MARGINAL = "marginal"  # of models that have a law of x


@dataclass(frozen=True)
class Dropped:
    """Rows that a fit left out because a value was missing there.

    Attributes
    ----------
    rows, of : int
        How many, and of how many.
    columns : tuple of (str, int)
        Where values were missing, and in how many rows.
    """

    rows: int
    of: int
    columns: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        where = ", ".join(f"'{name}' in {count}" for name, count in self.columns)
        return f"{self.rows} of {self.of} rows left out" + (f": {where}" if where else "")

    def to_dict(self) -> dict[str, Any]:
        names, counts = [name for name, _ in self.columns], [count for _, count in self.columns]
        return {"rows": self.rows, "of": self.of, "columns": names, "counts": counts}

    @classmethod
    def from_dict(cls, data: Any) -> Dropped | None:
        """Inverse of `to_dict`; None of a file that says nothing of them."""
        if data is None:
            return None
        of = whole(data["of"], "number of rows", 0, 2**53)
        rows = whole(data["rows"], "number of rows left out", 0, of)
        names = texts(data["columns"], "columns with missing values")
        counts = [whole(c, "number of missing values", 0, rows) for c in data["counts"]]
        return cls(rows, of, tuple(zip(names, counts, strict=True)))


def check_policy(missing: Any, located: bool = False) -> None:
    """Refuse what says nothing about missing values; `located` models have a law of x too."""
    if isinstance(missing, str) and missing == MARGINAL:
        if located:
            return
        raise DataError(
            "missing='marginal' needs a law of the columns, which Gaussian-gated experts have "
            "(LocatedMoERegressor, --gate gaussian): use missing='drop'"
        )
    if missing not in POLICIES:
        raise DataError(f"missing={missing!r} is unknown: choose one of {', '.join(POLICIES)}")


def array_gaps(X: Any, label: str = "x") -> dict[str, np.ndarray]:
    """`gaps` of the columns of a frame, an array (n, d) or (n,), a sparse matrix or a list; columns without
    names are called `label` and their place. Of anything else there are none: whoever reads it refuses it."""
    frame = as_frame(X)
    if frame is not None:
        return gaps(columns(X, frame.columns))
    if sp.issparse(X):
        return _sparse_gaps(X, label)
    try:
        values = np.asarray(X)
    except ValueError:  # of unequal lengths
        return {}
    if values.ndim not in (1, 2) or values.dtype.kind not in "fO" or not values.size:
        return {}
    if values.dtype.kind == "f" and not np.isnan(values.min()):  # no array of truth values where all is well
        return {}
    if values.ndim == 1:
        return gaps({label: values})
    return gaps({f"{label}{j}": column for j, column in enumerate(values.T)})


def _sparse_gaps(X: Any, label: str) -> dict[str, np.ndarray]:
    if X.dtype.kind != "f" or not X.nnz:
        return {}
    values = getattr(X, "data", None)
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isnan(values.min()):
        return {}  # nothing is copied where all is well
    entries = sp.coo_array(X)
    at = np.flatnonzero(np.isnan(entries.data))
    out: dict[str, np.ndarray] = {}
    for row, j in zip(entries.coords[0][at], entries.coords[1][at], strict=True):
        out.setdefault(f"{label}{j}", np.zeros(X.shape[0], dtype=bool))[row] = True
    return out


def take_rows(data: Any, keep: np.ndarray) -> Any:
    """The rows of a frame, series, mapping of columns, array, sparse matrix or list where `keep` is true."""
    import narwhals as nw

    if data is None:
        return None
    data = dict(data.columns) if isinstance(data, Table) else data
    if isinstance(data, dict):
        return {name: take_rows(values, keep) for name, values in data.items()}
    known = nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(known, nw.DataFrame | nw.Series):
        if len(known) != len(keep):
            raise DataError(f"expected {len(keep)} rows, got {len(known)}")
        return known.filter(keep.tolist()).to_native()
    if sp.issparse(data):
        return sp.csr_array(data)[np.flatnonzero(keep)]
    values = data if isinstance(data, np.ndarray) else _list(data)
    if values.shape[:1] != keep.shape:
        raise DataError(f"expected {len(keep)} rows, got shape {values.shape}")
    return values[keep]


def _list(data: Any) -> np.ndarray:
    """A list as an array; one that mixes numbers and text keeps them as they are."""
    values = np.asarray(data)
    return np.asarray(data, dtype=object) if values.dtype.kind in "US" else values


def drop_gaps(found: dict[str, np.ndarray], n: int) -> tuple[np.ndarray | None, Dropped]:
    """The rows to keep (None: all n), and the account of the others.

    Raises
    ------
    DataError
        Where no row is left.
    """
    keep = complete_rows(found)
    if keep is None:
        return None, Dropped(0, n)
    if not keep.any():
        raise DataError(f"every row has a missing value ({', '.join(map(repr, found))}): nothing is left")
    counts = tuple((name, int(absent.sum())) for name, absent in found.items())
    return keep, Dropped(int((~keep).sum()), n, counts)


def count_rows(data: Any) -> int:
    """Rows of a frame, mapping, array, sparse matrix or list."""
    return (
        row_count(data) if isinstance(data, dict | Table) or as_frame(data) is not None else np.shape(data)[0]
    )

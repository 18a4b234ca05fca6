"""The same numbers in another type, layout or place."""

import csv
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz.choices import Seeded

DTYPES = ("float32", "float16", "int64", "int8", "uint8", "bool", "longdouble", "object", "U")
LAYOUTS = ("fortran", "strided", "reversed", "read only", "list", *("pandas",) * 4, "broadcast", "mapped")
PLACES = ("mapped", "iterator", "parquet", "arrow", "csv")


def holes(c: Seeded, X: np.ndarray, y: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns, and seldom the response, with values missing, where the estimator takes them, and seldom where
    not."""
    if c.whole(1, 40 if missing == "error" else 2) > 1:
        return X, y
    r, share = c.generator(), c.pick((0.05, 0.05, 0.3, 0.3, 1.0))
    X = np.where(r.random(X.shape) < share, np.nan, X)
    if y.dtype.kind == "f" and y.ndim == 1 and c.whole(1, 4) == 1:
        y = np.where(r.random(len(y)) < share, np.nan, y)
    return X, y


def dressed(c: Seeded, X: np.ndarray) -> Any:
    """The same numbers in another type or layout, where they fit."""
    if c.whole(1, 5) == 1:
        kind = c.pick(DTYPES)
        with np.errstate(all="ignore"):
            fits = kind in ("object", "U", "longdouble") or (
                np.isfinite(X).all() and np.abs(X).max(initial=0.0) < (6e4 if kind == "float16" else 100)
            )
            X = X.astype(kind) if fits and (kind[0] != "u" or (X >= 0).all()) else X
    layout = c.often("", LAYOUTS, 3)
    if layout == "fortran":
        return np.asfortranarray(X)
    if layout == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]
    if layout == "reversed":
        return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    if layout == "read only":
        X = X.copy()
        X.flags.writeable = False
    if layout == "list":
        return X.tolist()
    if layout == "broadcast" and len(X):
        return np.broadcast_to(X[:1], X.shape) if c.whole(1, 3) == 1 else X
    if layout == "mapped":
        return X.view(np.memmap)
    return frame(X) if layout == "pandas" else X


def frame(X: np.ndarray) -> Any:
    """Columns c0, c1, ... of a frame."""
    import pandas

    return pandas.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])


def dressed_response(c: Seeded, y: np.ndarray) -> Any:
    """The response as an array, a list, a column, a series."""
    way = c.often("", ("list", "column", "series", "object", "strided"), 5)
    if way == "list":
        return y.tolist()
    if way == "column" and y.ndim == 1:
        return y[:, None]
    if way == "series" and y.ndim == 1:
        import pandas

        return pandas.Series(y, name="y")
    if way == "object":
        return y.astype(object)
    return np.repeat(y, 2, axis=0)[::2] if way == "strided" else y


def formula(c: Seeded, names: list[str]) -> str:
    """A formula of the columns of a frame."""
    one, other = c.pick(names), c.pick(names)
    return c.pick(
        (
            f"y ~ {one}", f"y ~ {one} + {other} | {other}", f"y ~ {one} | 1", "y ~ 1", f"y ~ C({one})",
            f"y ~ common({one}) + {other}", f"y ~ {one}:{other}", f"log(y) ~ {one}", f"y ~ scale({one}) | 1",
            f"y ~ poly({one}, 2) | 1",
        )
    )  # fmt: skip


def source(place: str, folder: str, columns: dict[str, np.ndarray]) -> Any:
    """What `fit` reads these columns from, in files of the folder where they are files."""
    if place == "iterator":
        size = max(len(columns["y"]) // 3, 1)
        return lambda: (
            {name: v[i : i + size] for name, v in columns.items()} for i in range(0, len(columns["y"]), size)
        )
    os.makedirs(folder)
    if place == "mapped":
        for name, values in columns.items():
            np.save(os.path.join(folder, f"{name}.npy"), values)
        return folder
    path = os.path.join(folder, f"rows.{place}")
    WRITERS[place](path, columns)
    return path


def _write_csv(path: str, columns: dict[str, np.ndarray]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows(zip(*(v.tolist() for v in columns.values()), strict=True))


def _write_parquet(path: str, columns: dict[str, np.ndarray]) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = max(len(columns["y"]) // 2, 1)
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=rows)


def _write_arrow(path: str, columns: dict[str, np.ndarray]) -> None:
    import pyarrow.feather

    pyarrow.feather.write_feather(pyarrow.table(columns), path)


WRITERS: dict[str, Callable[[str, dict[str, np.ndarray]], None]] = {
    "csv": _write_csv, "parquet": _write_parquet, "arrow": _write_arrow,
}  # fmt: skip

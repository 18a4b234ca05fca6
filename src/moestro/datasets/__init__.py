"""Small public data sets, each with its provenance in ``files/README.md``."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np

from ..errors import DataError
from ..tables import Table

NAMES = ("voters", "tone")


def load_dataset(name: str) -> Table:
    """Load a data set that ships with moestro.

    Parameters
    ----------
    name : {"voters", "tone"}
        ``voters``: 944 voters of 1996, party identification and covariates (ANES 1996, public domain).
        ``tone``: 150 tuning trials of a musician (Cohen, 1980).

    Returns
    -------
    Table
        Columns as NumPy arrays; ``to_native("pandas")`` makes a frame.
    """
    if name not in NAMES:
        raise DataError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    with dataset_path(name).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    return Table({column: _column([row[j] for row in rows]) for j, column in enumerate(header)})


def dataset_path(name: str):
    """Where the CSV file of a data set lies."""
    return files(__package__) / "files" / f"{name}.csv"


def _column(cells: list[str]) -> np.ndarray:
    try:
        return np.array([float(c) for c in cells])
    except ValueError:
        return np.array(cells, dtype=object)

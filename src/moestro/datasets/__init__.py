"""Small public data sets, each with its provenance in ``files/README.md``."""

from __future__ import annotations

import bz2
import csv
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np

from ..errors import DataError
from ..tables import Table

__all__ = ["dataset_path", "load_dataset", "load_text"]

NAMES = ("voters", "tone", "ethanol", "wages", "epilepsy", "cards")
PACKED = ("cards",)  # large ones, as bz2
TEXTS = ("new_testament",)


def load_dataset(name: str) -> Table:
    """Load a data set that ships with moestro.

    Parameters
    ----------
    name : {"voters", "tone", "ethanol", "wages", "epilepsy", "cards"}
        ``voters``: 944 voters of 1996, party identification and covariates (ANES 1996, public domain).
        ``tone``: 150 tuning trials of a musician (Cohen, 1980).
        ``ethanol``: 88 runs of a test engine (Brinkman, 1981).
        ``wages``: 534 workers of the Current Population Survey of May 1985 (Berndt, 1991).
        ``epilepsy``: seizures of 59 patients between four visits (Thall and Vail, 1990).
        ``cards``: 14,799 choices between two credit cards by 946 customers (Allenby and Ginter, 1995).

    Returns
    -------
    Table
        Columns as NumPy arrays; ``to_frame("pandas")`` makes a frame.

    Examples
    --------
    >>> from moestro import load_dataset
    >>> cards = load_dataset("cards")
    >>> len(cards), len(set(cards["customer"])), {int(v) for v in cards["low_fee"]} == {-1, 0, 1}
    (14799, 946, True)
    """
    if name not in NAMES:
        raise DataError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    packed = dataset_path(name).read_bytes()
    text = (bz2.decompress(packed) if name in PACKED else packed).decode("utf-8")
    header, *rows = csv.reader(text.splitlines())
    return Table({column: _column([row[j] for row in rows]) for j, column in enumerate(header)})


def load_text(name: str = "new_testament") -> str:
    """A public-domain text that ships with moestro: the New Testament of 1611, 949,480 characters, a verse a
    line.

    Examples
    --------
    >>> from moestro.datasets import load_text
    >>> load_text().splitlines()[0][:40]
    'The book of the generation of Jesus Chri'
    """
    if name not in TEXTS:
        raise DataError(f"unknown text {name!r}: choose one of {', '.join(TEXTS)}")
    return bz2.decompress((files(__name__) / "files" / f"{name}.txt.bz2").read_bytes()).decode("ascii")


def dataset_path(name: str) -> Traversable:
    """Where the CSV file of a data set lies, that of ``cards`` as .csv.bz2."""
    return files(__name__) / "files" / f"{name}.csv{'.bz2' if name in PACKED else ''}"


def _column(cells: list[str]) -> np.ndarray:
    try:
        return np.array([float(c) for c in cells])
    except ValueError:
        return np.array(cells, dtype=object)

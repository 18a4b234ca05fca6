"""Rows of data as the engines sum over them: the only place that knows n."""

from .read import read
from .rows import MERGE_LIMIT, Rows, merge_rows, sample_rows, shuffled
from .wide import Columns, WideRows, read_wide

__all__ = [
    "MERGE_LIMIT",
    "Columns",
    "Rows",
    "WideRows",
    "merge_rows",
    "read",
    "read_wide",
    "sample_rows",
    "shuffled",
]

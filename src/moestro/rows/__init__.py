"""Rows of data as the engines sum over them: the only place that knows n."""

from .groups import Groups, encode_groups, sort_groups
from .order import MERGE_LIMIT, merge_rows, shuffled
from .read import read
from .rows import Block, Rows, sample_rows
from .wide import Columns, WideRows, read_wide

__all__ = [
    "MERGE_LIMIT",
    "Block",
    "Columns",
    "Groups",
    "Rows",
    "WideRows",
    "encode_groups",
    "merge_rows",
    "read",
    "read_wide",
    "sample_rows",
    "shuffled",
    "sort_groups",
]

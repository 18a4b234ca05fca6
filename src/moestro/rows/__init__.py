"""Rows of data as the engines sum over them: the only place that knows n."""

from .groups import Groups, encode_groups, sort_groups
from .read import read
from .rows import MERGE_LIMIT, Block, Rows, merge_rows, sample_rows, shuffled

__all__ = [
    "MERGE_LIMIT",
    "Block",
    "Groups",
    "Rows",
    "encode_groups",
    "merge_rows",
    "read",
    "sample_rows",
    "shuffled",
    "sort_groups",
]

"""Rows of data as the engines sum over them: the only place that knows n."""

from .read import read
from .rows import MERGE_LIMIT, Rows, merge_rows, sample_rows, shuffled

__all__ = ["MERGE_LIMIT", "Rows", "merge_rows", "read", "sample_rows", "shuffled"]

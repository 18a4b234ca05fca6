"""Rows of data as the engines sum over them: the only place that knows n."""

from .block import Block
from .elsewhere import RowsElsewhere, read_elsewhere
from .groups import Groups, encode_groups, sort_groups
from .held import Held
from .order import MERGE_LIMIT, merge_rows, row_keys, shuffled
from .read import read_rows
from .reader import Reader
from .rows import Rows, sample_rows
from .scan import (
    Scan,
    read_any,
    read_given,
    refuse_cache,
    refuse_partial,
    scan_columns,
    scan_formula,
)
from .sources import is_elsewhere
from .survey import Survey
from .wide import Columns, WideRows, read_wide

__all__ = [
    "MERGE_LIMIT",
    "Block",
    "Columns",
    "Groups",
    "Held",
    "Reader",
    "Rows",
    "RowsElsewhere",
    "Scan",
    "Survey",
    "WideRows",
    "encode_groups",
    "is_elsewhere",
    "merge_rows",
    "read_any",
    "read_elsewhere",
    "read_given",
    "read_rows",
    "read_wide",
    "refuse_cache",
    "refuse_partial",
    "row_keys",
    "sample_rows",
    "scan_columns",
    "scan_formula",
    "shuffled",
    "sort_groups",
]

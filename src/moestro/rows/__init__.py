"""Rows of data as the engines sum over them: the only place that knows n."""

from .rows import Rows

__all__ = ["Rows"]

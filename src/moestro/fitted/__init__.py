"""A fitted model, and the file it is kept in."""

from .file import read_file, write_file
from .model import FittedModel

__all__ = ["FittedModel", "read_file", "write_file"]

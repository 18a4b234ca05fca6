"""A fitted model, and the file it is kept in."""

from .file import read_file, write_file
from .located import LocatedModel, is_located
from .model import FittedModel

__all__ = ["FittedModel", "LocatedModel", "is_located", "read_file", "write_file"]

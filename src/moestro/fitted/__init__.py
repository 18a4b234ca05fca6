"""A fitted model, and the file it is kept in."""

from .columns import named_columns
from .file import write_file
from .located import LocatedModel
from .model import FittedModel
from .outputs import assigned, posterior
from .read import model_from_dict
from .residuals import residuals
from .sample import Sample

__all__ = [
    "FittedModel",
    "LocatedModel",
    "Sample",
    "assigned",
    "model_from_dict",
    "named_columns",
    "posterior",
    "residuals",
    "write_file",
]

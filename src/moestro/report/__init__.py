"""One page that explains a fit and stands alone: HTML with its pictures, and a live explorer."""

from .columns import NotHere
from .explorer import explorer_of

__all__ = ["NotHere", "explorer_of"]

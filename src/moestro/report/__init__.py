"""One page that explains a fit and stands alone: HTML with its pictures, and a live explorer."""

from .build import call_of, report_html, write_report
from .columns import NotHere
from .explorer import explorer_of

__all__ = ["NotHere", "call_of", "explorer_of", "report_html", "write_report"]

"""The papers' simulations as declared designs: run, resume, report."""

from .design import Arm, Published, Study
from .registry import STUDIES, find_study

__all__ = ["STUDIES", "Arm", "Published", "Study", "find_study"]

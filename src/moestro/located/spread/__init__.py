"""Covariances: isotropic, diagonal, full, block-diagonal, low rank plus diagonal; each may be tied."""

from .base import SPREAD_FLOOR, Spread, Structure, Tangent, floored
from .blocks import Blocks, Partition, partition
from .diagonal import Diagonal, Isotropic
from .factors import Factors
from .full import Full

STRUCTURES: dict[str, type[Structure]] = {s.name: s for s in (Isotropic, Diagonal, Full, Blocks, Factors)}

__all__ = [
    "SPREAD_FLOOR",
    "STRUCTURES",
    "Blocks",
    "Diagonal",
    "Factors",
    "Full",
    "Isotropic",
    "Partition",
    "Spread",
    "Structure",
    "Tangent",
    "floored",
    "partition",
]

"""Penalties on the slopes of gate and experts: one file each. A new one is a file, a line here, and a line in
the test table."""

from typing import Any

from ..errors import DataError
from .adaptive import AdaptiveL1
from .base import Layout, Penalty, Terms
from .elastic_net import ElasticNet
from .group import GroupLasso
from .l1 import L1
from .oracle import OracleL1
from .ridge import Ridge

PENALTIES: dict[str, type[Penalty]] = {
    "l1": L1,
    "ridge": Ridge,
    "elastic_net": ElasticNet,
    "group": GroupLasso,
    "adaptive_l1": AdaptiveL1,
    "oracle": OracleL1,
}


def make_penalty(penalty: Any) -> Penalty:
    """A penalty from its name, or the penalty itself."""
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            raise DataError(f"penalty={penalty!r} is unknown: choose one of {', '.join(PENALTIES)}")
        return PENALTIES[penalty]()
    if not isinstance(penalty, Penalty):
        raise DataError(f"penalty must be a name or an object of moestro.penalties, got {penalty!r}")
    return penalty


__all__ = [
    "L1",
    "PENALTIES",
    "AdaptiveL1",
    "ElasticNet",
    "GroupLasso",
    "Layout",
    "OracleL1",
    "Penalty",
    "Ridge",
    "Terms",
    "make_penalty",
]

"""The studies by name. A new one is a file, and a line here."""

from __future__ import annotations

from ..errors import DataError
from . import gaussian_gate, softmax_gaussian
from .design import Study

STUDIES: dict[str, Study] = {s.STUDY.name: s.STUDY for s in (softmax_gaussian, gaussian_gate)}


def find_study(name: str) -> Study:
    """The study called `name`."""
    if name not in STUDIES:
        raise DataError(f"there is no study {name!r}: choose one of {', '.join(STUDIES)}")
    return STUDIES[name]

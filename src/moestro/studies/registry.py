"""The studies by name. A new one is a file, and a line here."""

from __future__ import annotations

from ..errors import DataError
from . import (
    approximation,
    blompe,
    bootstrap_size,
    contaminated,
    coverage,
    dendrogram,
    gaussian_gate,
    glome,
    hyper_router,
    oracle,
    softmax_gaussian,
    softmax_multinomial,
    softmax_poisson,
    top_k,
)
from .design import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        softmax_multinomial,
        softmax_poisson,
        softmax_gaussian,
        gaussian_gate,
        top_k,
        contaminated,
        dendrogram,
        approximation,
        glome,
        blompe,
        hyper_router,
        oracle,
        coverage,
        bootstrap_size,
    )
}


def find_study(name: str) -> Study:
    """The study called `name`."""
    if name not in STUDIES:
        raise DataError(f"there is no study {name!r}: choose one of {', '.join(STUDIES)}")
    return STUDIES[name]

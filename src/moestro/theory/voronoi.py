"""Voronoi cells: which fitted atoms cover which true atom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure
from .asked import check_measure, same_order, whole


class Measure(Protocol):
    """What theory asks of a mixing measure: weighted atoms made of named components."""

    @property
    def k(self) -> int: ...

    def components(self) -> dict[str, np.ndarray]: ...

    def atoms(self) -> np.ndarray: ...


def voronoi_cells(measure: Measure, truth: Measure) -> list[np.ndarray]:
    """Cell of each true atom: the fitted atoms nearest to it.

    .. math::

        A_j = \\{ i : \\|\\omega_i - \\omega^*_j\\| \\le \\|\\omega_i - \\omega^*_l\\| \\; \\forall l \\}

    The atom is (beta_1, a, b, sigma) with sigma the variance; the weight is not part of it. Ties go to the
    first.

    Parameters
    ----------
    measure, truth : MixingMeasure or LocatedMeasure
        Of the same columns. Under a softmax gate beta_1 is compared as it is: see `voronoi_loss` for
        translations.

    Returns
    -------
    list of ndarray of int
        One array an atom of `truth`.
    """
    check_alike(measure, truth)
    check_apart(truth)
    nearest = nearest_atoms(measure.atoms(), truth.atoms())
    return [np.flatnonzero(nearest == j) for j in range(truth.k)]


def nearest_atoms(atoms: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Index (k,) of the true atom that is nearest to each row of `atoms`."""
    return distances(atoms, true).argmin(axis=1)


def distances(atoms: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Between each row of `atoms` and each true one, (k, k*); no square is formed, which 1e200 has not."""
    return np.hypot.reduce(atoms[:, None] - true, axis=2, initial=0.0)


def check_alike(measure: Measure, truth: Measure) -> None:
    """Refuse measures whose atoms cannot be compared."""
    for one in (measure, truth):
        check_measure(one)
    a, b = measure.components(), truth.components()
    if {n: v.shape[1:] for n, v in a.items()} != {n: v.shape[1:] for n, v in b.items()}:
        raise DataError(
            f"the atoms differ in kind: {_words(a)} against {_words(b)}: compare measures of one model"
        )
    if not (isinstance(measure, MixingMeasure) and isinstance(truth, MixingMeasure)):
        return
    gates = {"softmax" if m.gate == "top-k" else m.gate for m in (measure, truth)}  # of one meaning
    laws = [m.law for m in (measure, truth)]
    if len(gates) > 1 or (laws[0].name != laws[1].name and not any(law.members for law in laws)):
        raise DataError(
            f"a {measure.gate} gate of {laws[0].name} experts against a {truth.gate} gate of {laws[1].name} "
            "ones: compare measures of one model"
        )
    same_order("gate columns", measure.gate_names, truth.gate_names)
    same_order("expert columns", measure.expert_names, truth.expert_names)
    same_order("classes", measure.classes, truth.classes)


def check_apart(truth: Measure) -> None:
    """Refuse a truth with one atom twice: it has fewer atoms than it says, and which of the two a fitted atom
    covers is not defined."""
    atoms = truth.atoms()
    for j in range(1, len(atoms)):
        same = np.flatnonzero((atoms[:j] == atoms[j]).all(axis=1))
        if len(same):
            raise DataError(f"atoms {same[0] + 1} and {j + 1} of the truth are equal: merge them first")


def _words(parts: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name}{list(value.shape[1:])}" for name, value in parts.items())


@dataclass(frozen=True)
class TopKCheck:
    """Whether an over-specified top-K fit keeps enough experts, and how many it needs at least."""

    ok: bool
    bound: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def check_top_k(kept: int, cells: Sequence[np.ndarray], top_k: int) -> TopKCheck:
    """Whether `kept` experts a row are enough for a fit with these Voronoi cells; warns where they are not.

    Parameters
    ----------
    kept : int
        K-bar, experts that the fitted gate selects.
    cells : sequence of ndarray
        As `voronoi_cells` gives them.
    top_k : int
        K of the true gate.
    """
    kept = whole("kept", kept)
    if not isinstance(cells, Sequence) or any(np.ndim(cell) != 1 for cell in cells):
        raise DataError("cells must be those of `voronoi_cells`: an array of fitted atoms for each true one")
    bound = top_k_bound([len(cell) for cell in cells], top_k)
    if kept >= bound:
        return TopKCheck(True, bound, f"{kept} experts are kept and {bound} needed: the fit can converge")
    sentence = (
        f"the gate keeps {kept} experts where these cells need {bound}: "
        "the Hellinger distance to the truth does not vanish"
    )
    warnings.warn(sentence, stacklevel=2)
    return TopKCheck(False, bound, sentence)


def top_k_bound(cell_sizes: np.ndarray | list[int], top_k: int) -> int:
    """Smallest number of experts that an over-specified top-K fit must keep: the largest sum of K cell sizes.

    With fewer the Hellinger distance to the truth does not vanish (arXiv 2309.13850); its worst case over
    measures of k atoms is k - k* + K.
    """
    sizes = np.asarray(cell_sizes, dtype=object)
    sizes = np.sort([whole("the size of a cell", size, 0) for size in np.ravel(sizes)])[::-1]
    if whole("top_k", top_k) > len(sizes):
        raise DataError(f"top_k must be at most the {len(sizes)} cells, got {top_k}")
    return int(sizes[:top_k].sum())

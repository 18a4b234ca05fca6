"""A fitted mixing measure against a true one: its Voronoi loss in any gauge, raw errors of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..errors import DataError, quiet
from .asked import number, power_of, whole
from .exponents import LOWER_BOUND, voronoi_exponent
from .gauge import Translations, aligned, infimum
from .losses import LOSSES, Loss, Term
from .rates import loss_of
from .voronoi import Measure, check_alike, check_apart, nearest_atoms

ROUNDING = 1e-15  # weights are exponentials, scaled: sums of equal ones may differ by so much, relatively
GAUGES = ("inf", "fixed", "none")
NORMS = ("euclidean", "coordinates")


def voronoi_loss(
    measure: Any,
    truth: Any,
    loss: str | None = None,
    *,
    gauge: str = "inf",
    norm: str = "euclidean",
    r: float | None = None,
    unknown: float | None = None,
    top_k: int | None = None,
) -> float:
    """Voronoi loss of a fitted mixing measure.

    Parameters
    ----------
    measure, truth : MixingMeasure or LocatedMeasure
        k >= k* atoms against the true k*.
    loss : str, optional
        A name of `LOSSES`; by default the over-specified loss of the model of `truth`.
    gauge : {"inf", "fixed", "none"}
        A softmax-gated measure is known up to a translation (beta_0 + t1, beta_1 + t2) of all its atoms.
        "inf" gives both measures total weight one and takes the smallest loss over translations of the
        truth, cells included (exactly for one gate column, by local searches for several); "fixed" the one
        translation that gives the heaviest true atom the weight and the mean beta_1 of its cell; "none"
        compares the numbers as they are, as published code does.
    norm : {"euclidean", "coordinates"}
        The norm of the definition, or sums of powers of coordinates as in published code. They differ by
        constants.
    r : float, optional
        The power of "multinomial-D2r".
    unknown : float, optional
        Exponent for cells of four and more atoms, at least 7.
    top_k : int, optional
        K of the true top-K gate, for the top-K losses; by default the K of `truth`.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from moestro import MixingMeasure
    >>> truth = MixingMeasure(log_weights=[-8, 0], gate_slopes=[[25], [0]], intercepts=[[15], [-5]],
    ...                       slopes=[[[-20]], [[20]]], nuisances=np.log([[0.09], [0.16]]), family="gaussian")
    >>> float(voronoi_loss(truth.translate(2.0, -3.0).permute([1, 0]), truth))
    0.0
    """
    name = loss_of(truth) if loss is None else loss
    if name is None:
        raise DataError(f"no loss is known for this model: name one of {', '.join(LOSSES)}")
    if not isinstance(name, str) or name not in LOSSES:
        raise DataError(f"loss={name!r} is unknown: choose one of {', '.join(LOSSES)}")
    if gauge not in GAUGES or norm not in NORMS:
        raise DataError(f"gauge is one of {', '.join(GAUGES)} and norm one of {', '.join(NORMS)}")
    spec = LOSSES[name]
    r = power_of(name, spec.needs_r, r)
    unknown = None if unknown is None else number("unknown", unknown, LOWER_BOUND)
    check_alike(measure, truth)
    check_apart(truth)
    missing = {p for t in spec.exact for p in t.parts} - set(truth.components())
    if missing:
        raise DataError(f"{name} is not a loss of this model: it has no {', '.join(sorted(missing))}")
    if spec.top_k:
        top_k = getattr(truth, "gate_options", {}).get("top_k") if top_k is None else whole("top_k", top_k)
        if top_k is None or not 1 <= top_k <= truth.k:
            raise DataError(f"{name} needs top_k between 1 and {truth.k}")
    elif top_k is not None:
        raise DataError(f"{name} takes no maximum over top_k atoms: leave top_k out")
    comparison = _Comparison(spec, measure, truth, norm, r, unknown, top_k)
    with quiet():  # an atom far away in a bad fit: the loss is infinite
        return infimum(comparison, Translations.of(measure, truth), gauge)


def parameter_errors(measure: Any, truth: Any, power: float = 1.0) -> dict[str, float | None]:
    """Raw error of each component of the atoms, in the gauge "fixed" of `voronoi_loss`.

    Parameters
    ----------
    power : float
        Above 0: of the weighted power means over the atoms of a cell. An over-fitted atom may be far away
        with a weight of order n^(-1/2), which a mean (power 1) counts as n^(-1/2): where the loss has
        squares, a root mean square (power 2) has the rate n^(-1/4) of the theorems, however the atoms share
        their cell.

    Returns
    -------
    dict
        For each component ``<name>_exact`` and ``<name>_over``: the weighted (power) mean of Euclidean
        distances to the true atom over cells with one fitted atom and with several, None where there is no
        such cell; ``weights``: the sum over cells of |weight of the cell - true weight|, the fit's total
        weight being one under a gate that may be translated; ``largest_cell``.
    """
    check_alike(measure, truth)
    check_apart(truth)
    power = number("power", power, 0.0, open_=True)
    name = loss_of(truth)
    ones = (Term(tuple(truth.components()), lambda r: 1.0),)
    spec = Loss(ones, ones) if name is None else LOSSES[name]
    comparison = _Comparison(spec, measure, truth, "euclidean", 1.0, LOWER_BOUND, None)
    with quiet():  # an atom far away: its loss, by which the cells are chosen, may be infinite
        shift, cell, weights, true = aligned(comparison, Translations.of(measure, truth))
    sizes = np.bincount(cell, minlength=truth.k)
    covered = np.bincount(cell, weights=weights, minlength=len(true))
    out: dict[str, float | None] = {
        "weights": float(np.abs(covered - true).sum()),
        "largest_cell": float(sizes.max()),
    }
    for name, value in comparison.fitted.items():
        delta = value - comparison.true[name][cell] + (shift if name == "gate_slopes" else 0.0)
        scale = np.frexp(np.abs(delta).max())[1]  # exact: powers of 1e200 stay in range
        size = np.linalg.norm(np.ldexp(delta, -scale).reshape(len(cell), -1), axis=1)
        for kind, chosen in (("exact", sizes[cell] == 1), ("over", sizes[cell] > 1)):
            mass = weights[chosen].sum()
            mean = (weights[chosen] @ size[chosen] ** power / mass) ** (1 / power) if mass > 0 else None
            out[f"{name}_{kind}"] = None if mean is None else float(np.ldexp(mean, scale))
    return out


@dataclass
class _Comparison:
    """The loss as a function of the translated fit."""

    spec: Loss
    measure: Measure
    truth: Measure
    norm: str
    r: float | None
    unknown: float | None
    top_k: int | None

    def __post_init__(self) -> None:
        self.fitted, self.true = self.measure.components(), self.truth.components()
        self.true_atoms, self.atoms = self.truth.atoms(), self.measure.atoms()

    def cells(self, shift: np.ndarray | float) -> np.ndarray:
        """The true atom (k,) whose cell each fitted atom is in, its beta_1 moved by `shift`."""
        atoms = self.atoms
        if isinstance(shift, np.ndarray) and shift.any():
            atoms = atoms.copy()
            atoms[:, : len(shift)] += shift
        return nearest_atoms(atoms, self.true_atoms)

    def distances(self, cell: np.ndarray, shift: np.ndarray | float) -> np.ndarray:
        """What each fitted atom adds for a unit of weight, shape (k,)."""
        sizes = np.bincount(cell, minlength=self.truth.k)[cell]
        r = self._exponents(sizes)
        delta = {name: self.fitted[name] - self.true[name][cell] for name in self.fitted}
        if "gate_slopes" in delta:
            delta["gate_slopes"] = delta["gate_slopes"] + shift
        exact = sizes == 1
        groups = [(self.spec.exact, exact), (self.spec.over, ~exact)]
        if self.spec.at_origin is not None:
            origin = ~self.true["means"][cell].any(axis=1)
            groups[1:] = [(self.spec.over, ~exact & ~origin), (self.spec.at_origin, ~exact & origin)]
        out = np.zeros(len(cell))
        for terms, chosen in groups:
            if chosen.any():
                for term in terms:
                    parts = [delta[name][chosen].reshape(int(chosen.sum()), -1) for name in term.parts]
                    out[chosen] += self._size(parts, term, r[chosen], delta)
        return out

    def _exponents(self, sizes: np.ndarray) -> np.ndarray:
        if self.r:
            return np.full(len(sizes), float(self.r))
        system, unknown = self.spec.system, self.unknown
        return np.array([float(voronoi_exponent(int(m), system, unknown=unknown)) for m in sizes])

    def _size(
        self, parts: list[np.ndarray], term: Term, r: np.ndarray, delta: dict[str, np.ndarray]
    ) -> np.ndarray:
        power = np.array([term.exponent(v) for v in r])[:, None]
        values = np.concatenate(parts, axis=1)
        if self.norm == "coordinates":
            return (np.abs(values) ** power).sum(axis=1)
        if term.rows:  # a norm for each linear predictor
            rows = delta[term.parts[0]].shape[1]
            values = np.sqrt((values.reshape(len(values), rows, -1) ** 2).sum(axis=2))
            return (values**power).sum(axis=1)
        return np.sqrt((values**2).sum(axis=1)) ** power[:, 0]

    def parts(
        self, cell: np.ndarray, distances: np.ndarray, weights: np.ndarray, true: np.ndarray
    ) -> np.ndarray:
        """What each true atom adds to the loss, shape (k*,)."""
        with np.errstate(over="ignore"):  # an atom far away in a bad fit: the loss is infinite
            covered = np.bincount(cell, weights=weights, minlength=len(true))
            moved = np.where(weights > 0, weights * np.where(weights > 0, distances, 0.0), 0.0)
            gap = np.abs(covered - true)
            return np.bincount(cell, weights=moved, minlength=len(true)) + np.where(
                gap <= ROUNDING * true, 0.0, gap
            )

    def total(self, cell: np.ndarray, distances: np.ndarray, weights: np.ndarray, true: np.ndarray) -> float:
        """The loss of weights (k,) against the true (k*,)."""
        each = self.parts(cell, distances, weights, true)
        if self.top_k is None:
            return float(each.sum())
        return max(float(each[list(chosen)].sum()) for chosen in combinations(range(len(true)), self.top_k))

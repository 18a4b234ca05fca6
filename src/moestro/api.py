"""From a design and its data to a fitted model: what the estimators and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .design import Design, FormulaDesign
from .errors import DataError
from .experts import Family, make_family
from .fitted import FittedModel, prepare
from .gates import Gate, make_gate
from .model import Model
from .rows import Rows
from .selection import Sweep, sweep
from .solvers import Fit, Options
from .threads import thread_count


@dataclass(frozen=True)
class Result:
    """A fitted model, the rows it was fitted on, and the sweep over k that chose it."""

    model: FittedModel
    rows: Rows
    sweep: Sweep


@dataclass(frozen=True)
class Selection:
    """What `select_experts` returns.

    Attributes
    ----------
    table : Table
        One row a number of experts: df, log-likelihood, AIC, BIC, ICL, status, chosen.
    best : FittedModel
        The chosen fit.
    models : dict of int to FittedModel
        Every fit by its number of experts.
    """

    table: Any
    best: FittedModel
    models: dict[int, FittedModel]

    def __str__(self) -> str:
        return str(self.table)


def fit_design(
    design: Design,
    x: np.ndarray,
    z: np.ndarray | None,
    y: np.ndarray,
    w: np.ndarray | None,
    family: Family,
    ks: Sequence[int],
    options: Options,
    *,
    gate: str | Gate = "softmax",
    top_k: int | None = None,
    rank_on: str = "score",
    criterion: str = "bic",
    response: str = "y",
    classes: tuple = (),
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> Result:
    """Fit every k in `ks` and choose by `criterion`. Arrays as in `prepare`."""
    made = make_gate(gate, top_k, rank_on)
    rows, units = prepare(design, x, z, y, w, family, response, classes, made)
    model = Model(made, family, 1, rows.q, rows.p)
    found = sweep(model, rows, ks, options, criterion, started, finished)
    return Result(FittedModel(design, units, found.chosen), rows, found)


def encode_classes(y: np.ndarray, known: tuple = ()) -> tuple[np.ndarray, tuple]:
    """Class indices (n,) as floats, and the sorted labels; `known` labels are kept and others refused."""
    y = np.asarray(y)
    if y.dtype == object:
        y = y.astype(str) if all(isinstance(v, str) for v in y) else y
    labels = np.unique(y)
    if known:
        order = np.array(known, dtype=labels.dtype if labels.dtype.kind in "US" else None)
        unseen = [v for v in labels if v not in known]
        if unseen:
            first = unseen[0].item() if isinstance(unseen[0], np.generic) else unseen[0]
            raise DataError(
                f"y has the class {first!r}, not seen in fitting: known are {', '.join(map(str, known))}"
            )
        sorter = np.argsort(order, kind="stable")
        return sorter[np.searchsorted(order, y, sorter=sorter)].astype(float), known
    code = np.empty(len(y))
    for start in range(0, len(y), 1 << 20):  # in pieces: no second index array of n entries
        at = slice(start, start + (1 << 20))
        code[at] = np.searchsorted(labels, y[at])
    return code, tuple(labels.tolist())


def numeric_response(y: np.ndarray, name: str = "y") -> np.ndarray:
    """The response as finite floats."""
    try:
        out = np.ascontiguousarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"the response '{name}' holds text: use family='multinomial' for classes") from error
    if not np.isfinite(out).all():
        raise DataError(f"the response '{name}' contains NaN or infinity: remove or fill those rows first")
    return out


def check_weights(weights: Any, n: int) -> np.ndarray | None:
    """Finite, non-negative weights (n,) with a positive sum."""
    if weights is None:
        return None
    w = np.ascontiguousarray(weights, dtype=float)
    if w.shape != (n,):
        raise DataError(f"sample_weight has shape {w.shape}, expected ({n},)")
    if not np.isfinite(w).all():
        raise DataError("sample_weight contains NaN or infinity")
    if (w < 0).any():
        raise DataError("sample_weight contains negative weights: weights must be at least 0")
    if w.sum() <= 0:
        raise DataError("sample_weight is zero for every row: give at least one row a positive weight")
    return w


def fit_formula(
    formula: str,
    data: Any,
    family: str,
    ks: Sequence[int],
    options: Options,
    *,
    weights: Any = None,
    shared_variance: bool = False,
    **how: Any,
) -> Result:
    """Fit "y ~ experts | gate" on a frame."""
    design = FormulaDesign.learn(formula, data)
    x, z = design.matrices(data)
    raw = design.read_response(data)
    classes: tuple = ()
    if family == "multinomial":
        if any(v is None or v != v for v in raw.tolist()):
            raise DataError(f"the response '{design.response}' has missing values: remove those rows first")
        y, classes = encode_classes(raw)
    else:
        y = numeric_response(raw, design.response)
    if len(y) < 2:
        raise DataError(f"the data have {len(y)} row: at least 2 are needed")
    w = check_weights(weights, len(y))
    made = make_family(family, classes=len(classes), shared_variance=shared_variance)
    made.check_response(y)
    return fit_design(design, x, z, y, w, made, ks, options, response=design.response, classes=classes, **how)


def select_experts(
    formula: str,
    data: Any,
    *,
    family: str = "gaussian",
    experts: Sequence[int] = range(1, 7),
    criterion: str = "bic",
    random_state: int | None = None,
    n_jobs: int | None = None,
    **how: Any,
) -> Selection:
    """Fit a range of numbers of experts and choose one.

    Parameters
    ----------
    formula : str
        "y ~ x1 + x2 | z1": experts' part, gate's part (left out: the same).
    data : frame or mapping of columns
    family : {"gaussian", "multinomial", "poisson"}
    experts : sequence of int
    criterion : {"bic", "aic", "icl"}
    random_state : int or None
    n_jobs : int or None
        Threads; None means all cores. Results do not depend on it.
    **how
        ``weights``, ``shared_variance``, ``gate``, ``top_k``, ``rank_on``.

    Returns
    -------
    Selection

    Examples
    --------
    >>> from moestro import load_dataset, select_experts
    >>> chosen = select_experts("tuned ~ stretchratio", load_dataset("tone"), experts=range(1, 4), random_state=0)
    >>> chosen.best.fit.model.k
    3
    """
    options = Options(seed=random_state, threads=thread_count(n_jobs))
    result = fit_formula(formula, data, family, list(experts), options, criterion=criterion, **how)
    design, units = result.model.design, result.model.units
    models = {f.model.k: FittedModel(design, units, f) for f in result.sweep.fits}
    return Selection(result.sweep.table(), result.model, models)

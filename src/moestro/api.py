"""From a design and its data to a fitted model: what the estimators and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .constraints import Constraints
from .design import Observations
from .design.by_formula import NOTHING, Given
from .design.response import check_constants
from .errors import DataError
from .experts import CLASSES, ORDERED, Family, make_family
from .fitted import FittedModel, LocatedModel, Sample
from .fitted.certain import with_names
from .gates import Gate, SoftmaxGate
from .located import Specification
from .model import Model
from .rows import Scan, read_any, read_given
from .search import Fit, Options
from .selection import LocatedModels, Mixtures, Sweep, sweep
from .selection.sweep import FOLDS
from .variances import check_shared

WORDS = ("common", "fixed", "order_by", "reference_expert", "variances")  # of `Constraints.read`


@dataclass(frozen=True)
class Result:
    """A fitted model, the rows it was fitted on, and the sweep that chose it."""

    model: Any  # FittedModel, or LocatedModel
    rows: Any  # Rows, or Observations of a located model
    sweep: Sweep


def fit_design(
    data: Observations | Scan,
    family: Family,
    ks: Sequence[int],
    options: Options,
    *,
    gate: Gate,
    constraints: Mapping[str, Any] | None = None,
    criterion: str = "bic",
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> Result:
    """Fit every k in `ks` and choose by `criterion`; `constraints` are words of `Constraints.read`."""
    if family.ordered and (constraints or {}).get("order_by") == "mean":
        raise DataError("order_by='mean' needs a response of numbers: name a column, or use 'share'")
    outcomes = () if family.ordered else data.classes
    held = Constraints.read(
        data.design.expert_names, data.design.gate_names, outcomes, ks[0] if len(ks) == 1 else None,
        labelled=0 if data.partial is None else int((data.partial >= 0).sum()), marked=data.design.common,
        **(constraints or {}),
    )  # fmt: skip
    check_shared(held.variances, family, max(ks, default=1))
    rows, units = read_given(data, family, gate.scaling)
    sample = Sample.of(data) if isinstance(data, Observations) else Sample.of_rows(rows, data.classes)
    check_constants(len(data.classes), max(ks, default=1), rows.n, data.response)
    family = family.on(units.y_center, units.y_scale)
    largest = Model(gate, family, max(ks, default=1), rows.q, rows.p, held)
    found = sweep(Mixtures(largest, rows), ks, options, criterion, started, finished)
    model = FittedModel(
        data.design, units, found.chosen, sample=sample, dropped=data.dropped, gate_at=data.gate_at
    )
    return Result(with_names(model, rows), rows, found)


def fit_located_design(
    data: Observations,
    models: Sequence[Specification],
    ks: Sequence[int],
    options: Options,
    *,
    criterion: str = "bic",
    contrast: str = "joint",
    n_folds: int = FOLDS,
    started: Callable[[int], None] | None = None,
    finished: Callable[[Fit], None] | None = None,
) -> Result:
    """Fit every located model for every k in `ks`, and choose by `criterion`; words as in `LocatedModels` and
    `sweep`."""
    data.refuse_beside("located models")
    if data.z is not None:
        raise DataError("located experts have one set of columns: leave out the gate's part after '|'")
    names = (*data.design.expert_names, *data.responses)
    located = LocatedModels(data.x, data.y, models, data.w, contrast, names)
    found = sweep(located, ks, options, criterion, started, finished, n_folds)
    model = LocatedModel(
        data.design, data.responses, data.y.ndim == 1, found.chosen,
        sample=Sample.of(data), dropped=data.dropped,
    )  # fmt: skip
    return Result(model, data, found)


def fit_formula(
    formula: str,
    data: Any,
    family: str,
    ks: Sequence[int],
    options: Options,
    given: Given = NOTHING,
    *,
    shared_variance: bool = False,
    gate: Gate | None = None,
    memory_limit: Any = None,
    cache: Any = None,
    **how: Any,
) -> Result:
    """Fit "y ~ experts | gate" on a frame or rows elsewhere, by a softmax gate unless another is given; `how`
    as in `fit_design`."""
    law = None if family in CLASSES else make_family(family, shared_variance=shared_variance)
    data = read_any(
        formula, data, given, classes=family in CLASSES, ordered=family in ORDERED,
        k=ks[0] if len(ks) == 1 else None, memory_limit=memory_limit, cache=cache,
        family=law,
    )  # fmt: skip
    made = make_family(family, classes=len(data.classes), shared_variance=shared_variance)
    return fit_design(data, made, ks, options, gate=gate or SoftmaxGate(), **how)
